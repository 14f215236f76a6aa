"""From a page's ask to words, codes and scores; and from a form that thinks to its takes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from studio.config import Settings
from studio.errors import BackendError, InvalidRequest, ModelNotReady, NotFound
from studio.jobs.spec import LanguageModel
from studio.services import Studio, open_studio
from studio.services.views import JobState, LmView, TakeView
from studio.services.writing import CreateSample, Format, LmSampling, Score, ToCodes, Understand, Written
from tests.jobs.fakes import Garage
from tests.jobs.writers import CAPTION, Desk, HearingEngine
from tests.services.conftest import FORM, finish, until

CODES = "<|audio_code_5|><|audio_code_6|>"
THINK = {**FORM, "thinking": True}


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.fixture
def lms(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two language models seem to lie on disk, one of them broken."""
    found = [LmView(name="lm-a", problem="truncated"), LmView(name="lm-b")]
    monkeypatch.setattr("studio.services.models.Models.language_models", lambda self: found)


@pytest.fixture
def writing(settings: Settings, desk: Desk, lms: None) -> Iterator[Studio]:
    """A studio with both models loaded."""
    studio = open_studio(settings, engine_factory=Garage(HearingEngine()), lm_factory=desk)
    studio.start_worker()
    until(lambda: studio.status().ready)
    assert finish(studio, studio.generation.initialize("fake", init_llm=True, lm_backend="vllm")).error == ""
    yield studio
    studio.close()


def ask(studio: Studio, wanted: CreateSample | Format | Understand | ToCodes | Score) -> Written:
    job = finish(studio, studio.writing.submit(wanted))
    assert job.error == ""
    found = studio.writing.result(job.id)
    assert found is not None
    return found


def test_initialize_takes_the_first_usable_language_model_and_tells_of_it(writing: Studio, desk: Desk) -> None:
    assert desk.built[0].wanted == LanguageModel(name="lm-b", backend="vllm")
    lm = writing.status().lm
    assert (lm.ready, lm.name, lm.asked, lm.backend, lm.codebook) == (True, "lm-b", "vllm", "pt", 64_000)
    assert [model.name for model in writing.language_models()] == ["lm-a", "lm-b"]
    with pytest.raises(NotFound, match="called 'lm-a'; there are: lm-b"):
        writing.generation.initialize("fake", init_llm=True, lm_name="lm-a")
    with pytest.raises(InvalidRequest, match="lm_backend must be pt or vllm or remote, got 'mlx'"):
        writing.generation.initialize("fake", init_llm=True, lm_backend="mlx")


def test_a_wish_becomes_a_song(writing: Studio) -> None:
    found = ask(writing, CreateSample(description="rain", language="fr", sampling=LmSampling(seed=4)))
    assert (found.caption, found.lyrics, found.bpm, found.key_scale) == (CAPTION, "[Verse]\nla", 90, "A minor")
    assert (found.time_signature, found.duration, found.language, found.instrumental) == ("4", 20, "fr", False)
    assert (found.codes, found.score, found.effective["seed"]) == (None, None, 4)
    silent = ask(writing, CreateSample(instrumental=True))
    assert (silent.lyrics, silent.instrumental) == ("[Instrumental]", True)


def test_format_keeps_what_was_set(writing: Studio) -> None:
    found = ask(writing, Format(caption="rock", lyrics="x", bpm=120, key_scale="am", time_signature="", duration=-1))
    assert (found.caption, found.lyrics, found.bpm, found.key_scale) == (CAPTION, "[Verse]\nbetter", 120, "A minor")
    assert (found.duration, found.instrumental) == (None, None)


def test_codes_are_described_and_an_empty_box_invents_a_song(writing: Studio) -> None:
    found = ask(writing, Understand(codes=CODES))
    assert (found.caption, found.bpm, found.instrumental) == ("heard", 5, True)
    assert ask(writing, Understand(codes=" ")).caption == CAPTION


def test_an_upload_becomes_codes_and_nothing_else_does(writing: Studio) -> None:
    job = finish(writing, writing.generation.submit(FORM))
    (take,) = writing.library.batch(job.batch_id or "").takes
    upload = writing.uploads.add("src_audio", *writing.takes.audio_file(take.id))
    assert ask(writing, ToCodes(source=upload.key)).codes == f"{CODES}<|audio_code_7|>"
    for other in (f"batches/{job.batch_id}/0.wav", "/etc/hostname", f"{upload.key}/../../someone/song.wav", ""):
        with pytest.raises(InvalidRequest, match="src_audio must be an upload of yours"):
            writing.writing.submit(ToCodes(source=other))


def test_a_take_is_scored_by_what_it_stored(writing: Studio, desk: Desk) -> None:
    job = finish(writing, writing.generation.submit({**THINK, "bpm": 77}))
    (take,) = writing.library.batch(job.batch_id or "").takes
    found = ask(writing, Score(take_id=take.id, sensitivity=0.1))
    assert (found.score, found.scores) == (0.7, {"caption": 0.75, "bpm": 0.5})
    assert (found.effective["take_id"], found.effective["score_scale"]) == (take.id, 0.1)
    assert writing.writing.score_of(take.id) == found
    again = ask(writing, Score(take_id=take.id, sensitivity=0.2))
    assert writing.writing.score_of(take.id) == again != found
    plain = finish(writing, writing.generation.submit(FORM))
    (bare,) = writing.library.batch(plain.batch_id or "").takes
    with pytest.raises(NotFound, match=r"made without Think and without codes of your own; .* no lyrics"):
        writing.writing.submit(Score(take_id=bare.id))
    with pytest.raises(NotFound):
        writing.writing.submit(Score(take_id="nobody"))
    with pytest.raises(InvalidRequest, match=r"score_scale must be from 0\.01 to 1, got 0"):
        writing.writing.submit(Score(take_id=take.id, sensitivity=0))
    assert finish(writing, writing.generation.initialize("fake", init_llm=False)).error == ""
    with pytest.raises(ModelNotReady, match="no language model is loaded"):
        writing.writing.submit(Score(take_id=take.id))


