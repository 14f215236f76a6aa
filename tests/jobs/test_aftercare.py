"""What becomes of takes after they are there: measured when nobody waits, timed, and made again to compare."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from time import monotonic, sleep

import numpy as np
import pytest

from studio.engine.requests import TextToMusic
from studio.engine.results import Take
from studio.engine.score.lrc import LyricLine
from studio.engine.score.results import Alignment, LyricQuality
from studio.jobs import aftercare
from studio.jobs.spec import Measure, Replay, TimeLyrics
from studio.storage import models
from studio.storage.states import JobState
from tests.jobs.fakes import FakeEngine, Garage, load, song
from tests.jobs.shop import Shop, serving
from tests.jobs.test_worker import ENDED


def until(condition: Callable[[], bool]) -> None:
    deadline = monotonic() + 120  # a hang, not a speed: machines are noisy
    while not condition():
        assert monotonic() < deadline, "waited two minutes for nothing"
        sleep(0.01)


def finish(shop: Shop, garage: Garage, job_id: str) -> None:
    with serving(shop.worker(garage)):
        until(lambda: shop.job(job_id).state in ENDED)


def rows(shop: Shop, kind: type[models.Base]) -> list[models.Base]:
    with shop.database.read() as session:
        return list(session.query(kind))


def batch_of(shop: Shop, job_id: str) -> str:
    return shop.job(job_id).batch_id or ""


def follow_ups(shop: Shop, kind: str) -> list[models.Job]:
    with shop.database.read() as session:
        return list(session.query(models.Job).filter_by(kind=kind))


def ended(shop: Shop, kind: str) -> bool:
    found = follow_ups(shop, kind)
    return bool(found) and all(job.state in ENDED for job in found)


def made(shop: Shop, garage: Garage, *seeds: int) -> str:
    """Make a batch and wait until it is measured; return its id."""
    job_id = shop.submit(song(*seeds))
    with serving(shop.worker(garage)):
        until(lambda: shop.job(job_id).state in ENDED and ended(shop, "measure"))
    return batch_of(shop, job_id)


def again(shop: Shop, garage: Garage, batch_id: str) -> list[models.Replay]:
    with shop.database.write() as session:
        user = session.get_one(models.Batch, batch_id).user_id
        job_id = shop.queue.submit(session, Replay(batch_id=batch_id), user_id=user, batch_id=batch_id)
    finish(shop, garage, job_id)
    assert shop.job(job_id).state == JobState.DONE, shop.job(job_id).error
    return [row for row in rows(shop, models.Replay) if isinstance(row, models.Replay)]


def test_every_take_is_measured_with_a_verdict(shop: Shop) -> None:
    made(shop, Garage(), 7, 8)
    measured = [row for row in rows(shop, models.Measurement) if isinstance(row, models.Measurement)]
    assert {row.take_id for row in measured} == {take.id for take in shop.takes()}
    assert [row.duration for row in measured] == [1.0, 1.0]
    assert all(row.true_peak_dbtp == pytest.approx(-6, abs=0.2) for row in measured)
    assert all(row.verdict == "pass" for row in measured)
    assert all(row.bpm is None for row in measured)  # a second of a sine has no tempo


def test_outline_and_environment_come_with_the_take(shop: Shop) -> None:
    finish(shop, Garage(), shop.submit(song(7)))
    (wave,), (environment,) = rows(shop, models.Waveform), rows(shop, models.Environment)
    assert isinstance(wave, models.Waveform)
    assert isinstance(environment, models.Environment)
    assert max(wave.peaks) == 128
    assert environment.facts["model"] == "fake"
    assert environment.facts["package numpy"] == np.__version__


def test_measuring_comes_after_everything_somebody_waits_for(shop: Shop) -> None:
    first, second = shop.submit(song(1, 2)), shop.submit(song(3))
    with serving(shop.worker(Garage())):
        until(lambda: ended(shop, "measure") and len(follow_ups(shop, "measure")) == 2)
    assert all(job.state == JobState.DONE for job in follow_ups(shop, "measure"))
    waited_for = [shop.job(job_id).finished_at for job_id in (first, second)]
    assert all(job.finished_at >= max(waited_for) for job in follow_ups(shop, "measure"))
    assert len(rows(shop, models.Measurement)) == 3


def test_a_measure_job_that_runs_is_put_off_when_somebody_comes(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    job_id = shop.submit(song(1, 2, 3))
    came: list[str] = []
    measure = aftercare.measure

    def come(audio: np.ndarray, rate: int) -> object:
        if not came:
            came.append(shop.submit(song(9)))
        return measure(audio, rate)

    monkeypatch.setattr(aftercare, "measure", come)
    with serving(shop.worker(Garage())):
        until(lambda: ended(shop, "measure") and len(follow_ups(shop, "measure")) == 2)
    first = next(job for job in follow_ups(shop, "measure") if job.batch_id == batch_of(shop, job_id))
    assert first.attempt == 2  # it gave way after one take and went on later
    assert len(rows(shop, models.Measurement)) == 4


def test_unseen_jobs_come_last_and_count_for_nobody(shop: Shop) -> None:
    job_id = shop.submit(song(1))
    measure = shop.submit(Measure(batch_id="b"))
    later = shop.submit(load())
    with shop.database.read() as session:
        assert shop.queue.standing(session).ahead == {job_id: 0, later: 1, measure: 2}
    order = [lease.job_id for lease in iter(lambda: shop.queue.claim("w"), None)]
    assert order == [job_id, later, measure]


def test_made_again_is_identical(shop: Shop) -> None:
    garage = Garage()
    found = again(shop, garage, made(shop, garage, 7, 8))
    assert [(row.verdict, row.snr) for row in found] == [("identical", None)] * 2
    assert found[0].changes == {"known": True, "changes": []}
    assert not [name for name in shop.files() if ".drafts" in name]


def test_made_again_with_another_level_is_near_or_different(shop: Shop) -> None:
    engine = FakeEngine()
    batch_id = made(shop, Garage(engine), 7)
    engine.amplitude = 0.499
    engine.dtype = "bfloat16"
    assert again(shop, Garage(engine), batch_id)[0].verdict == "near"
    engine.amplitude = 0.1
    assert again(shop, Garage(engine), batch_id)[1].verdict == "different"


def test_made_again_names_what_changed(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    garage = Garage()
    batch_id = made(shop, garage, 7)
    monkeypatch.setattr("studio.engine.environment._version", lambda package: "99")
    (row,) = again(shop, garage, batch_id)
    changes = row.changes["changes"]
    assert isinstance(changes, list)
    assert {"name": "package numpy", "then": np.__version__, "now": "99"} in changes


class Singer(FakeEngine):
    """Also keeps a trace and knows when it sings."""

    def __init__(self) -> None:
        super().__init__()
        self.heard: list[Take] = []

    def _take(self, request: TextToMusic, seed: int) -> Take:
        import torch

        from studio.engine.score.lyrics import FinishedTake
        from studio.engine.score.tokens import LyricTokens

        take = super()._take(request, seed)
        trace = FinishedTake(
            latents=torch.full((4, 2), float(seed)),
            states=torch.zeros(1, 5, 3, dtype=torch.bfloat16),
            context=torch.zeros(1, 4, 4),
            lyrics=LyricTokens(ids=(1, 2), row=1),
            seconds=1.0,
            steps=8,
        )
        return replace(take, trace=trace)

    def time_lyrics(self, take: Take) -> Alignment:
        self.heard.append(take)
        quality = LyricQuality(coverage=1, monotonicity=1, confidence=0.5, score=0.5)
        return Alignment(lines=(LyricLine(0.5, 0.9, "la"),), tokens=(), quality=quality, heard=True, notes=("n",))


def test_lyrics_are_timed_from_what_was_kept(shop: Shop) -> None:
    engine = Singer()
    job_id = shop.submit(song(7))
    finish(shop, Garage(engine), job_id)
    assert shop.files() >= {f"batches/{batch_of(shop, job_id)}/0.trace"}
    timing = shop.submit(TimeLyrics(take_id=shop.takes()[0].id))
    finish(shop, Garage(engine), timing)
    assert shop.job(timing).state == JobState.DONE, shop.job(timing).error
    (row,) = rows(shop, models.TimedLyrics)
    assert isinstance(row, models.TimedLyrics)
    assert (row.lrc, row.heard, row.score, row.edited) == ("[00:00.50]la", True, 0.5, False)
    trace = engine.heard[0].trace
    assert trace is not None
    assert trace.latents.unique().tolist() == [7.0]
    assert (str(trace.states.dtype), trace.lyrics.ids, trace.steps) == ("torch.bfloat16", (1, 2), 8)


def test_auto_lrc_times_every_take(shop: Shop) -> None:
    job_id = shop.submit(song(7, 8))
    with shop.database.write() as session:
        batch = session.get_one(models.Batch, batch_of(shop, job_id))
        batch.form = {"auto_lrc": True}
    with serving(shop.worker(Garage(Singer()))):
        until(lambda: ended(shop, "time_lyrics") and len(follow_ups(shop, "time_lyrics")) == 2)
    assert len(rows(shop, models.TimedLyrics)) == 2


def test_lyrics_without_a_trace_are_explained(shop: Shop) -> None:
    finish(shop, Garage(), shop.submit(song(7)))
    timing = shop.submit(TimeLyrics(take_id=shop.takes()[0].id))
    finish(shop, Garage(), timing)
    assert shop.job(timing).state == JobState.FAILED
    assert "nothing to time" in shop.job(timing).error
