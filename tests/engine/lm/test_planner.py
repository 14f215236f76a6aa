"""Plans, samples, formats and descriptions on a tiny random model: what holds whatever the weights."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from studio.engine.lm.backend import Job, Written
from studio.engine.lm.codes import parse_codes
from studio.engine.lm.planner import Planner
from studio.engine.lm.requests import CreateRequest, Draw, FormatRequest, Guidance, PlanRequest, UnderstandRequest
from studio.engine.lm.results import parse_answer
from studio.engine.requests import KEY_SCALES, LANGUAGES, Metas
from studio.engine.run import Phase, Run
from studio.errors import Cancelled, InvalidRequest, ModelNotReady, OutOfMemory

pytestmark = pytest.mark.slow  # half a minute together

METAS = Metas(bpm=120, key_scale="C major", time_signature="4")
SONG = PlanRequest(caption="calm piano", lyrics="[Verse]\nhello", max_duration=20.0, seeds=(1,))


@pytest.fixture(autouse=True)
def _short_texts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Random weights hardly ever end a text; it is cut a little after the longest facts."""
    monkeypatch.setattr("studio.engine.lm.planner.TEXT_TOKENS", 700)


@pytest.fixture(scope="module")
def planner(lm_path: Path) -> Iterator[Planner]:
    made = Planner.load(lm_path, device="cpu")
    yield made
    made.unload()


def test_what_the_user_gave_is_kept_and_the_rest_is_chosen(planner: Planner) -> None:
    request = replace(SONG, metas=Metas(bpm=77, key_scale="F♯ minor"), duration=12.9, vocal_language="ja")
    (take,) = planner.plan(request).takes
    facts = take.facts
    assert (facts.bpm, facts.keyscale, facts.duration, facts.language) == (77, "F♯ minor", 12, "ja")
    assert facts.timesignature in ("2", "3", "4", "6")
    assert len(take.codes) == 64
    assert all(0 <= code < 40 for code in take.codes)
    assert take.effective["lm_chose"] == ["caption", "timesignature"]
    assert take.effective["duration"] == 12.8
    assert take.effective["caption"] == facts.caption
    assert parse_codes(take.audio_codes, 40).codes == take.codes


def test_nothing_given_everything_is_chosen_inside_its_range(planner: Planner) -> None:
    for take in planner.plan(replace(SONG, seeds=(1, 2, 3))).takes:
        facts = take.facts
        assert facts.bpm is not None
        assert 30 <= facts.bpm <= 300
        assert facts.keyscale in KEY_SCALES
        assert facts.language in LANGUAGES
        assert facts.duration is not None
        assert 10 <= facts.duration <= 20
        assert len(take.codes) == 5 * facts.duration  # the chosen length bounds the codes (quirk 5)
        assert take.effective["vocal_language"] == facts.language  # quirk 12


def test_a_take_is_its_seeds_whatever_the_batch(planner: Planner) -> None:
    together = planner.plan(replace(SONG, seeds=(1, 2, 3), chunk_size=2)).takes
    assert len({take.facts for take in together}) > 1
    for take in together:
        assert planner.plan(replace(SONG, seeds=(take.seed,))).takes == (take,)
    one_by_one = planner.plan(replace(SONG, seeds=(1, 2, 3), parallel=False))
    assert one_by_one.takes == together
    assert planner.plan(replace(SONG, seeds=(3, 1))).takes == (together[2], together[0])


