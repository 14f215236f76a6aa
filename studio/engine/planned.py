"""Takes made from a plan: the language model writes facts, caption and codes of each take, then the DiT renders it.

Every take is rendered from its own prompt and codes, alone unless another has the very same: the DiT attends to the
padding of a shorter prompt, so in a batch of different prompts a take would not depend on its seed alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from studio.engine.effective import fill
from studio.engine.lm.codes import seconds_of
from studio.engine.lm.requests import PlanRequest
from studio.engine.lm.results import Plan, TakePlan
from studio.engine.model_spec import ModelSpec
from studio.engine.prompts import sung_lyrics
from studio.engine.requests import INSTRUMENTAL, MAX_CAPTION, MAX_DURATION, MIN_DURATION, Metas, Request, TextToMusic
from studio.engine.results import Take
from studio.engine.run import Phase, Run
from studio.engine.sampling import Sampling
from studio.engine.snapshot import settings_of
from studio.engine.thinking import Thinking, thinking_settings

OFF: Mapping[str, object] = {
    "thinking": False,
    "use_cot_metas": False,
    "use_cot_caption": False,
    "use_cot_language": False,
}
_CHOSEN = {  # what the model calls a fact -> the key a take stores the model's own value under
    "bpm": "cot_bpm",
    "keyscale": "cot_keyscale",
    "timesignature": "cot_timesignature",
    "duration": "cot_duration",
    "language": "cot_vocal_language",
    "caption": "cot_caption",
}


class Writer(Protocol):
    """What planning needs of a language model: studio.engine.lm.planner.Planner, or a stand-in in the tests."""

    @property
    def codebook(self) -> int:
        """How many different audio codes it writes."""

    def status(self) -> Mapping[str, object]:
        """Say what is loaded and how."""

    def plan(self, request: PlanRequest, run: Run) -> Plan:
        """Choose facts and write codes for every seed."""


class Renderer(Protocol):
    """What rendering needs of an engine."""

    spec: ModelSpec

    def generate(self, request: Request, run: Run) -> list[Take]:
        """Make one take a seed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Thought:
    """What one take is rendered from."""

    request: TextToMusic  # with a single seed
    effective: Mapping[str, object]  # settings the language model worked with, and its own answers
    notes: tuple[str, ...]


def generate_planned(
    engine: Renderer, writer: Writer | None, request: TextToMusic, thinking: Thinking, run: Run
) -> list[Take]:
    """Plan the request, then make its takes, in the order of its seeds.

    Without a `writer`, or when there is nothing for it to do, the request runs as it is and the takes say so. Raises
    what Planner.plan and Engine.generate raise; what the checkpoint can't do is found before the plan is made.
    """
    asked = {**settings_of(request), **thinking_settings(thinking)}
    if writer is None or not thinking.wanted:
        takes = engine.generate(request, run)
        return [replace(take, requested=asked, effective={**asked, **take.effective, **OFF}) for take in takes]
    thoughts, timings = think(writer, request, thinking, engine.spec, run)
    status = writer.status()
    asked |= {"lm_model": status["lm_model"], "lm_backend": status["lm_backend_requested"]}
    whole = {key: asked[key] for key in ("seeds", "batch_size", "retake_seeds")}
    return [
        replace(
            take,
            requested=asked,
            effective={
                **take.effective,
                **whole,
                **thought.effective,
                "notes": _notes(take.effective.get("notes"), thought.notes),
            },
            timings={**take.timings, **timings},
        )
        for thought, take in zip(thoughts, _render(engine, thoughts, run), strict=True)
    ]


def think(
    writer: Writer, request: TextToMusic, thinking: Thinking, spec: ModelSpec, run: Run
) -> tuple[list[Thought], dict[str, float]]:
    """Return what each take is rendered from, and the seconds both phases took (lm_facts, lm_codes, lm_total)."""
    makes_codes, why_not = _can_write_codes(writer, thinking, spec)
    rest = replace(request, audio_codes=()) if makes_codes else request
    fill(rest, spec)  # refuses what this checkpoint can't do before minutes are spent on a plan
    plan = writer.plan(_plan_request(rest, thinking, spec, makes_codes), run)
    notes = (*why_not, *_switch_notes(request, thinking, makes_codes))
    used: dict[str, object] = {
        **thinking_settings(thinking),
        "thinking": makes_codes,
        "use_cot_metas": thinking.reasons,
        "use_cot_caption": thinking.reasons and thinking.caption,
        "use_cot_language": thinking.reasons and thinking.language,
    }
    thoughts = [_thought(rest, index, take, used, notes) for index, take in enumerate(plan.takes)]
    return thoughts, {f"lm_{name}": seconds for name, seconds in plan.timings.items()}


def _can_write_codes(writer: Writer, thinking: Thinking, spec: ModelSpec) -> tuple[bool, tuple[str, ...]]:
    """Whether codes are wanted and mean something to the checkpoint, and why not."""
    if not thinking.codes:
        return False, ()
    if not spec.codes:
        why = f"{spec.name} has no audio tokenizer"
    elif spec.codebook != writer.codebook:
        why = f"{spec.name} knows {spec.codebook} audio codes and the language model writes {writer.codebook}"
    else:
        return True, ()
    return False, (f"{why}, so no codes were made: the language model planned facts and caption only",)


