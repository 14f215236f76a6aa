"""From a press of Generate to takes in the history."""

from __future__ import annotations

import io
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
import soundfile

from studio.config import Settings
from studio.engine.run import Run
from studio.engine.setup import Quantization, Setup
from studio.errors import CheckpointError, FetchFailed, InvalidRequest, ModelNotReady, NotFound, QueueFull
from studio.jobs.resident_lm import load_planner
from studio.jobs.spec import LanguageModel
from studio.jobs.worker import Worker
from studio.services import Studio, open_studio
from studio.services.forms import DEFAULTS
from studio.services.views import JobState, WorkerState
from tests.jobs.fakes import STEPS, FakeEngine, Garage
from tests.services.conftest import FORM, finish, until


def test_song_from_form_to_history(studio: Studio) -> None:
    job = finish(studio, studio.generation.submit({**FORM, "batch_size": 2}))
    assert (job.state, job.kind, job.error, job.position) == (JobState.DONE, "generate", "", 0)
    assert job.batch_id is not None
    batch = studio.library.batch(job.batch_id)
    assert (batch.state, batch.model, batch.task) == (JobState.DONE, "fake", "text2music")
    assert batch.form == {**DEFAULTS, **FORM, "batch_size": 2}
    assert [(take.index, take.format, take.duration) for take in batch.takes] == [(0, "wav", 1.0), (1, "wav", 1.0)]
    assert batch.takes[0].seed == 7
    assert studio.library.take(batch.takes[1].id) == batch.takes[1]
    first = batch.takes[0]
    assert (first.requested["inference_steps"], first.effective["inference_steps"]) == (None, STEPS)
    assert first.timings["wall"] > 0