def test_one_after_another_really_is(planner: Planner, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[tuple[str, int]] = []
    write = planner.backend.write

    def spy(jobs: Sequence[Job], run: Run, phase: Phase) -> list[Written]:
        calls.append((phase.value, len(jobs)))
        return write(jobs, run, phase)

    monkeypatch.setattr(planner.backend, "write", spy)
    request = replace(SONG, seeds=(1, 2, 3), duration=10.0)
    planner.plan(replace(request, parallel=False))
    assert calls == [("thinking", 1), ("codes", 1)] * 3
    calls.clear()
    planner.plan(replace(request, chunk_size=2))
    assert calls == [("thinking", 2), ("thinking", 1), ("codes", 2), ("codes", 1)]


@pytest.mark.parametrize(
    ("changes", "chosen"),
    [
        ({"choose_metas": False}, []),
        ({"rewrite_caption": False, "choose_language": False, "metas": METAS, "duration": 10.0}, []),
        ({"metas": METAS, "duration": 10.0}, ["caption", "language"]),  # quirk 15
        ({"rewrite_caption": False, "metas": METAS, "duration": 10.0}, ["language"]),
        ({"choose_language": False}, ["bpm", "caption", "duration", "keyscale", "timesignature"]),
    ],
)
def test_the_switches(planner: Planner, changes: dict[str, object], chosen: list[str]) -> None:
    request = replace(SONG, **changes, make_codes=False)
    (take,) = planner.plan(request).takes
    assert take.effective["lm_chose"] == chosen
    assert take.codes == ()
    if "caption" not in chosen:
        assert take.effective["caption"] == "calm piano"


def test_no_facts_at_all_still_makes_codes(planner: Planner) -> None:
    """The original crashes here (quirk 16); the model ends by itself between the least and the greatest length."""
    (take,) = planner.plan(replace(SONG, choose_metas=False)).takes
    assert take.reasoning == "<think>\n\n</think>"
    assert 50 <= len(take.codes) <= 100


def test_phases_are_timed_reported_and_can_be_cancelled(planner: Planner) -> None:
    seen: list[tuple[Phase, int, int]] = []
    plan = planner.plan(replace(SONG, duration=10.0), Run(lambda *step: seen.append(step)))
    assert plan.timings.keys() == {"facts", "codes", "total"}
    assert 0 < plan.timings["facts"] + plan.timings["codes"] <= plan.timings["total"]
    assert [phase for phase, _, _ in seen] == sorted((phase for phase, _, _ in seen), reverse=True)
    assert seen[-1] == (Phase.CODES, 50, 50)
    assert plan.requested["caption"] == "calm piano"
    assert plan.requested["duration"] == 10.0
    with pytest.raises(Cancelled):
        planner.plan(SONG, Run(cancelled=lambda: True))


def test_progress_over_chunks_only_rises(planner: Planner) -> None:
    seen: list[float] = []
    request = replace(SONG, seeds=(1, 2, 3), chunk_size=1, choose_metas=False, duration=10.0)
    planner.plan(request, Run(lambda _phase, done, total: seen.append(done / total)))
    assert seen == sorted(seen)
    assert seen[-1] == 1.0


def test_results_say_what_ran(planner: Planner) -> None:
    (take,) = planner.plan(replace(SONG, make_codes=False, draw=Draw(temperature=0.5, top_p=0.0))).takes
    own = {name: take.effective[name] for name in ("lm_model", "lm_backend", "lm_device", "lm_dtype", "lm_notes")}
    assert own == {
        "lm_model": "acestep-5Hz-lm-tiny",
        "lm_backend": "pt",
        "lm_device": "cpu",
        "lm_dtype": "float32",
        "lm_notes": [],
    }
    assert (take.effective["lm_temperature"], take.effective["lm_top_p"]) == (0.5, 1.0)


def test_the_debug_log_has_a_line_for_every_token(planner: Planner) -> None:
    (take,) = planner.plan(replace(SONG, duration=10.0, debug=True)).takes
    assert any(" bpm value: " in line for line in take.log)
    assert sum(" codes: 40 allowed" in line for line in take.log) == 50
    assert planner.plan(replace(SONG, duration=10.0)).takes[0].log == ()


def test_too_little_memory_makes_smaller_chunks_and_says_so(planner: Planner, monkeypatch: pytest.MonkeyPatch) -> None:
    write = planner.backend.write

    def small(jobs: Sequence[Job], run: Run, phase: Phase) -> list[Written]:
        if len(jobs) > 1:
            raise OutOfMemory("too much")
        return write(jobs, run, phase)

    request = replace(SONG, seeds=(1, 2), choose_metas=False, duration=10.0)
    expected = [take.codes for take in planner.plan(request).takes]
    monkeypatch.setattr(planner.backend, "write", small)
    takes = planner.plan(request).takes
    assert [take.codes for take in takes] == expected
    assert takes[0].effective["lm_notes"] == ["memory ran out; the language model went on with 1 takes at once"]


def test_what_does_not_fit_the_context_is_refused_before_anything_runs(lm_path: Path) -> None:
    small = Planner.load(lm_path, device="cpu", context=900)
    with pytest.raises(InvalidRequest, match="must fit the language model's 900 tokens together with its answer of"):
        small.plan(replace(SONG, choose_metas=False, duration=600.0, max_duration=600.0))
    with pytest.raises(InvalidRequest, match="what you gave must fit"):
        small.understand(UnderstandRequest(codes=(1,) * 700))


def test_guidance_and_its_negative_prompt_change_the_codes(planner: Planner) -> None:
    def codes(guidance: Guidance) -> tuple[int, ...]:
        request = replace(SONG, choose_metas=False, duration=10.0, guidance=guidance, draw=Draw(temperature=0.0))
        return planner.plan(request).takes[0].codes

    assert len({codes(Guidance()), codes(Guidance(scale=2.0)), codes(Guidance(scale=2.0, negative_prompt="rock"))}) == 3


def test_create_keeps_the_language(planner: Planner) -> None:
    found = planner.create(CreateRequest(query="a soft song", vocal_language="fr", seed=3))
    assert found.facts.language == "fr" == found.effective["vocal_language"]
    assert found.effective["bpm"] == found.facts.bpm
    assert found == replace(
        planner.create(CreateRequest(query="a soft song", vocal_language="fr", seed=3)), timings=found.timings
    )
    assert found.caption != planner.create(CreateRequest(query="a soft song", vocal_language="fr", seed=4)).caption


def test_format_keeps_every_value_language_included(planner: Planner) -> None:
    request = FormatRequest(caption="rock", lyrics="hello", metas=METAS, duration=33.0, vocal_language="de")
    found = planner.format(request)
    kept = {name: found.effective[name] for name in ("bpm", "keyscale", "timesignature", "duration", "vocal_language")}
    assert kept == {
        "bpm": 120,
        "keyscale": "C major",
        "timesignature": "4",
        "duration": 33,
        "vocal_language": "de",
    }
    assert found.requested["caption"] == "rock"


def test_understand_refuses_codes_this_model_does_not_know(planner: Planner) -> None:
    found = planner.understand(UnderstandRequest(codes=(1, 2, 3), guidance=Guidance(scale=1.5)))
    assert found.facts.bpm is not None
    with pytest.raises(InvalidRequest, match="whole numbers from 0 to 39, got 40"):
        planner.understand(UnderstandRequest(codes=(40,)))


def test_a_text_without_an_end_is_said_to_be_cut(planner: Planner, monkeypatch: pytest.MonkeyPatch) -> None:
    def cut(jobs: Sequence[Job], run: Run, phase: Phase) -> list[Written]:
        ids = planner.backend.vocabulary.encode("<think>\nbpm: 90\n</think>\n\n# Lyrics\nhello world")
        return [Written(tokens=tuple(ids), complete=False)]

    monkeypatch.setattr(planner.backend, "write", cut)
    found = planner.format(FormatRequest(caption="rock", lyrics="mine"))
    assert found.lyrics == "hello world"
    assert found.caption == "rock"
    assert found.effective["lm_notes"] == [
        "the language model wrote no caption; yours is kept",
        "the text was cut after 700 tokens",
    ]


@pytest.mark.parametrize(
    ("text", "lyrics"),
    [
        ("</think>\n\n# Lyric\nla la\n", "la la"),
        ("</think>\n\n# lyri\nla", "la"),
        ("</think>\n\n#  Lyrics \n\nla", "la"),
        ("</think>\n\n# Languages\nla", "# Languages\nla"),
        ("</think>la </ think>", "la </ think>"),
        ("no tag", ""),
        ("</think># Lyric", ""),
    ],
)
def test_lyrics_are_what_follows_the_tag(planner: Planner, text: str, lyrics: str) -> None:
    vocabulary = planner.backend.vocabulary
    ids = [*vocabulary.encode(f"<think>\nbpm: 90\n{text}"), vocabulary.special.end]
    assert parse_answer(vocabulary, ids).lyrics == lyrics


def test_an_unloaded_planner_says_so(lm_path: Path) -> None:
    planner = Planner.load(lm_path, device="cpu")
    planner.unload()
    planner.unload()
    with pytest.raises(ModelNotReady, match="unloaded"):
        planner.plan(SONG)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seeds": ()}, "batch_size must be from 1 to 8"),
        ({"seeds": (-1,)}, "seed must be a whole number"),
        ({"duration": 30.0}, "duration must be from 10 to 20, got 30.0"),
        ({"vocal_language": "xx"}, "vocal_language must be a language code"),
        ({"chunk_size": 0}, "lm_batch_chunk_size must be a whole number from 1 to 32"),
        ({"caption": "x" * 512}, "caption must be shorter than 512 characters"),
    ],
)
def test_requests_know_their_rules(changes: dict[str, object], message: str) -> None:
    with pytest.raises(InvalidRequest, match=message):
        replace(SONG, **changes)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Draw(temperature=2.1), "lm_temperature must be from 0 to 2"),
        (lambda: Draw(temperature=float("nan")), "lm_temperature"),
        (lambda: Draw(top_k=-1), "lm_top_k"),
        (lambda: Draw(top_p=1.1), "lm_top_p"),
        (lambda: Draw(repetition_penalty=0.0), "lm_repetition_penalty"),
        (lambda: Guidance(scale=0.5), "lm_cfg_scale must be from 1 to 10"),
        (lambda: UnderstandRequest(codes=()), "audio_codes must not be empty"),
    ],
)
def test_settings_know_their_rules(make: object, message: str) -> None:
    with pytest.raises(InvalidRequest, match=message):
        make()  # type: ignore[operator]
