"""The working datasets of one user: looked at, changed, saved, and given to the worker."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from itsdangerous import BadSignature
from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from studio.engine.dataset.editing import Changes, edited, with_instrumental, with_tag
from studio.engine.dataset.files import save_dataset
from studio.engine.dataset.roots import inside
from studio.engine.dataset.samples import Dataset, Sample, TagPosition
from studio.errors import Conflict, InvalidRequest, LinkExpired, NotFound
from studio.jobs import datasets
from studio.jobs.queue import Queue
from studio.services.accounts.signing_in import principal_of
from studio.services.datasets.opening import Opening, changed_since, mark_saved
from studio.services.datasets.quality import qualities
from studio.services.datasets.tasks import DatasetTasks
from studio.services.datasets.views import DatasetName, DatasetView, LabelReport, PrepareReport
from studio.services.media import LIFETIME, MIME, MediaFile, Signer
from studio.services.models import Models
from studio.services.places import place_of
from studio.services.principal import Principal
from studio.storage import models
from studio.storage.audit import tell
from studio.storage.database import Database
from studio.storage.states import Deed, Visibility
from studio.storage.times import Clock

ROUTE = "/api/song/"
SETTINGS = ("name", "all_instrumental", "custom_tag", "tag_position", "genre_ratio")


class Datasets:
    """The datasets one person may look at; changing them is for their owner. Every path stays below the roots."""

    def __init__(
        self,
        database: Database,
        queue: Queue,
        known: Models,
        roots: Sequence[Path],
        signer: Signer,
        *,
        principal: Principal,
        wake: Callable[[], None],
        clock: Clock,
    ) -> None:
        self._database = database
        self._roots = roots
        self._signer = signer
        self._principal = principal
        self._clock = clock
        self.opening = Opening(database, queue, roots, principal=principal, clock=clock)
        self.tasks = DatasetTasks(database, queue, known, roots, principal=principal, wake=wake, clock=clock)

    def all(self) -> list[DatasetName]:
        """Return the working datasets, the one that was changed last first."""
        table = models.Dataset
        columns = table.id, table.name, table.revision, table.saved, table.updated_at
        mine, shared = table.user_id == self._principal.user_id, table.visibility == Visibility.TEAM
        query = select(*columns).where(or_(mine, shared))
        with self._database.read() as session:
            rows = session.execute(query.order_by(models.Dataset.updated_at.desc(), models.Dataset.id)).all()
        return [
            DatasetName(id=row.id, name=row.name, unsaved=row.revision != row.saved, updated_at=row.updated_at)
            for row in rows
        ]

    def get(self, dataset_id: str) -> DatasetView:
        """Return a working dataset; raises NotFound."""
        with self._database.read() as session:
            row = _seen(session, self._principal, dataset_id)
            dataset = datasets.dataset_of(row)
            return DatasetView(
                id=row.id,
                mine=self._principal.owns(row.user_id),
                visibility=row.visibility,
                dataset=dataset,
                revision=row.revision,
                unsaved=row.revision != row.saved,
                path=row.path,
                folder=row.folder,
                quality=qualities(session, row, dataset),
                labelling=_label_report(row, dataset),
                prepared=_prepare_report(row),
            )

    def configure(self, dataset_id: str, changes: Mapping[str, object], seen: Dataset) -> None:
        """Change some of the SETTINGS, which hold for all songs; `seen` is the dataset as the person saw it.

        Raises InvalidRequest, NotFound, and Conflict when somebody has changed one of the same settings since.
        """
        with self._database.write() as session:
            row = self._mine(session, dataset_id)
            dataset = datasets.dataset_of(row)
            for name, value in changes.items():
                if name in SETTINGS and getattr(dataset, name) != getattr(seen, name):
                    raise Conflict(f"{name} was changed elsewhere since you saw it; look again before you change it")
                dataset = _with_setting(dataset, name, value)
            datasets.store(row, dataset, self._clock())

    def edit(self, dataset_id: str, changes: Mapping[str, Changes], seen: Mapping[str, Sample]) -> None:
        """Change values of songs, by their ids, all or none; `seen` is each of them as the person saw it.

        Raises InvalidRequest naming the value, NotFound, and Conflict when a song was changed since, by the language
        model for instance.
        """
        with self._database.write() as session:
            row = self._mine(session, dataset_id)
            dataset = datasets.dataset_of(row)
            changed = []
            for sample_id, values in changes.items():
                sample = datasets.song(dataset, sample_id)
                if sample != seen[sample_id]:
                    raise Conflict(f"{sample.filename} was changed since you saw it, so your changes were not stored")
                changed.append(edited(sample, values))
            datasets.store(row, datasets.with_songs(dataset, changed), self._clock())

    def save(self, dataset_id: str, path: str, *, over: bool = False) -> Path:
        """Write a dataset to a file, `.json` added when missing, and return where; what is not labelled is saved too.

        A file that is there and isn't as this dataset last saw it is replaced only with `over`. Raises InvalidRequest,
        also for a dataset without songs, NotFound, StorageError.
        """
        file = place_of(self._roots, path, "path", self._principal)
        file = file if file.suffix.lower() == ".json" else file.with_name(file.name + ".json")
        with self._database.write() as session:
            row = self._mine(session, dataset_id)
            dataset = datasets.dataset_of(row)
            if not dataset.samples:
                raise InvalidRequest("dataset", "hold songs", len(dataset.samples))
            if file.exists() and not over and changed_since(row, file):
                raise InvalidRequest(
                    "path", "name a new file, or be replaced on purpose: another one is there", str(file)
                )
            save_dataset(file, dataset)
            mark_saved(row, file)
            tell(session, self._principal.user_id, Deed.EXPORTED, dataset_id, self._clock(), path=str(file))
        return file

    def remove(self, dataset_id: str) -> None:
        """Forget a working dataset; files stay. Raises NotFound."""
        with self._database.write() as session:
            row = self._mine(session, dataset_id)
            session.delete(row)
            tell(session, self._principal.user_id, Deed.DELETED, dataset_id, self._clock(), dataset=row.name)

    def show(self, dataset_id: str, visibility: Visibility) -> None:
        """Let the team look at a dataset, or not any more. Raises NotFound, PermissionDenied."""
        with self._database.write() as session:
            self._mine(session, dataset_id).visibility = visibility
            told = {"visibility": visibility.value}
            tell(session, self._principal.user_id, Deed.SHARED, dataset_id, self._clock(), **told)

    def link(self, dataset_id: str, sample_id: str) -> str:
        """Return the path of a link to a song's sound, made out to this person."""
        return ROUTE + self._signer.sign(f"{self._principal.user_id}:{dataset_id}:{sample_id}").decode()

    def resolve(self, token: str) -> MediaFile:
        """Return the file a link's token stands for, which is one of a dataset and below the roots.

        Raises LinkExpired for a token that is too old or was changed, NotFound when dataset, song or file is gone or
        whom the link was made out to may not look at it any more, PermissionDenied for a disabled account.
        """
        try:
            said = self._signer.unsign(token, max_age=int(LIFETIME.total_seconds())).decode()
        except BadSignature as error:
            raise LinkExpired("this link is too old or was changed; open the page again for a new one") from error
        with self._database.read() as session:
            user_id, dataset_id, sample_id = said.split(":", 2)
            row = _seen(session, principal_of(session, user_id), dataset_id)
            sample = datasets.song(datasets.dataset_of(row), sample_id)
        try:
            path = inside(self._roots, sample.audio_path, "audio_path")
        except InvalidRequest as error:
            raise NotFound(str(error)) from error
        if not path.is_file():
            raise NotFound(f"{sample.filename} is not there any more")
        ending = path.suffix.lower().lstrip(".")
        if ending not in MIME:
            raise NotFound(f"{sample.filename} is no audio file")
        return MediaFile(path=path, mime=MIME[ending], filename=path.name)

    def _mine(self, session: Session, dataset_id: str) -> models.Dataset:
        """Return a dataset that may be changed, locked."""
        row = _seen(session, self._principal, dataset_id, lock=True)
        self._principal.check_owns(row.user_id)
        return row


