"""The planner: facts and codes for a song, a song from a wish, a better text, and text from codes.

One thread at a time. What the user gave is never replaced; what was chosen, and by which backend, is in the results.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from studio.engine.device import AUTO
from studio.engine.lm import prompts
from studio.engine.lm.backend import CONTEXT, Backend, BackendName, Job, Written
from studio.engine.lm.backends import Loaded, load_backend
from studio.engine.lm.checkpoint import resolve_lm
from studio.engine.lm.codes import check_codes, count_for
from studio.engine.lm.effective import chosen_facts, fill_plan, fill_text, told, told_facts
from studio.engine.lm.grammar import GrammarSpec, Mode, forget_grammars, grammar_for
from studio.engine.lm.metadata import FIELDS, Facts, reasoning
from studio.engine.lm.quality import Quality, ScoreRequest, score
from studio.engine.lm.requests import (
    CreateRequest,
    FormatRequest,
    PlanRequest,
    TextRequest,
    UnderstandRequest,
    settings_of,
)
from studio.engine.lm.results import Description, Parsed, Plan, TakePlan, parse_answer
from studio.engine.lm.stopwatch import Stopwatch
from studio.engine.requests import MIN_DURATION
from studio.engine.run import Phase, Run
from studio.errors import InvalidRequest, ModelNotReady, OutOfMemory

TEXT_TOKENS = 2560  # facts and lyrics at most; the longest answers known have 750 tokens (lm.md 2.5)
_LEAST_TEXT = 256


class Planner:
    """One loaded language model."""

    def __init__(self, name: str, loaded: Loaded) -> None:
        self.name = name
        self.requested_backend = loaded.requested
        self.notes = loaded.notes
        self._backend: Backend | None = loaded.backend

    @classmethod
    def load(
        cls,
        path_or_name: str | Path,
        *,
        backend: str = BackendName.PT,
        device: str = AUTO,
        dtype: str = AUTO,
        fallback: bool = False,
        context: int = CONTEXT,
        dirs: Iterable[Path] = (),
        run: Run | None = None,
        url: str = "",
        api_key: str = "",
    ) -> Planner:
        """Load the language model at a path, or the one of that name inside `dirs`.

        With `fallback`, pt is used where vllm or the server at `url` can't be, and every result says so. Raises
        NotFound, CheckpointError, InvalidRequest (backend, device, dtype, url), BackendError, OutOfMemory or Cancelled.
        """
        folder = resolve_lm(path_or_name, dirs, weights=backend != BackendName.REMOTE)
        (run or Run()).step(Phase.LOADING, 0, 1)
        found = load_backend(
            folder,
            backend,
            device=device,
            dtype=dtype,
            context=context,
            fallback=fallback,
            url=url,
            api_key=api_key,
        )
        return cls(folder.name, found)

    @property
    def backend(self) -> Backend:
        """The backend that is in use."""
        if self._backend is None:
            raise ModelNotReady("the language model was unloaded")
        return self._backend

    def plan(self, request: PlanRequest, run: Run | None = None) -> Plan:
        """Choose facts and write codes for every seed.

        In parallel the takes share each phase, in chunks; else one take is finished before the next begins. Either way
        a take depends on its own seed only. Raises InvalidRequest, Cancelled, OutOfMemory, BackendError.
        """
        watch, run, notes = Stopwatch(), run or Run(), list[str]()
        groups = [request.seeds] if request.parallel else [(seed,) for seed in request.seeds]
        takes: list[TakePlan] = []
        for seeds in groups:
            with watch.lap("facts"):
                parsed, texts = self._facts(request, seeds, run, notes)
            with watch.lap("codes"):
                takes += self._codes(request, seeds, parsed, texts, run, notes)
        return Plan(takes=tuple(takes), requested=settings_of(request), timings=watch.timings())

    def create(self, request: CreateRequest, run: Run | None = None) -> Description:
        """Make up a song from a short wish (lm.md 2.5)."""
        values = told(duration=None, language=request.vocal_language)
        return self._describe(request, prompts.create_prompt(request.query, request.instrumental), values, run)

    def format(self, request: FormatRequest, run: Run | None = None) -> Description:
        """Rewrite caption and lyrics; every fact the user set is told to the model and kept (lm.md 2.6)."""
        values = told(request.metas, request.duration, request.vocal_language)
        return self._describe(request, prompts.format_prompt(request.caption, request.lyrics), values, run)

    def understand(self, request: UnderstandRequest, run: Run | None = None) -> Description:
        """Describe the music of codes (lm.md 2.4)."""
        codes = check_codes(request.codes, self.backend.vocabulary.codes)
        return self._describe(request, prompts.understand_prompt(codes), {}, run)

    def score(self, request: ScoreRequest, run: Run | None = None) -> Quality:
        """Say how well codes fit a take's stored caption, lyrics and facts (lm.md 5)."""
        check_codes(request.codes, self.backend.vocabulary.codes)
        return score(self.backend, request, run or Run())

    def unload(self) -> None:
        """Free the model's memory; the planner can't be used afterwards."""
        if self._backend is not None:
            self._backend.close()
            self._backend = None
            forget_grammars()

    def _facts(
        self, request: PlanRequest, seeds: Sequence[int], run: Run, notes: list[str]
    ) -> tuple[list[Facts], list[Written]]:
        """Return each take's facts: the user's, and those the model chose; nothing is asked when all is told."""
        values = told(request.metas, request.duration, request.vocal_language)
        asked = chosen_facts(request, values)
        if not asked:
            return [told_facts(values)] * len(seeds), []
        vocabulary = self.backend.vocabulary
        spec = GrammarSpec(
            mode=Mode.FACTS, fields=asked, values=tuple(values.items()), longest=int(request.max_duration)
        )
        prompt = tuple(vocabulary.encode(prompts.plan_prompt(request.caption, request.lyrics)))
        limit = grammar_for(vocabulary, spec).longest or 0
        self._check_room("caption and lyrics", prompt, limit)
        jobs = [
            Job(
                prompt=prompt,
                grammar=spec,
                draw=request.draw,
                seed=seed,
                stream="facts",
                limit=limit,
                debug=request.debug,
            )
            for seed in seeds
        ]
        written = self._write(jobs, request.chunk_size, run, Phase.THINKING, notes)
        return [parse_answer(vocabulary, text.tokens).facts for text in written], written

    def _codes(
        self,
        request: PlanRequest,
        seeds: Sequence[int],
        facts: Sequence[Facts],
        thoughts: Sequence[Written],
        run: Run,
        notes: list[str],
    ) -> list[TakePlan]:
        """Return the finished takes, with codes if they are wanted."""
        vocabulary = self.backend.vocabulary
        written: Sequence[Written | None] = [None] * len(seeds)
        if request.make_codes:
            jobs = [self._codes_job(request, seed, fact) for seed, fact in zip(seeds, facts, strict=True)]
            written = self._write(jobs, request.chunk_size, run, Phase.CODES, notes)
        takes = []
        for index, (seed, fact, text) in enumerate(zip(seeds, facts, written, strict=True)):
            codes = vocabulary.codes_in(text.tokens) if text else ()
            log = (thoughts[index].log if thoughts else ()) + (text.log if text else ())
            effective = fill_plan(request, fact, codes, bool(thoughts))
            takes.append(
                TakePlan(
                    seed=seed,
                    facts=fact,
                    reasoning=reasoning(fact),
                    codes=codes,
                    effective={**effective.settings, **self._own((*effective.notes, *notes))},
                    log=log,
                )
            )
        return takes

    def _codes_job(self, request: PlanRequest, seed: int, facts: Facts) -> Job:
        """The length is the user's, else the model's own; with neither it is the model's to end (lm.md 4.7)."""
        vocabulary = self.backend.vocabulary
        seconds = request.duration if request.duration is not None else facts.duration
        least = count_for(MIN_DURATION if seconds is None else seconds)
        most = count_for(request.max_duration if seconds is None else seconds)
        text = prompts.codes_prompt(request.caption, request.lyrics, reasoning(facts))
        prompt = tuple(vocabulary.encode(text))
        self._check_room(f"caption, lyrics and {most} codes", prompt, most)
        return Job(
            prompt=prompt,
            negative=tuple(vocabulary.encode(prompts.codes_without(request.guidance.negative_prompt))),
            scale=float(request.guidance.scale),
            grammar=GrammarSpec(mode=Mode.CODES, least=least, most=most),
            draw=request.draw,
            seed=seed,
            stream="codes",
            limit=most,
            debug=request.debug,
        )

    def _describe(self, request: TextRequest, prompt: str, values: dict[str, str], run: Run | None) -> Description:
        watch, vocabulary, notes = Stopwatch(), self.backend.vocabulary, list[str]()
        ids = tuple(vocabulary.encode(prompt))
        limit = min(TEXT_TOKENS, self.backend.context - len(ids))
        self._check_room("what you gave", ids, _LEAST_TEXT)
        instruction = {CreateRequest: prompts.CREATE, FormatRequest: prompts.FORMAT}.get(
            type(request), prompts.UNDERSTAND
        )
        job = Job(
            prompt=ids,
            negative=tuple(vocabulary.encode(prompts.without(instruction, request.guidance.negative_prompt))),
            scale=float(request.guidance.scale),
            grammar=GrammarSpec(
                mode=Mode.DESCRIPTION,
                fields=FIELDS,
                values=tuple(values.items()),
                longest=int(request.max_duration),
            ),
            draw=request.draw,
            seed=request.seed,
            stream=type(request).__name__,
            limit=limit,
            debug=request.debug,
        )
        with watch.lap("text"):
            written = self._write([job], 1, run or Run(), Phase.THINKING, notes)[0]
        parsed: Parsed = parse_answer(vocabulary, written.tokens)
        filled = fill_text(request, parsed)
        if not written.complete:
            notes.append(f"the text was cut after {limit} tokens")
        return Description(
            facts=parsed.facts,
            caption=filled.caption,
            lyrics=filled.lyrics,
            requested=settings_of(request),
            effective={**filled.settings, **self._own((*filled.notes, *notes))},
            timings=watch.timings(),
            log=written.log,
        )

    def _write(self, jobs: Sequence[Job], chunk: int, run: Run, phase: Phase, notes: list[str]) -> list[Written]:
        """Write jobs in chunks; where memory runs out, smaller chunks are tried, and that is noted."""
        written: list[Written] = []
        while len(written) < len(jobs):
            part = jobs[len(written) : len(written) + chunk]
            try:
                written += self.backend.write(part, _part_of(run, len(written), len(part), len(jobs)), phase)
            except OutOfMemory:
                if len(part) == 1:
                    raise
                chunk = len(part) // 2
                notes.append(f"memory ran out; the language model went on with {chunk} takes at once")
        return written

    def _check_room(self, what: str, prompt: Sequence[int], limit: int) -> None:
        room = self.backend.context
        if len(prompt) + limit > room:
            rule = f"fit the language model's {room} tokens together with its answer of up to {limit}"
            raise InvalidRequest(what, rule, f"{len(prompt)} tokens")

    def _own(self, notes: Iterable[str]) -> dict[str, object]:
        backend = self.backend
        return {
            "lm_model": self.name,
            "lm_backend": backend.name,
            "lm_device": backend.device,
            "lm_dtype": backend.dtype,
            "lm_notes": list(dict.fromkeys((*self.notes, *notes))),
        }


def _part_of(run: Run, before: int, size: int, jobs: int) -> Run:
    """Return a run that reports one chunk as its share of all jobs."""

    def listen(phase: Phase, done: int, total: int) -> None:
        run.step(phase, before * total + done * size, jobs * total)

    return Run(listen)
