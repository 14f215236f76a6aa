"""A request and a plan become takes: what is kept, what is filled in, and what a take says of it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from studio.engine.planned import fit_caption, generate_planned
from studio.engine.requests import MAX_CAPTION, Metas, TextToMusic
from studio.engine.results import Take
from studio.engine.run import Phase, Run
from studio.engine.sampling import Retake, Sampling
from studio.engine.thinking import Thinking, thinking_from, thinking_settings
from studio.errors import InvalidRequest
from studio.jobs.spec import LanguageModel
from tests.jobs.fakes import FakeEngine
from tests.jobs.writers import CAPTION, FakeWriter

SONG = TextToMusic(caption="piano", lyrics="[Verse]\nla", seeds=(1, 2))
METAS = Metas(bpm=77, key_scale="F major", time_signature="4")


class Renderer(FakeEngine):
    """Remembers what it was asked to render."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[TextToMusic] = []

    def generate(self, request: TextToMusic, run: Run) -> list[Take]:
        self.asked.append(request)
        return super().generate(request, run)


@pytest.fixture
def engine() -> Renderer:
    return Renderer()


@pytest.fixture
def writer() -> FakeWriter:
    return FakeWriter(LanguageModel(name="lm", backend="vllm", fallback=True))


def make(
    engine: Renderer, writer: FakeWriter | None, request: TextToMusic = SONG, thinking: Thinking | None = None
) -> list[Take]:
    return generate_planned(engine, writer, request, thinking or Thinking(), Run())


def test_each_take_is_rendered_from_its_own_facts_and_codes(engine: Renderer, writer: FakeWriter) -> None:
    takes = make(engine, writer)
    assert [take.seed for take in takes] == [1, 2]
    assert [request.seeds for request in engine.asked] == [(1,), (2,)]
    assert [request.metas.bpm for request in engine.asked] == [61, 62]
    assert [set(request.audio_codes) for request in engine.asked] == [{1}, {2}]
    assert {request.caption for request in engine.asked} == {CAPTION}
    assert {request.vocal_language for request in engine.asked} == {"en"}
    first = takes[0].effective
    assert (first["bpm"], first["cot_bpm"], first["caption"], first["cot_caption"]) == (61, 61, CAPTION, CAPTION)
    assert first["audio_codes"] == [1] * 55


def test_a_take_says_what_was_asked_and_what_was_used(engine: Renderer, writer: FakeWriter) -> None:
    writer.notes = ["vllm isn't installed; pt was used instead"]
    (take, _) = make(engine, writer, thinking=Thinking(chunk_size=4))
    assert (take.requested["caption"], take.requested["bpm"], take.requested["audio_codes"]) == ("piano", None, [])
    assert (take.requested["lm_backend"], take.effective["lm_backend"]) == ("vllm", "pt")
    assert take.requested["seeds"] == take.effective["seeds"] == [1, 2]
    assert take.effective["batch_size"] == 2
    assert take.effective["lm_batch_chunk_size"] == 4
    assert take.effective["notes"] == writer.notes
    assert {"lm_facts", "lm_codes", "lm_total", "denoise", "total"} <= set(take.timings)


def test_a_take_is_the_same_alone_and_in_a_batch(engine: Renderer, writer: FakeWriter) -> None:
    make(engine, writer)
    make(engine, writer, replace(SONG, seeds=(2,)))
    assert engine.asked[1] == engine.asked[2]


def test_what_the_user_gave_is_never_replaced(engine: Renderer, writer: FakeWriter) -> None:
    request = replace(SONG, metas=METAS, duration=12.9, vocal_language="ja", seeds=(5,))
    (take,) = make(engine, writer, request, Thinking(caption=False))
    (rendered,) = engine.asked
    assert (rendered.metas, rendered.duration, rendered.vocal_language) == (METAS, 12.9, "ja")
    assert rendered.caption == "piano"
    assert len(rendered.audio_codes) == 64
    assert [take.effective[f"cot_{name}"] for name in ("bpm", "keyscale", "duration", "caption")] == [None] * 4


@pytest.mark.parametrize(
    ("thinking", "used", "note"),
    [
        (Thinking(formatted=True), (True, False, False, False), "formatted already"),
        (Thinking(metas=False), (True, False, False, False), "CoT Metas is off"),
        (Thinking(codes=False), (False, True, True, True), ""),
        (Thinking(caption=False, language=False), (True, True, False, False), ""),
    ],
)
def test_switches_are_stored_as_they_were_used(
    engine: Renderer, writer: FakeWriter, thinking: Thinking, used: tuple[bool, ...], note: str
) -> None:
    take = make(engine, writer, thinking=thinking)[0]
    keys = ("thinking", "use_cot_metas", "use_cot_caption", "use_cot_language")
    assert tuple(take.effective[key] for key in keys) == used
    assert take.requested["use_cot_metas"] is thinking.metas
    assert bool(engine.asked[0].audio_codes) is used[0]
    assert (engine.asked[0].metas.bpm is not None) is used[1]
    assert note in " ".join(map(str, take.effective["notes"]))


def test_without_a_language_model_the_request_runs_as_it_is(engine: Renderer, writer: FakeWriter) -> None:
    for absent, thinking in ((None, Thinking()), (writer, Thinking(codes=False, metas=False))):
        take = make(engine, absent, thinking=thinking)[0]
        assert engine.asked.pop() == SONG
        assert take.requested["use_cot_caption"] is True
        assert take.effective["use_cot_caption"] is False
        assert take.effective["thinking"] is False
    assert writer.plans == []


