"""Batches one by one, the one prepared ahead, uploads, and the outlook on a run."""

from __future__ import annotations

import io
import threading

import numpy as np
import pytest
import soundfile

from studio.config import Settings
from studio.errors import AudioError, InvalidRequest, NotFound
from studio.services import Studio, open_studio
from studio.services.forms import complete_form
from studio.services.views import JobState
from tests.jobs.fakes import FakeEngine, Garage
from tests.services.conftest import FORM, finish, until


def made(studio: Studio, **form: object) -> str:
    job = finish(studio, studio.generation.submit({**FORM, **form}))
    assert job.batch_id is not None
    return job.batch_id


def wav(audio: np.ndarray, rate: int = 8000) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, audio, rate, format="WAV")
    return file.getvalue()


def test_places_count_the_finished_ones(studio: Studio) -> None:
    assert studio.results.place() is None
    first, second, third = (made(studio, caption=f"song {n}") for n in range(3))
    newest = studio.results.place()
    assert newest is not None
    assert (newest.batch_id, newest.number, newest.total, newest.next) == (third, 3, 3, None)
    middle = studio.results.place(second)
    assert middle is not None
    assert (middle.previous, middle.number, middle.next) == (first, 2, third)
    gone = studio.results.place("gone")
    assert gone is not None and gone.batch_id == third


def test_a_batch_in_the_trash_has_no_place(studio: Studio) -> None:
    first, second = (made(studio, caption=f"song {n}") for n in range(2))
    studio.library.trash.put([take.id for take in studio.library.batch(second).takes])
    newest = studio.results.place(second)
    assert newest is not None
    assert (newest.batch_id, newest.number, newest.total, newest.next) == (first, 1, 1, None)


def test_one_batch_is_prepared_ahead_with_new_seeds_and_no_codes(studio: Studio) -> None:
    first = made(studio)
    job_id = studio.results.prepare({**complete_form(FORM), "audio_codes": "<|audio_code_1|>"}, first)
    assert job_id is not None
    job = finish(studio, job_id)
    assert job.ahead
    form = studio.library.batch(job.batch_id or "").form
    assert (form["audio_codes"], form["use_random_seed"]) == ("", True)
    assert studio.results.prepare(FORM, first) is None  # its next one is there
    ahead = studio.results.ahead()
    assert ahead is not None
    assert (ahead.job_id, ahead.state) == (job_id, JobState.DONE)


def test_a_person_goes_first_and_stopping_calls_off_what_waits(settings: Settings) -> None:
    held, go_on = threading.Event(), threading.Event()
    go_on.set()

    def hold(step: int) -> None:
        held.set()
        go_on.wait(5)

    studio = open_studio(settings, engine_factory=Garage(FakeEngine(before_step=hold)))
    studio.start_worker()
    until(lambda: studio.status().ready)
    first = made(studio)
    go_on.clear()
    held.clear()
    mine = studio.generation.submit(FORM)
    assert held.wait(5)
    ahead = studio.results.prepare(FORM, first)
    assert ahead is not None
    assert studio.results.prepare(FORM, first) is None  # one is enough
    other = studio.generation.submit(FORM)
    assert [job.id for job in studio.generation.active() if job.position == 1] == [other]
    studio.results.stop()
    assert studio.generation.job(ahead).state == JobState.CANCELLED
    go_on.set()
    assert finish(studio, mine).state == finish(studio, other).state == JobState.DONE
    studio.close()


def test_uploads_are_checked_kept_and_used(studio: Studio) -> None:
    tone = np.sin(np.arange(8000) / 10).astype(np.float32)
    upload = studio.uploads.add("Reference Audio", "loop.wav", wav(tone))
    assert upload.seconds == pytest.approx(1.0)
    batch = studio.library.batch(made(studio, reference_audio=upload.key))
    assert str(batch.takes[0].requested["reference_audio"]).endswith(upload.key)
    with pytest.raises(AudioError, match=r"Reference Audio: fake\.mp3"):
        studio.uploads.add("Reference Audio", "fake.mp3", b"only text")
    with pytest.raises(AudioError, match="silent"):
        studio.uploads.add("Source Audio", "silent.wav", wav(np.zeros(8000, np.float32)))
    for key in ("uploads/someone/else.wav", "../studio.db"):
        with pytest.raises(InvalidRequest, match="upload of yours"):
            studio.generation.submit({**FORM, "reference_audio": key})
    studio.uploads.resolve(upload.key).unlink()  # type: ignore[union-attr]  # it is there
    with pytest.raises(NotFound, match="upload it again"):
        studio.generation.submit({**FORM, "reference_audio": upload.key})


def test_the_outlook_learns_from_like_runs_only(studio: Studio) -> None:
    def look(**form: object) -> tuple[float | None, int]:
        view = studio.preflight.look({**FORM, **form}, studio.status())
        return view.seconds, view.runs

    assert look() == (None, 0)
    made(studio)
    made(studio)
    seconds, runs = look()
    assert runs == 2
    assert seconds is not None and seconds > 0
    assert look(duration=12.0) == (None, 0)
    assert look(batch_size=2) == (None, 0)
    view = studio.preflight.look({**FORM, "shift": 2.4}, studio.status())
    assert view.duration == 10.0
    assert any("shift 2.4" in note for note in view.notes)
    refused = studio.preflight.look({**FORM, "guidance_scale": 7.0}, studio.status())
    assert refused.problem is not None and refused.problem.field == "guidance_scale"
