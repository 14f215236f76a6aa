"""How well takes fit their words: the codes' part, the lyrics' part, and what is said where one is missing."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from studio.engine.requests import AudioFormat, TextToMusic
from studio.engine.results import Take
from studio.engine.run import Run
from studio.engine.score.results import LyricQuality, LyricScores
from studio.engine.thinking import Thinking
from studio.errors import CheckpointError
from studio.jobs.aftercare import Aftercare
from studio.jobs.lease import Lease
from studio.jobs.spec import Generate, LanguageModel, Measure, Payload, ScoreTake
from studio.storage import models
from studio.storage.states import JobState
from tests.jobs.fakes import FakeEngine, Garage, song
from tests.jobs.shop import Shop, serving
from tests.jobs.test_aftercare import Singer, rows
from tests.jobs.test_worker import ENDED
from tests.jobs.writers import Desk
from tests.services.conftest import until

LM = LanguageModel(name="lm")
ALIGNED = LyricQuality(coverage=1.0, monotonicity=0.5, confidence=0.8, score=0.2)
CHANCE = LyricQuality(coverage=1.0, monotonicity=0.5, confidence=0.4, score=0.1)


@pytest.fixture(autouse=True)
def unmeasured(monkeypatch: pytest.MonkeyPatch) -> None:
    """Measuring comes after every batch and takes seconds; nothing here looks at it."""

    def skip(self: Aftercare, payload: Measure, lease: Lease, run: Run) -> None:
        with lease.complete({}):
            pass

    monkeypatch.setattr(Aftercare, "measure", skip)


class Critic(Singer):
    """Keeps traces and judges lyrics, unless it has no attention for them."""

    def __init__(self, *, deaf: bool = False) -> None:
        super().__init__()
        self.deaf = deaf

    def score_lyrics(self, take: Take) -> LyricScores:
        self.heard.append(take)
        if self.deaf:
            raise CheckpointError("this checkpoint can't time lyrics")
        return LyricScores(noise=CHANCE, take=ALIGNED)


def thinking(**changes: object) -> Generate:
    """A take with codes, of a song with lyrics."""
    request = TextToMusic(caption="piano", lyrics="la la", seeds=(7,))
    made = Generate(model="fake", audio_format=AudioFormat.WAV, request=request, thinking=Thinking(), lm=LM)
    return replace(made, **changes)


def serve(shop: Shop, engine: FakeEngine, *payloads: Payload, desk: Desk | None = None) -> list[models.Job]:
    """Do these jobs and return how they ended."""
    job_ids = [shop.submit(payload) for payload in payloads]
    with serving(shop.worker(Garage(engine), desk or Desk())):
        until(lambda: all(shop.job(job_id).state in ENDED for job_id in job_ids))
    return [shop.job(job_id) for job_id in job_ids]


def score(shop: Shop) -> models.QualityScore:
    (row,) = rows(shop, models.QualityScore)
    assert isinstance(row, models.QualityScore)
    return row


def test_both_parts_come_from_what_is_stored(shop: Shop) -> None:
    engine = Critic()
    serve(shop, engine, thinking())
    (take,) = shop.takes()
    desk = Desk()
    (job,) = serve(shop, engine, ScoreTake(take_id=take.id, sensitivity=0.2, lm=LM), desk=desk)
    assert job.state == JobState.DONE, job.error
    row = score(shop)
    assert (row.total, row.facts) == (0.7, job.effective)
    facts = row.facts
    assert (facts["score"], facts["scores"], facts["score_scale"]) == (0.7, {"caption": 0.75, "bpm": 0.5}, 0.2)
    assert facts["lyric_scores"]["take"] == {"coverage": 1.0, "monotonicity": 0.5, "confidence": 0.8, "score": 0.2}
    assert facts["lyric_scores"]["noise"]["score"] == 0.1
    assert (facts["lm_model"], facts["score_notes"], set(facts["timings"])) == (
        "lm",
        [],
        {"score_codes", "score_lyrics"},
    )
    trace = engine.heard[0].trace
    assert trace is not None
    assert torch.equal(trace.latents, torch.full((4, 2), 7.0))


def test_without_a_language_model_the_lyrics_are_judged_and_that_is_said(shop: Shop) -> None:
    serve(shop, Critic(), thinking())
    (take,) = shop.takes()
    serve(shop, Critic(), ScoreTake(take_id=take.id, sensitivity=0.5, lm=None))
    row = score(shop)
    assert (row.facts["score"], row.total) == (None, 0.2)
    assert row.facts["score_notes"] == ["its codes were not judged, because no language model is loaded"]


def test_a_take_without_codes_or_without_a_trace_has_one_part(shop: Shop) -> None:
    serve(shop, Critic(), song(1))
    (take,) = shop.takes()
    serve(shop, Critic(), ScoreTake(take_id=take.id, sensitivity=0.5, lm=LM))
    assert "has no codes to judge" in score(shop).facts["score_notes"][0]
    shop.artifacts.path(f"{take.key.rpartition('.')[0]}.trace").unlink()
    (job,) = serve(shop, Critic(), ScoreTake(take_id=take.id, sensitivity=0.5, lm=LM))
    assert (job.state, job.error.count(";")) == (JobState.FAILED, 1)
    assert "no codes to judge" in job.error
    assert "no lyrics" in job.error


def test_a_model_whose_attention_follows_no_lyrics_still_has_its_codes_judged(shop: Shop) -> None:
    serve(shop, Critic(deaf=True), thinking())
    (take,) = shop.takes()
    serve(shop, Critic(deaf=True), ScoreTake(take_id=take.id, sensitivity=0.5, lm=LM))
    facts = score(shop).facts
    assert (facts["score"], facts["score_notes"]) == (0.7, ["this checkpoint can't time lyrics"])


@pytest.mark.parametrize("deaf", [False, True])
def test_auto_score_judges_takes_as_they_are_made(shop: Shop, deaf: bool) -> None:
    serve(shop, Critic(deaf=deaf), thinking(score=0.3))
    facts = score(shop).facts
    assert (facts["score"], facts["score_scale"], facts["take_id"]) == (0.7, 0.3, shop.takes()[0].id)
    assert ("lyric_scores" in facts) is not deaf


def test_a_take_that_is_gone_fails_the_job(shop: Shop) -> None:
    (job,) = serve(shop, Critic(), ScoreTake(take_id="gone", sensitivity=0.5, lm=LM))
    assert (job.state, job.error) == (JobState.FAILED, "there is no take 'gone'")