def _seen(session: Session, principal: Principal, dataset_id: str, *, lock: bool = False) -> models.Dataset:
    row = session.get(models.Dataset, dataset_id, with_for_update=lock or None)
    if row is None or not principal.sees(row.user_id, row.visibility):
        raise NotFound("this dataset was removed")
    return row


def _with_setting(dataset: Dataset, name: str, value: object) -> Dataset:
    if name == "all_instrumental" and isinstance(value, bool):
        return with_instrumental(dataset, value)
    if name == "custom_tag":
        return with_tag(dataset, str(value).strip())
    if name == "tag_position" and value in list(TagPosition):
        return replace(dataset, tag_position=TagPosition(str(value)))
    if name == "genre_ratio" and isinstance(value, int):
        return replace(dataset, genre_ratio=value)
    if name == "name" and str(value).strip():
        return replace(dataset, name=str(value).strip())
    raise InvalidRequest(name, f"be a setting ({', '.join(SETTINGS)}) with a value that fits it", value)


def _label_report(row: models.Dataset, dataset: Dataset) -> LabelReport | None:
    work = datasets.label_work(row)
    if work is None:
        return None
    names = {sample.id: sample.filename for sample in dataset.samples}
    faults, notes = (
        {names.get(sample_id, sample_id): reason for sample_id, reason in reasons.items()}
        for reasons in (work["faults"], work["notes"])
    )
    return LabelReport(job_id=work["job"], wanted=len(work["todo"]), done=len(work["done"]), faults=faults, notes=notes)


def _prepare_report(row: models.Dataset) -> PrepareReport | None:
    work = datasets.prepare_work(row)
    if work is None:
        return None
    return PrepareReport(
        job_id=work["job"],
        folder=work["folder"],
        written=work["written"],
        skipped=work["skipped"],
        faults=tuple(work["faults"]),
        notes=tuple(work["notes"]),
    )
