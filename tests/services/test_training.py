"""Training runs: one at a time, in a process that outlives the studio, and whatever becomes of it is said."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from time import sleep

import pytest
import torch

from studio.config import Settings
from studio.engine.lora.wanted import adapter_set_from
from studio.errors import InvalidRequest, ModelNotReady, NotFound, OutOfMemory, StudioError
from studio.jobs.training import process, trainer
from studio.jobs.training.log import EVENTS, Point, TrainingLog, thinned
from studio.jobs.training.process import Order
from studio.services import Studio, open_studio
from studio.services.training.presets import DEFAULTS
from studio.services.training.views import TrainingState, TrainingView
from studio.services.views import JobState, WorkerState
from tests.cli.test_adapters import write_adapter
from tests.jobs.fakes import Garage
from tests.pages.conftest import write_checkpoint
from tests.services.conftest import until

MODEL = "tiny-turbo"
TENSORS, OUT = "./datasets/songs", "./lora_output/run"
APPRENTICE = Path(__file__).with_name("apprentice.py")


class School:
    """Starts stand-ins for the training process, and remembers what it was told."""

    def __init__(self) -> None:
        self.steps, self.pause, self.complaint = 400, 0.02, ""
        self.orders: list[Order] = []

    def command(self, order: Order) -> list[str]:
        if order not in self.orders:
            self.orders.append(order)
        return [sys.executable, str(APPRENTICE), str(order.out), str(self.steps), str(self.pause), self.complaint]


@pytest.fixture
def school(monkeypatch: pytest.MonkeyPatch) -> School:
    school = School()
    monkeypatch.setattr(process, "command_for", school.command)
    monkeypatch.setattr(trainer, "POLL", 0.02)
    return school


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    write_checkpoint(tmp_path / "models" / MODEL)
    folder = tmp_path / "datasets" / "songs"
    folder.mkdir(parents=True)
    for number in range(3):
        torch.save({"target_latents": torch.zeros(100, 64), "mask": torch.ones(100)}, folder / f"{number}.pt")
    return Settings(data_dir=tmp_path, models_dir=tmp_path / "models", checkpoints_dir=tmp_path / "c", model=MODEL)


@pytest.fixture
def garage() -> Garage:
    return Garage()


@pytest.fixture
def studio(settings: Settings, garage: Garage, school: School) -> Iterator[Studio]:
    studio = open_studio(settings, engine_factory=garage)
    studio.start_worker()
    until(lambda: studio.status().ready)
    yield studio
    if (view := studio.training.latest()) is not None and view.active:
        studio.training.stop()
        until(lambda: not _latest(studio).active)
    studio.close()


def _latest(studio: Studio) -> TrainingView:
    view = studio.training.latest()
    assert view is not None
    return view


def _start(studio: Studio, **changes: object) -> TrainingView:
    studio.training.start(TENSORS, OUT, {**DEFAULTS, **changes})
    return _latest(studio)


def _under_way(studio: Studio, steps: int = 5) -> TrainingView:
    until(lambda: len(_latest(studio).points) >= steps)
    return _latest(studio)


def _ended(studio: Studio) -> TrainingView:
    until(lambda: not _latest(studio).active)
    return _latest(studio)


def test_a_run_has_the_device_and_the_model_comes_back_after_it(
    studio: Studio, school: School, garage: Garage, tmp_path: Path
) -> None:
    school.steps = 6
    assert _start(studio, rank=8).state is TrainingState.WAITING
    until(lambda: studio.status().state == WorkerState.TRAINING)
    assert garage.built[-1].unloaded
    with pytest.raises(ModelNotReady, match="being trained"):
        studio.generation.submit({"caption": "a song"})
    view = _ended(studio)
    assert (view.state, view.error, view.last["step"]) == (TrainingState.COMPLETED, "", 6)
    assert [point.step for point in view.points] == [1, 2, 3, 4, 5, 6]
    assert view.out == tmp_path / "lora_output" / "run"
    order = school.orders[0]
    assert (order.model, order.device, order.tensors) == (MODEL, "cpu", tmp_path / "datasets" / "songs")
    assert order.settings["rank"] == 8
    until(lambda: studio.status().ready)
    assert len(garage.built) == 2
    assert studio.generation.job(view.job_id).state is JobState.DONE


def test_a_lora_on_the_model_comes_back_with_it(studio: Studio, school: School, garage: Garage, tmp_path: Path) -> None:
    write_adapter(tmp_path / "voice")
    studio.adapters.load(str(tmp_path / "voice"), 0.5)
    until(lambda: bool(studio.status().loaded["adapters"]))
    before = adapter_set_from(studio.status().loaded)
    school.steps = 6
    _start(studio)
    until(lambda: studio.status().state == WorkerState.TRAINING)
    assert not studio.status().loaded
    _ended(studio)
    until(lambda: studio.status().ready and bool(studio.status().loaded["adapters"]))
    assert adapter_set_from(studio.status().loaded) == before
    assert garage.built[-1].adapters.worn[-1] == before


def test_what_a_run_learnt_is_known_with_what_it_learnt_from(studio: Studio, school: School, tmp_path: Path) -> None:
    out, songs = tmp_path / "lora_output" / "run", tmp_path / "datasets" / "songs"
    (songs / "manifest.json").write_text(json.dumps({"metadata": {"name": "harbour"}, "samples": []}))
    school.steps = 40
    run = _start(studio)
    until(out.is_dir)
    write_adapter(out / "final" / "adapter")
    (out / "run.json").write_text(json.dumps({"data_sha256": "5a" * 32}))
    _ended(studio)
    until(lambda: bool(studio.adapters.known.all()))
    (made,) = studio.adapters.known.all()
    assert (made.path, made.dataset, made.dataset_sha256) == (out / "final" / "adapter", "harbour", "5a" * 32)
    assert made.training_id == run.id
    exported = studio.training.export(OUT, "./lora_output/harbour")
    assert [one.name for one in studio.adapters.known.all()] == ["harbour", "run"]
    shutil.copytree(exported.path, tmp_path / "copy")
    copy = studio.adapters.known.add(str(tmp_path / "copy"))
    assert (copy.dataset, copy.training_id) == ("harbour", run.id)  # the same contents


def test_a_second_run_is_refused_while_one_goes_on(studio: Studio, school: School) -> None:
    _start(studio)
    for _moment in range(2):  # while it waits, and while it runs
        with pytest.raises(StudioError, match="being trained already"):
            studio.training.start(TENSORS, "./lora_output/other", DEFAULTS)
        _under_way(studio)
    assert len(school.orders) == 1


def test_stop_keeps_a_checkpoint_that_is_gone_on_from(studio: Studio, school: School) -> None:
    _start(studio)
    _under_way(studio)
    studio.training.stop()
    view = _ended(studio)
    assert (view.state, view.resumable) == (TrainingState.STOPPED, True)
    assert view.saved[-1].name == f"step_{view.last['step']}"
    assert studio.generation.job(view.job_id).state is JobState.CANCELLED
    until(lambda: studio.status().ready)
    with pytest.raises(InvalidRequest, match="holds a run already"):
        studio.training.start(TENSORS, OUT, DEFAULTS)
    school.steps = int(str(view.last["step"])) + 3
    (view.out / "checkpoints" / "step_x").mkdir()  # no checkpoint: it lacks its state
    assert studio.training.resume(view.id) != view.id
    _under_way(studio, 1)
    assert school.orders[-1].resume == str(view.saved[-1])


def test_stopping_nothing_and_resuming_nothing_are_said(studio: Studio) -> None:
    with pytest.raises(NotFound, match="nothing to stop"):
        studio.training.stop()
    with pytest.raises(NotFound, match="no checkpoint to go on from"):
        studio.training.start(TENSORS, OUT, DEFAULTS, resume="./lora_output/none")
    assert studio.training.latest() is None


def test_a_killed_process_is_a_failed_run_that_can_be_resumed(studio: Studio, school: School) -> None:
    _start(studio)
    _under_way(studio)
    os.kill(_pid(studio), signal.SIGKILL)
    view = _ended(studio)
    assert (view.state, view.resumable) == (TrainingState.FAILED, True)
    assert "ended before it was done" in view.error
    assert studio.generation.job(view.job_id).state is JobState.FAILED
    until(lambda: studio.status().ready)


def test_why_a_process_gave_up_is_said(studio: Studio, school: School) -> None:
    school.complaint = "tensors must be prepared with a model of this kind"
    _start(studio)
    view = _ended(studio)
    assert (view.state, view.error) == (TrainingState.FAILED, school.complaint)
    assert view.resumable is False


def test_a_run_goes_on_while_the_studio_is_closed_and_is_found_again(
    studio: Studio, settings: Settings, school: School
) -> None:
    _start(studio)
    _under_way(studio)
    pid = _pid(studio)
    studio.close()
    os.kill(pid, 0)  # it lives
    garage = Garage()
    again = open_studio(settings, engine_factory=garage)
    try:
        again.start_worker()
        until(lambda: again.status().state == WorkerState.TRAINING)
        before = len(_latest(again).points)
        until(lambda: len(_latest(again).points) > before)
        assert garage.built == []  # the model is not loaded beside it
        again.training.stop()
        view = _ended(again)
        assert (view.state, len(school.orders)) == (TrainingState.STOPPED, 1)
        until(lambda: again.status().ready)
    finally:
        again.close()


def test_a_run_is_stopped_before_the_next_worker_has_found_it(
    studio: Studio, settings: Settings, school: School
) -> None:
    _start(studio)
    _under_way(studio)
    pid = _pid(studio)
    studio.close()
    again = open_studio(settings, engine_factory=Garage())
    try:
        again.training.stop()
        os.kill(pid, 0)  # it goes on, for nobody has told it yet
        again.start_worker()
        view = _ended(again)
        assert (view.state, len(school.orders)) == (TrainingState.STOPPED, 1)
        assert TrainingLog(settings.data_dir / "lora_output" / "run").read().ended == "stopped"  # it saved, and said so
        until(lambda: again.status().ready)
    finally:
        again.close()


def test_a_run_that_ended_while_the_studio_was_closed_is_told_right(
    studio: Studio, settings: Settings, school: School
) -> None:
    school.steps = 30
    _start(studio)
    _under_way(studio, 2)
    studio.close()
    log = TrainingLog(settings.data_dir / "lora_output" / "run")
    until(lambda: log.read().ended == "completed")
    again = open_studio(settings, engine_factory=Garage())
    try:
        again.start_worker()
        view = _ended(again)
        assert (view.state, view.last["step"]) == (TrainingState.COMPLETED, 30)
    finally:
        again.close()


def test_what_breaks_a_rule_starts_nothing(studio: Studio, school: School) -> None:
    for tensors, out, changes, error in (
        ("", OUT, {}, "tensors must not be empty"),
        ("./datasets/none", OUT, {}, "there is no folder"),
        (TENSORS, "/etc/lora", {}, "out must be below"),
        (TENSORS, OUT, {"learning_rate": 0.0}, "learning_rate must be from"),
        (TENSORS, OUT, {"ranks": 4}, "training setting must be one of"),
    ):
        with pytest.raises(StudioError, match=error):
            studio.training.start(tensors, out, {**DEFAULTS, **changes})
    assert (studio.training.latest(), school.orders) == (None, [])


def test_what_cant_fit_is_refused_with_the_numbers(
    studio: Studio, school: School, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("studio.services.training.outlook._free", lambda status: 0.5)
    view = studio.training.outlook(studio.training.tensors(TENSORS), DEFAULTS)
    assert isinstance(view.problem, OutOfMemory)
    with pytest.raises(OutOfMemory, match=r"needs about \d+\.\d GB and there are 0\.5 GB; try gradient checkpointing"):
        studio.training.start(TENSORS, OUT, DEFAULTS)
    assert school.orders == []


def test_a_log_drops_what_a_resumed_run_does_again_and_losses_that_are_none(tmp_path: Path) -> None:
    def step(number: int, loss: float) -> str:
        numbers = {"step": number, "steps": 9, "loss": loss, "smoothed": loss, "learning_rate": 1.0}
        return json.dumps({"event": "step", **numbers})

    lines = [step(1, 3.0), step(2, float("nan")), step(3, 2.0), step(4, 1.5), '{"event": "ended", "status": "stopped"}']
    lines += ['{"event": "launched"}', '{"event": "started", "at": 3}', step(4, 1.0), '{"event": "st']
    (tmp_path / EVENTS).write_text("\n".join(lines))
    log = TrainingLog(tmp_path).read()
    assert [(point.step, point.loss) for point in log.points] == [(1, 3.0), (3, 2.0), (4, 1.0)]
    assert log.ended == ""
    with (tmp_path / EVENTS).open("a") as file:
        file.write('range"}\n{"event": "ended", "status": "completed"}\n')
    assert log.read().ended == "completed"


def test_a_curve_is_thinned_to_its_ends() -> None:
    points = [Point(number, 1.0, 1.0, 1.0) for number in range(1000)]
    few = thinned(points, 50)
    assert (len(few), few[0].step, few[-1].step) == (50, 0, 999)
    assert thinned(points[:3], 50) == points[:3]


def _pid(studio: Studio) -> int:
    from studio.storage.models import Training

    for _try in range(100):
        with studio._database.read() as session:
            pid = session.query(Training).one().pid
        if pid is not None:
            return pid
        sleep(0.02)
    raise AssertionError("no process")