@pytest.mark.parametrize(
    ("wanted", "field"),
    [
        (CreateSample(language="klingon"), "vocal_language"),
        (CreateSample(sampling=LmSampling(temperature=3.0)), "lm_temperature"),
        (CreateSample(sampling=LmSampling(seed=-1)), "seed"),
        (Format(key_scale="H major"), "key_scale"),
        (Format(bpm=29), "bpm"),
        (Format(duration=61.0), "duration"),  # this checkpoint's own limit is 60
        (Understand(codes="<|audio_code_64000|>"), "audio_codes"),
        (Understand(codes="la la"), "audio_codes"),
    ],
)
def test_a_broken_rule_is_named_and_nothing_is_stored(writing: Studio, wanted: Format, field: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        writing.writing.submit(wanted)
    assert caught.value.field == field
    assert writing.generation.active() == []


def test_a_result_is_nothing_until_the_job_is_done(writing: Studio) -> None:
    music = finish(writing, writing.generation.submit(FORM))
    for job_id in (music.id, "nobody"):
        with pytest.raises(NotFound):
            writing.writing.result(job_id)


def test_without_a_language_model_every_ask_and_think_says_why(
    settings: Settings, desk: Desk, lms: None, idle: Studio
) -> None:
    with pytest.raises(ModelNotReady, match="no worker"):
        idle.writing.submit(CreateSample())
    studio = open_studio(settings, engine_factory=Garage(), lm_factory=desk)
    studio.start_worker()
    until(lambda: studio.status().ready)
    for submit in (lambda: studio.writing.submit(CreateSample()), lambda: studio.generation.submit(THINK)):
        with pytest.raises(ModelNotReady, match="no language model is loaded"):
            submit()
    desk.broken["lm-b"] = BackendError("vllm isn't installed")
    assert finish(studio, studio.generation.initialize("fake", init_llm=True)).state == JobState.DONE
    assert studio.status().ready
    assert studio.status().lm.error == "vllm isn't installed"
    with pytest.raises(ModelNotReady, match="lm-b could not be loaded: vllm isn't installed"):
        studio.generation.submit(THINK)
    assert studio.library.count() == 0
    job = finish(studio, studio.generation.submit(FORM))  # reasoning is left out, and the take says so
    (take,) = studio.library.batch(job.batch_id or "").takes
    assert (take.requested["use_cot_metas"], take.effective["use_cot_metas"]) == (True, False)
    studio.close()


def test_every_take_is_scored_when_that_is_wanted_and_one_that_can_not_be_says_why(writing: Studio) -> None:
    def takes(**form: object) -> list[TakeView]:
        job = finish(writing, writing.generation.submit({**FORM, "auto_score": True, **form}))
        assert job.error == ""
        return list(writing.library.batch(job.batch_id or "").takes)

    for take in takes(thinking=True, batch_size=2, score_scale=0.2):
        found = writing.writing.score_of(take.id)
        assert found is not None
        assert (found.score, found.effective["score_scale"]) == (0.7, 0.2)
    (bare,) = takes()
    assert writing.writing.score_of(bare.id) is None
    assert "not scored: this take has no codes to judge" in str(bare.effective["notes"])


def test_a_form_that_thinks(writing: Studio, desk: Desk) -> None:
    form = {**THINK, "batch_size": 2, "seed": "7,8", "lm_temperature": "0.5", "lm_top_k": 40, "lm_batch_chunk_size": 4}
    job = finish(writing, writing.generation.submit({**form, "allow_lm_batch": False, "lm_negative_prompt": "noise"}))
    assert job.error == ""
    first, second = writing.library.batch(job.batch_id or "").takes
    assert (first.effective["bpm"], second.effective["bpm"]) == (67, 68)
    assert (first.effective["lm_backend"], first.requested["lm_backend"]) == ("pt", "vllm")
    (plan,) = desk.built[0].plans
    assert (plan.draw.temperature, plan.draw.top_k, plan.chunk_size, plan.parallel) == (0.5, 40, 4, False)
    assert (plan.guidance.scale, plan.guidance.negative_prompt) == (2.0, "noise")
    assert (plan.max_duration, plan.make_codes) == (60.0, True)


def test_without_think_a_loaded_language_model_still_reasons(writing: Studio, desk: Desk) -> None:
    job = finish(writing, writing.generation.submit({**FORM, "audio_codes": CODES * 30, "audio_cover_strength": 0.5}))
    (take,) = writing.library.batch(job.batch_id or "").takes
    assert take.effective["audio_codes"] == [5, 6] * 30
    assert (take.effective["bpm"], take.effective["use_cot_metas"], take.effective["thinking"]) == (67, True, False)
    assert take.requested["audio_cover_strength"] == 0.5