@pytest.mark.parametrize(
    ("form", "field"),
    [
        ({"bpm": 29}, "bpm"),
        ({"duration": 5}, "duration"),
        ({"duration": 61}, "duration"),  # this checkpoint's own limit is 60
        ({"seed": "x"}, "seed"),
        ({"caption": "", "lyrics": ""}, "caption"),
        ({"inference_steps": 21}, "inference_steps"),  # turbo's own limit is 20
        ({"surprise": 1}, "form"),
    ],
)
def test_refused_form_stores_nothing(studio: Studio, form: Mapping[str, object], field: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        studio.generation.submit({**FORM, **form})
    assert caught.value.field == field
    assert (studio.library.count(), studio.generation.active()) == (0, [])


def test_without_a_worker_nothing_is_stored(idle: Studio) -> None:
    assert idle.status().state == WorkerState.GONE
    with pytest.raises(ModelNotReady, match="no worker"):
        idle.generation.submit(FORM)
    with pytest.raises(InvalidRequest):  # what is wrong with the form is said first
        idle.generation.submit({**FORM, "bpm": 29})
    assert idle.library.count() == 0


def test_random_seeds_are_drawn_once_and_kept(studio: Studio, garage: Garage) -> None:
    jobs = [finish(studio, studio.generation.submit({"caption": "piano", "audio_format": "wav"})) for _ in range(2)]
    seeds = [take.seed for job in jobs for take in studio.library.batch(job.batch_id or "").takes]
    assert len(set(seeds)) == 4


def test_a_checkpoint_is_loaded_as_asked_or_as_the_settings_say(studio: Studio, garage: Garage) -> None:
    asked = Setup(device="cpu", dtype="bfloat16", quantization=Quantization.INT8)
    assert finish(studio, studio.generation.initialize("other", asked)).state == JobState.DONE
    assert garage.setups[-1] == asked
    finish(studio, studio.generation.initialize("other"))
    assert garage.setups[-1] == Setup()
    assert studio.status().loaded["model"] == "other"


def test_models_and_initialize(studio: Studio, garage: Garage) -> None:
    assert [model.name for model in studio.models()] == ["fake", "other"]
    assert finish(studio, studio.generation.initialize("other")).state == JobState.DONE
    status = studio.status()
    assert status.model is not None
    assert (status.ready, status.model.name, status.model.max_steps, status.device) == (True, "other", 20, "cpu")
    for name in ("torn", "nothing"):
        with pytest.raises(NotFound, match="fake, other"):
            studio.generation.initialize(name)
    garage.broken["other"] = CheckpointError("truncated")
    assert finish(studio, studio.generation.initialize("other")).error == "truncated"
    assert (studio.status().state, studio.status().model) == (WorkerState.FAILED, None)
    with pytest.raises(ModelNotReady, match="truncated"):
        studio.generation.submit(FORM)


def test_queue_position_and_cancel(settings: Settings) -> None:
    running, go_on = threading.Event(), threading.Event()

    def hold(step: int) -> None:
        running.set()
        go_on.wait(5)

    studio = open_studio(settings, engine_factory=Garage(FakeEngine(before_step=hold)))
    studio.start_worker()
    until(lambda: studio.status().ready)
    first, second, third = (studio.generation.submit(FORM) for _ in range(3))
    assert running.wait(5)
    assert [(job.id, job.position) for job in studio.generation.active()] == [(first, 0), (second, 1), (third, 2)]
    studio.generation.cancel(second)
    assert studio.generation.job(second).state == JobState.CANCELLED
    assert studio.generation.job(third).position == 1
    studio.generation.cancel(first)
    assert studio.generation.job(first).cancel_requested
    go_on.set()
    assert finish(studio, first).state == JobState.CANCELLED
    assert finish(studio, third).state == JobState.DONE
    for call in (studio.generation.job, studio.generation.cancel):
        with pytest.raises(NotFound):
            call("nobody")
    studio.close()


def test_a_pause_lets_jobs_be_queued_and_begins_none(studio: Studio) -> None:
    with pytest.raises(InvalidRequest, match="at most 255 characters"):
        studio.operations.pause("new disks " * 26)
    studio.operations.pause("new disks")
    pause = studio.operations.paused()
    assert pause is not None
    assert pause.reason == "new disks"
    job_id = studio.generation.submit(FORM)
    job = studio.generation.job(job_id)
    assert (job.state, job.paused, job.begins_in) == (JobState.QUEUED, True, None)
    studio.operations.resume()
    studio.operations.resume()
    assert studio.operations.paused() is None
    assert finish(studio, job_id).state == JobState.DONE


def test_what_a_person_may_ask_for_is_a_setting(settings: Settings) -> None:
    studio = open_studio(replace(settings, queue_limit=1))
    studio.generation.initialize("fake")
    with pytest.raises(QueueFull, match="at most 1"):
        studio.generation.initialize("other")
    assert len(studio.generation.active()) == 1
    studio.close()


def test_a_published_checkpoint_is_fetched_before_it_is_loaded(settings: Settings) -> None:
    """The hubs are ports where nobody listens; what the person reads says so."""
    away = replace(
        settings, model="", huggingface_endpoint="http://127.0.0.1:9", modelscope_endpoint="http://127.0.0.1:9"
    )
    studio = open_studio(away)
    studio.start_worker()
    try:
        assert "acestep-v15-turbo" in [model.name for model in studio.published()]
        job = finish(studio, studio.generation.initialize("acestep-v15-turbo"))
        assert job.state == JobState.FAILED
        assert "acestep-v15-turbo can't be fetched" in job.error
        assert job.phase in ("", "fetching")
    finally:
        studio.close()


def test_a_published_language_model_is_fetched_before_it_is_loaded(idle: Studio, settings: Settings) -> None:
    """The hubs are ports where nobody listens."""
    away = replace(settings, huggingface_endpoint="http://127.0.0.1:9", modelscope_endpoint="http://127.0.0.1:9")
    (found,) = [lm for lm in idle.published_lms() if lm.name.endswith("0.6B")]
    assert not found.here
    wanted = LanguageModel(name=found.name, backend="pt", fallback=False)
    with pytest.raises(FetchFailed, match=r"acestep-5Hz-lm-0\.6B can't be fetched"):
        load_planner(wanted, away, Run())


def test_a_cover_is_asked_for_by_the_form(studio: Studio) -> None:
    tone = io.BytesIO()
    soundfile.write(tone, 0.3 * np.sin(np.arange(16_000) / 9), 8_000, format="WAV")
    source = studio.uploads.add("Source Audio", "loop.wav", tone.getvalue()).key
    cover = {**FORM, "task_type": "cover", "src_audio": source, "audio_cover_strength": 0.4, "thinking": True}
    job = finish(studio, studio.generation.submit(cover))
    take = studio.library.batch(job.batch_id or "").takes[0]
    assert (take.requested["task_type"], take.requested["audio_cover_strength"]) == ("cover", 0.4)
    assert str(take.requested["src_audio"]).endswith(source)
    for wrong, field in (({"src_audio": ""}, "src_audio"), ({"task_type": "lego", "track_name": "bass"}, "task_type")):
        with pytest.raises(InvalidRequest) as caught:
            studio.generation.submit({**cover, **wrong})
        assert caught.value.field == field


def test_submit_wakes_the_worker(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(Worker.__init__.__kwdefaults__, "poll_seconds", 3600.0)
    studio: Studio = request.getfixturevalue("studio")
    for _ in range(3):
        assert finish(studio, studio.generation.submit(FORM)).state == JobState.DONE


def test_many_threads_share_one_studio(studio: Studio) -> None:
    with ThreadPoolExecutor(8) as pool:
        jobs = list(pool.map(lambda n: studio.generation.submit({**FORM, "seed": str(n)}), range(16)))
        views = list(pool.map(lambda job_id: finish(studio, job_id), jobs))
    assert {view.state for view in views} == {JobState.DONE}
    seeds = {take.seed for batch in studio.library.batches() for take in batch.takes}
    assert seeds == set(range(16))


def test_start_and_close_may_be_repeated(settings: Settings, garage: Garage) -> None:
    studio = open_studio(settings, engine_factory=garage)
    for _ in range(2):
        studio.start_worker()
    until(lambda: studio.status().ready)
    assert len(garage.built) == 1
    studio.close()
    studio.close()
    assert garage.built[0].unloaded
    again = open_studio(settings, engine_factory=garage)
    assert again.status().state == WorkerState.GONE
    again.start_worker()
    until(lambda: again.status().ready)
    again.close()