def _switch_notes(request: TextToMusic, thinking: Thinking, makes_codes: bool) -> list[str]:
    notes = []
    if makes_codes and request.audio_codes:
        notes.append("your audio codes were ignored, because Think makes its own")
    if thinking.formatted and thinking.metas:
        notes.append("caption, lyrics and facts were formatted already, so none of them was chosen again")
    elif not thinking.metas and (thinking.caption or thinking.language):
        notes.append("caption and language were left alone, because CoT Metas is off")
    return notes


def _plan_request(request: TextToMusic, thinking: Thinking, spec: ModelSpec, makes_codes: bool) -> PlanRequest:
    duration = request.duration
    if request.audio_codes:
        seconds = seconds_of(len(request.audio_codes))
        duration = seconds if seconds >= MIN_DURATION else None
    return PlanRequest(
        caption=request.caption,
        lyrics=sung_lyrics(request.lyrics, request.instrumental),
        metas=request.metas,
        duration=duration,
        vocal_language=request.vocal_language,
        seeds=request.seeds,
        draw=thinking.draw,
        guidance=thinking.guidance,
        max_duration=min(max(spec.max_duration, MIN_DURATION), MAX_DURATION),
        choose_metas=thinking.reasons,
        rewrite_caption=thinking.caption,
        choose_language=thinking.language,
        make_codes=makes_codes,
        chunk_size=thinking.chunk_size,
        parallel=thinking.parallel,
        debug=thinking.debug,
    )


def _thought(
    request: TextToMusic, index: int, plan: TakePlan, used: Mapping[str, object], notes: Sequence[str]
) -> Thought:
    """Fill the request of one take from its plan; the planner has kept every value of the user's."""
    facts, chosen = plan.facts, plan.facts.known()
    caption, cut = fit_caption(str(plan.effective["caption"]))
    sung = sung_lyrics(request.lyrics, request.instrumental) != INSTRUMENTAL
    own = replace(
        request,
        caption=caption,
        vocal_language=str(plan.effective["vocal_language"]) if sung else request.vocal_language,
        metas=Metas(bpm=facts.bpm, key_scale=facts.keyscale, time_signature=facts.timesignature),
        duration=request.duration if request.duration is not None else _seconds(facts.duration),
        audio_codes=plan.codes or request.audio_codes,
        seeds=(plan.seed,),
        sampling=_own_sampling(request.sampling, index),
    )
    told = {key: value for key, value in plan.effective.items() if key.startswith("lm_") and key != "lm_notes"}
    answers = {key: chosen[name] if name in _list(told["lm_chose"]) else None for name, key in _CHOSEN.items()}
    log = {"lm_log": list(plan.log)} if plan.log else {}
    return Thought(
        request=own,
        effective={**used, **told, **answers, **log},
        notes=(*notes, *cut, *map(str, _list(plan.effective["lm_notes"]))),
    )


def fit_caption(caption: str) -> tuple[str, tuple[str, ...]]:
    """Return a caption the DiT takes, cut after a sentence or a word when it is too long, and a note that says so."""
    if len(caption) < MAX_CAPTION:
        return caption, ()
    room = caption[: MAX_CAPTION - 1]
    sentence = room.rfind(". ") + 1
    kept = room[:sentence] if sentence > MAX_CAPTION // 2 else room.rpartition(" ")[0] or room
    note = f"the rewritten caption has {len(caption)} characters; the first {len(kept)} were used"
    return kept, (note,)


def _seconds(duration: int | None) -> float | None:
    return None if duration is None else float(duration)


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def _notes(engines: object, own: Sequence[str]) -> list[object]:
    return list(dict.fromkeys((*own, *_list(engines))))


def _own_sampling(sampling: Sampling, index: int) -> Sampling:
    """A retake has one seed a take."""
    if sampling.retake is None:
        return sampling
    return replace(sampling, retake=replace(sampling.retake, seeds=(sampling.retake.seeds[index],)))


def _render(engine: Renderer, thoughts: Sequence[Thought], run: Run) -> list[Take]:
    """Render neighbours with the same prompt together and all others alone."""
    groups: list[list[TextToMusic]] = []
    for thought in thoughts:
        if groups and _alike(groups[-1][0], thought.request):
            groups[-1].append(thought.request)
        else:
            groups.append([thought.request])
    takes: list[Take] = []
    for index, group in enumerate(groups):
        takes += engine.generate(_joined(group), _part_of(run, index, len(groups)))
    return takes


def _alike(one: TextToMusic, other: TextToMusic) -> bool:
    return one.sampling.retake is None and replace(one, seeds=other.seeds) == other


def _joined(group: Sequence[TextToMusic]) -> TextToMusic:
    return replace(group[0], seeds=tuple(seed for request in group for seed in request.seeds))


def _part_of(run: Run, index: int, parts: int) -> Run:
    """Return a run that reports one part of the rendering as its share of each phase."""

    def listen(phase: Phase, done: int, total: int) -> None:
        run.step(phase, index * total + done, parts * total)

    return Run(listen)
