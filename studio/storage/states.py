"""The states rows can be in, spelled the same in SQL, in JSON and on the pages."""

from __future__ import annotations

from enum import StrEnum

from sqlalchemy import Enum


class JobState(StrEnum):
    """The life of a job."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


class WorkerState(StrEnum):
    """What the owner of the model is up to."""

    EMPTY = "empty"  # alive, nothing loaded
    LOADING = "loading"
    READY = "ready"
    TRAINING = "training"  # alive; the device belongs to a training run
    FAILED = "failed"  # alive, the last load failed
    GONE = "gone"  # no worker has been heard of lately; never stored


class TrainingState(StrEnum):
    """The life of a training run."""

    WAITING = "waiting"  # for the worker
    RUNNING = "running"
    COMPLETED = "completed"
    STOPPED = "stopped"  # everything learnt is saved
    FAILED = "failed"


class Role(StrEnum):
    """What a take was to another one that was made from it."""

    SOURCE = "source"  # its audio was edited, covered, continued
    REFERENCE = "reference"  # its sound was the model
    CODES = "codes"  # its 5 Hz codes were followed
    ADAPTER = "adapter"  # a LoRA was in use; it is no take, so it only has a name
    SETTINGS = "settings"  # its settings were copied into the form


class UserRole(StrEnum):
    """What a person may do in the studio."""

    ADMIN = "admin"  # everything, and with everybody's things
    MEMBER = "member"  # make things, and manage their own
    LISTENER = "listener"  # look at and listen to what the team shares
    LOCAL = "local"  # everything; the one person of a studio without sign-in, never stored


class Right(StrEnum):
    """What a role, or the key of a program, allows."""

    LISTEN = "listen"
    MAKE = "make"
    ADMINISTER = "administer"


class Visibility(StrEnum):
    """Who can find a thing beside its owner and administrators."""

    PRIVATE = "private"
    TEAM = "team"


class Deed(StrEnum):
    """What the audit log tells of."""

    SIGNED_IN = "signed in"
    GENERATED = "generated"
    LOADED = "loaded a model"
    TRAINED = "trained"
    STOPPED = "stopped"  # a job
    EXPORTED = "exported"
    SHARED = "shared"  # or took back
    TRASHED = "moved to the trash"
    DELETED = "deleted"
    CHANGED_ACCOUNT = "changed an account"
    MADE_KEY = "made an API key"
    REVOKED_KEY = "revoked an API key"
    PAUSED = "paused the queue"
    RESUMED = "let the queue go on"


def word(kind: type[StrEnum], length: int = 16) -> Enum:
    """Store a StrEnum by value in a plain VARCHAR, so a new member needs no DDL."""
    return Enum(kind, native_enum=False, length=length, values_callable=lambda words: [one.value for one in words])
