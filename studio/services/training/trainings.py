"""Starts, stops, resumes, watches and exports training runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.orm import Session

from studio.config import Settings
from studio.engine.lora.config import TrainSettings, settings_of
from studio.engine.lora.formats import AdapterInfo
from studio.engine.lora.layout import checkpoint_at, export, holds_run
from studio.engine.setup import Attention, Quantization, Setup
from studio.errors import InvalidRequest, ModelNotReady, NotFound, StudioError
from studio.jobs import registering
from studio.jobs.loading import setup_of
from studio.jobs.queue import Queue
from studio.jobs.spec import Initialize, JobKind, Train
from studio.jobs.training.log import EVENTS, WORDS
from studio.services.known_adapters import KnownAdapters
from studio.services.models import Models
from studio.services.places import place_of
from studio.services.principal import Principal, Right
from studio.services.training.looking import Looking
from studio.services.training.outlook import channels_of, outlook
from studio.services.training.tensors import TensorsView, read_tensors
from studio.services.training.views import OutlookView, TrainingView
from studio.services.views import StatusView
from studio.storage.audit import tell
from studio.storage.database import Database
from studio.storage.models import Job, Training
from studio.storage.states import Deed, JobState, TrainingState
from studio.storage.times import Clock

_RUNNING = "a LoRA is being trained already; wait until it is done, or stop it"


class Trainings:
    """The training runs of one user; one at a time has the device."""

    def __init__(
        self,
        database: Database,
        queue: Queue,
        models: Models,
        settings: Settings,
        known: KnownAdapters,
        *,
        principal: Principal,
        wake: Callable[[], None],
        clock: Clock,
    ) -> None:
        self._database = database
        self._queue = queue
        self._models = models
        self._settings = settings
        self._known = known
        self._principal = principal
        self._wake = wake
        self._clock = clock
        self._looking = Looking(database, clock)

    def tensors(self, path: str) -> TensorsView:
        """Look into a folder of prepared songs; raises what `read_tensors` does."""
        roots = self._settings.training_roots
        place = place_of(roots, path, "tensors", self._principal)
        model = self._models.status().model
        channels = channels_of(model.name, self._settings) if model else 64
        return read_tensors(str(place), roots, channels)

    def outlook(self, tensors: TensorsView, form: Mapping[str, object]) -> OutlookView:
        """Return what a run comes to on the loaded model; a broken rule is its `problem`."""
        try:
            return outlook(settings_of(form), tensors, self._models.status(), self._settings)
        except StudioError as problem:
            return OutlookView(songs=tensors.count, problem=problem)

    def quantized(self) -> bool:
        """Return whether the loaded model has to be loaded again without quantization before it can be trained."""
        return str(self._models.status().loaded.get("quantization", Quantization.NONE)) != Quantization.NONE

    def start(
        self, tensors: str, out: str, form: Mapping[str, object], *, resume: str = "", unquantize: bool = False
    ) -> str:
        """Queue a run with the loaded model and return its id.

        `resume` is a checkpoint's folder or a run's; with `unquantize` a quantized model is loaded again without first.
        Raises InvalidRequest naming field, rule and value, NotFound, OutOfMemory with the estimate, ModelNotReady
        without a model or without peft, StudioError while another run has the device.
        """
        self._check_free()
        found = self.tensors(tensors)
        folder = self._place(out, "out")
        wanted = settings_of(form)
        checkpoint = checkpoint_at(self._place(resume, "resume")) if resume.strip() else None
        if checkpoint is None and holds_run(folder):
            raise InvalidRequest("out", "be a new folder, or be resumed: it holds a run already", out)
        if find_spec("peft") is None:
            raise ModelNotReady("training needs the package peft; install the studio with its group engine")
        row = Training(
            user_id=self._principal.user_id,
            state=TrainingState.WAITING,
            tensors=str(found.path),
            out=str(folder),
            resume=str(checkpoint or ""),
            settings=wanted.as_row(),
            created_at=self._clock(),
        )
        return self._submit(row, wanted, found, unquantize)

    def resume(self, training_id: str, *, unquantize: bool = False) -> str:
        """Go on with a run that was stopped or failed, from its newest checkpoint; returns the new run's id.

        Raises NotFound when it saved nothing, and what `start` does.
        """
        row = self._looking.row(training_id, self._principal.user_id)
        return self.start(row.tensors, row.out, row.settings, resume=row.out, unquantize=unquantize)

    def stop(self) -> None:
        """Let the run finish its update, save and end; raises NotFound when there is none, PermissionDenied."""
        with self._database.write() as session:
            running = session.get(Job, _active(session) or "")
            if running is None:
                raise NotFound("no LoRA is being trained, so there is nothing to stop")
            self._principal.check_owns(running.user_id)
            tell(session, self._principal.user_id, Deed.STOPPED, running.id, self._clock())
        self._queue.request_cancel(running.id)

    def latest(self) -> TrainingView | None:
        """Return the run that is going on, else the newest one; None before the first."""
        return self._looking.latest(self._principal.user_id)

    def whole_log(self, training_id: str) -> bytes:
        """Return everything a run wrote: its events, then what it said on its error output."""
        out = Path(self._looking.row(training_id, self._principal.user_id).out)
        return b"".join((out / name).read_bytes() for name in (EVENTS, WORDS) if (out / name).is_file())

    def export(self, out: str, target: str, *, checkpoint: str = "", replace: bool = False) -> AdapterInfo:
        """Copy the adapter trained in `out` to `target`: the final one, else the newest checkpoint's, or a named one's.

        It is entered among the known adapters. Raises NotFound when nothing is trained there, InvalidRequest for a
        target outside of the roots and for one that exists, unless it holds an adapter and `replace` is set,
        PermissionDenied.
        """
        self._principal.check(Right.MAKE)
        folder = self._place(out, "out")
        made = export(folder, self._place(target, "export_path"), checkpoint=checkpoint, replace=replace)
        run = self._looking.of_folder(folder, self._principal.user_id)
        self._known.enter(registering.read(made), None if run is None else registering.origin_of(run))
        with self._database.write() as session:
            tell(session, self._principal.user_id, Deed.EXPORTED, str(made.path), self._clock())
        return made

    def exported(self, target: str) -> bool:
        """Return whether there is something at an export path already; raises InvalidRequest for one outside."""
        return self._place(target, "export_path").exists()

    def _submit(self, row: Training, wanted: TrainSettings, tensors: TensorsView, unquantize: bool) -> str:
        model, status = self._models.ready(), self._models.status()
        if self.quantized() and not unquantize:
            kind = status.loaded["quantization"]
            raise InvalidRequest("quantization", "be none for training; initialize the model without it", kind)
        if (problem := outlook(wanted, tensors, status, self._settings).problem) is not None:
            raise problem
        row.model, row.device = model.name, status.device
        with self._database.write() as session:
            if _active(session) is not None:
                raise StudioError(_RUNNING)
            if self.quantized():
                again = Initialize(model=model.name, setup=self._without_quantization(status))
                self._queue.submit(session, again, user_id=self._principal.user_id)
            session.add(row)
            session.flush()
            train = Train(training_id=row.id, model=row.model)
            row.job_id = self._queue.submit(session, train, user_id=self._principal.user_id)
            tell(session, row.user_id, Deed.TRAINED, row.id, row.created_at, model=row.model, out=row.out)
        self._wake()
        return row.id

    def _check_free(self) -> None:
        with self._database.read() as session:
            if _active(session) is not None:
                raise StudioError(_RUNNING)

    def _without_quantization(self, status: StatusView) -> Setup:
        """How the model is loaded now, but for its weights."""
        loaded = status.loaded
        return replace(
            setup_of(self._settings),
            device=status.device,
            dtype=status.dtype,
            attention=Attention(str(loaded.get("attention", Attention.SDPA))),
            compile=bool(loaded.get("compiled")),
            offload=bool(loaded.get("offload_to_cpu")),
            offload_dit=bool(loaded.get("offload_dit_to_cpu")),
            quantization=Quantization.NONE,
        )

    def _place(self, path: str, field: str) -> Path:
        """Return where a path lies; relative ones are below the folder for training's outputs."""
        datasets, outputs, *more = self._settings.training_roots
        return place_of((outputs, datasets, *more), path, field, self._principal)


def _active(session: Session) -> str | None:
    """Return the id of the job that trains or waits to."""
    busy = Job.kind == JobKind.TRAIN, Job.state.in_((JobState.QUEUED, JobState.RUNNING))
    return session.scalars(select(Job.id).where(*busy).limit(1)).first()