@pytest.mark.parametrize(
    ("changes", "codebook", "why"),
    [
        ({"codes": False}, 64_000, "fake has no audio tokenizer, so no codes were made"),
        ({"codebook": 4096}, 64_000, "fake knows 4096 audio codes and the language model writes 64000"),
    ],
)
def test_codes_that_mean_nothing_to_the_checkpoint_are_not_made(
    engine: Renderer, writer: FakeWriter, changes: dict[str, object], codebook: int, why: str
) -> None:
    engine.spec, writer.codebook = replace(engine.spec, **changes), codebook
    take = make(engine, writer)[0]
    assert (take.requested["thinking"], take.effective["thinking"]) == (True, False)
    assert engine.asked[0].audio_codes == ()
    assert (engine.asked[0].metas.bpm, engine.asked[0].caption) == (61, CAPTION)
    assert engine.asked[0].duration == 11.0  # the model's, since no codes decide it
    assert why in take.effective["notes"][0]


def test_codes_of_your_own_are_kept_without_think_and_ignored_with_it(engine: Renderer, writer: FakeWriter) -> None:
    request = replace(SONG, audio_codes=(9,) * 60, seeds=(1,))
    take = make(engine, writer, request, Thinking(codes=False))[0]
    assert engine.asked.pop().audio_codes == (9,) * 60
    assert writer.plans[0].duration == 12.0
    assert take.effective["notes"] == []
    take = make(engine, writer, request)[0]
    assert set(engine.asked.pop().audio_codes) == {1}
    assert take.requested["audio_codes"] == [9] * 60
    assert "your audio codes were ignored" in take.effective["notes"][0]


def test_an_instrumental_keeps_its_language_open(engine: Renderer, writer: FakeWriter) -> None:
    make(engine, writer, replace(SONG, instrumental=True))
    assert writer.plans[0].lyrics == "[Instrumental]"
    assert (engine.asked[0].lyrics, engine.asked[0].vocal_language) == ("[Verse]\nla", "unknown")


def test_takes_with_one_prompt_are_rendered_together(engine: Renderer, writer: FakeWriter) -> None:
    request = replace(SONG, metas=METAS, duration=20.0, vocal_language="en", seeds=(1, 2, 3))
    takes = make(engine, writer, request, Thinking(codes=False))
    assert [asked.seeds for asked in engine.asked] == [(1, 2, 3)]
    assert [take.seed for take in takes] == [1, 2, 3]


def test_each_take_of_a_retake_turns_to_its_own_seed(engine: Renderer, writer: FakeWriter) -> None:
    sampling = Sampling(retake=Retake(seeds=(8, 9), variance=0.5))
    takes = make(engine, writer, replace(SONG, sampling=sampling))
    assert [asked.sampling.retake.seeds for asked in engine.asked if asked.sampling.retake] == [(8,), (9,)]
    assert takes[0].effective["retake_seeds"] == [8, 9]


def test_what_the_checkpoint_can_not_do_is_refused_before_the_plan(engine: Renderer, writer: FakeWriter) -> None:
    for broken in (replace(SONG, sampling=Sampling(steps=21)), replace(SONG, duration=61.0)):
        with pytest.raises(InvalidRequest, match="at most"):
            make(engine, writer, broken)
    assert writer.plans == []


def test_a_rewritten_caption_that_is_too_long_is_cut_and_says_so(engine: Renderer, writer: FakeWriter) -> None:
    writer.caption = "One sentence of words. " * 40
    take = make(engine, writer)[0]
    assert len(engine.asked[0].caption) < MAX_CAPTION
    assert engine.asked[0].caption.endswith("words.")
    assert take.effective["cot_caption"] == writer.caption.strip() or take.effective["cot_caption"] == writer.caption
    assert "the rewritten caption has 920 characters; the first 505 were used" in take.effective["notes"]


@pytest.mark.parametrize("caption", ["x" * 511, "x" * 512, "word " * 200, "a. " + "b" * 600])
def test_a_fitted_caption_is_the_beginning_of_the_whole(caption: str) -> None:
    kept, notes = fit_caption(caption)
    assert caption.startswith(kept)
    assert 0 < len(kept) < MAX_CAPTION
    assert bool(notes) is (kept != caption)


def test_progress_of_each_phase_only_rises(engine: Renderer, writer: FakeWriter) -> None:
    seen: dict[Phase, list[float]] = {}
    generate_planned(
        engine, writer, SONG, Thinking(), Run(lambda phase, done, all_: seen.setdefault(phase, []).append(done / all_))
    )
    assert list(seen) == [Phase.THINKING, Phase.CODES, Phase.PREPARING, Phase.DIFFUSION, Phase.DECODING]
    for shares in seen.values():
        assert shares == sorted(shares)


def test_settings_survive_their_snapshot() -> None:
    thinking = Thinking(codes=False, formatted=True, chunk_size=3, parallel=False, debug=True)
    assert thinking_from(thinking_settings(thinking)) == thinking
    assert thinking_from({}) == Thinking()
    with pytest.raises(InvalidRequest, match="lm_batch_chunk_size must be a whole number from 1 to 32, got 33"):
        Thinking(chunk_size=33)
