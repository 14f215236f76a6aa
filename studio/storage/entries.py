"""Every take that is stored gets its entry in the library, and its words in the index, in the same transaction."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import insert, select
from sqlalchemy.orm import Session, UOWTransaction

from studio.storage import words
from studio.storage.models import Batch, Entry, Origin, Take
from studio.storage.states import Role
from studio.storage.words import Words

INSTRUMENTAL = "[instrumental]"  # what stands for lyrics where nobody sings; nobody looks for it


def enter(session: Session, _context: UOWTransaction) -> None:
    """Add entries for the takes a flush has just written; it listens to every writing session."""
    takes = [row for row in session.new if isinstance(row, Take)]
    if not takes:
        return
    connection = session.connection()
    asked = select(Batch.id, Batch.user_id, Batch.task, Batch.model)
    batches = {row.id: row for row in connection.execute(asked.where(Batch.id.in_({take.batch_id for take in takes})))}
    for take in sorted(takes, key=lambda take: (take.batch_id, take.index)):
        batch = batches[take.batch_id]
        values = {
            "take_id": take.id,
            "batch_id": take.batch_id,
            "user_id": batch.user_id,
            "created_at": take.created_at,
            "task": batch.task,
            "model": batch.model,
            **facts_of(take.requested, take.effective),
        }
        entry_id = connection.execute(insert(Entry).values(values).returning(Entry.id)).scalar_one()
        words.put(connection, entry_id, batch.user_id, words_of(take.requested, take.effective))
        adapters = [
            {"batch_id": take.batch_id, "take_id": take.id, "name": name[:255]} for name in _adapters(take.effective)
        ]
        if adapters:
            more = {"role": Role.ADAPTER, "created_at": take.created_at}
            connection.execute(insert(Origin), [{**one, **more} for one in adapters])


def facts_of(requested: Mapping[str, object], effective: Mapping[str, object]) -> dict[str, object]:
    """Return the columns of an entry that a take's settings decide; what was used counts more than what was asked."""
    bpm = _first("bpm", effective, requested)
    return {
        "adapter": " + ".join(_adapters(effective))[:255],
        "bpm": int(bpm) if isinstance(bpm, int | float) and not isinstance(bpm, bool) else None,
        "key_scale": str(_first("keyscale", effective, requested) or "")[:16],
    }


def words_of(requested: Mapping[str, object], effective: Mapping[str, object]) -> Words:
    """Return what a take can be found by before anybody names it; a caption the model rewrote is found by both."""
    captions = dict.fromkeys(str(settings.get("caption") or "") for settings in (requested, effective))
    lyrics = str(_first("lyrics", effective, requested) or "")
    return Words(caption=" ".join(captions), lyrics="" if lyrics.strip().lower() == INSTRUMENTAL else lyrics)


def _first(name: str, *settings: Mapping[str, object]) -> object:
    return next((each[name] for each in settings if each.get(name) not in (None, "")), None)


def _adapters(effective: Mapping[str, object]) -> list[str]:
    held = effective.get("adapters")
    if not effective.get("use_lora") or not isinstance(held, list):
        return []
    return [str(one["name"]) for one in held if isinstance(one, Mapping) and one.get("name")]
