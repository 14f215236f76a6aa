"""The error tree of the studio; the user interface shows only these.

StudioError
├── InvalidRequest      a value the user gave breaks a rule
├── NotFound            a named thing does not exist
├── Conflict            somebody changed it meanwhile
├── QueueFull           as many jobs of this person wait as may
├── PermissionDenied    this person may not do that
├── SignInNeeded        nobody is signed in
├── LinkExpired         a signed link is too old or was changed
├── CheckpointError     a model folder can't be used
├── FetchFailed         a published checkpoint can't be downloaded
├── AudioError          an audio file can't be read or written
├── ModelNotReady       no model is loaded yet
├── BackendError        a language-model backend can't start or lost step
├── OutOfMemory         the device has too little memory for this request
├── SilentOutput        the model's result holds no sound
├── StorageError        database or artifact store can't be used
├── LeaseLost           another worker owns this job now
└── Cancelled           the user cancelled
"""

from __future__ import annotations


class StudioError(Exception):
    """Anything the studio can explain to a person; `str(error)` is the message they read."""


class InvalidRequest(StudioError):
    """A value breaks a rule; names the field, the rule and the value."""

    def __init__(self, field: str, rule: str, value: object) -> None:
        self.field = field
        self.rule = rule
        self.value = value
        super().__init__(f"{field} must {rule}, got {value!r}")

    def __reduce__(self) -> tuple[type[InvalidRequest], tuple[str, str, object]]:
        """Pickle by the three parts, so the error survives a process boundary."""
        return type(self), (self.field, self.rule, self.value)


class NotFound(StudioError):
    """A named take, batch, job, model or file does not exist."""


class Conflict(StudioError):
    """Somebody, or another tab, changed the same thing since this person saw it; nothing was stored."""


class QueueFull(StudioError):
    """As many jobs of this person wait as may; nothing was stored."""


class PermissionDenied(StudioError):
    """This person may not do that."""


class SignInNeeded(StudioError):
    """Nobody is signed in, or not any more."""


class LinkExpired(StudioError):
    """A signed link is too old or was changed."""


class CheckpointError(StudioError):
    """A model folder is missing, incomplete, damaged or of an unknown kind."""


class FetchFailed(StudioError):
    """A published checkpoint can't be downloaded."""


class AudioError(StudioError):
    """An audio file can't be read or written."""


class ModelNotReady(StudioError):
    """No model is loaded yet."""


class BackendError(StudioError):
    """A language-model backend isn't installed, can't start or broke its own rules while it wrote."""


class OutOfMemory(StudioError):
    """The device has too little memory for this request."""


class SilentOutput(StudioError):
    """The model's result holds no sound."""


class StorageError(StudioError):
    """The database or the artifact store can't be used."""


class LeaseLost(StudioError):
    """Another worker owns this job now; nothing may be written for it."""


class Cancelled(StudioError):
    """The user cancelled."""
