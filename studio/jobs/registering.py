"""Enters adapters into the list of those a person can choose from."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.orm import Session

from studio.engine.lora.formats import AdapterInfo, adapter_hash, base_model
from studio.engine.lora.layout import CARD, MANIFEST
from studio.engine.model_spec import read_json
from studio.storage.adapters import Adapter
from studio.storage.models import Training


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """The run an adapter comes from and the songs it learnt."""

    training_id: str | None = None
    dataset: str = ""  # name
    dataset_sha256: str = ""  # over the prepared songs, as the run read them


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """An adapter's folder that was read to its last byte, which is done before a transaction begins."""

    info: AdapterInfo
    sha256: str
    model: str  # it was trained on; empty where nothing says so

    @property
    def path(self) -> str:
        """The folder, links followed."""
        return str(self.info.path.resolve())

    @property
    def kind(self) -> str:
        """The kind of adapter in a word; DoRA is a LoRA with magnitudes of its own."""
        return "dora" if self.info.dora else self.info.kind.value


def read(info: AdapterInfo) -> Found:
    """Sum up an adapter's files; raises CheckpointError."""
    return Found(info=info, sha256=adapter_hash(info), model=base_model(info))


def origin_of(training: Training) -> Origin:
    """Return what the folders of a run say of it; raises CheckpointError for a damaged file."""
    card, manifest = Path(training.out) / CARD, Path(training.tensors) / MANIFEST
    told = read_json(card) if card.is_file() else {}
    about = read_json(manifest).get("metadata") if manifest.is_file() else None
    name = about.get("name") if isinstance(about, dict) else None
    return Origin(
        training_id=training.id,
        dataset=str(name or Path(training.tensors).name)[:255],
        dataset_sha256=str(told.get("data_sha256") or ""),
    )


def register(session: Session, found: Found, *, user_id: str, now: datetime, origin: Origin | None = None) -> Adapter:
    """Enter an adapter, or bring the entry of its folder up to date.

    Without an `origin` it has the one of an adapter with the same contents, of which it is a copy.
    """
    mine = select(Adapter).where(Adapter.user_id == user_id)
    row = session.scalars(mine.where(Adapter.path == found.path)).one_or_none()
    if origin is None:
        alike = session.scalars(mine.where(Adapter.sha256 == found.sha256).order_by(Adapter.created_at)).first()
        origin = Origin() if alike is None else _origin(alike)
    if row is None:
        row = Adapter(user_id=user_id, path=found.path, created_at=now)
        session.add(row)
    row.name, row.sha256, row.kind = found.info.name[:255], found.sha256, found.kind
    row.rank, row.model = found.info.rank, found.model[:255]
    row.training_id, row.dataset, row.dataset_sha256 = origin.training_id, origin.dataset, origin.dataset_sha256
    session.flush()
    return row


def _origin(row: Adapter) -> Origin:
    return Origin(training_id=row.training_id, dataset=row.dataset, dataset_sha256=row.dataset_sha256)
