"""What a job can ask for, as an object and as the JSON its row keeps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import ClassVar, NotRequired, TypedDict, cast

from studio.engine.requests import AudioFormat, Request
from studio.engine.setup import Setup, setup_from
from studio.engine.snapshot import request_from, settings_of
from studio.errors import StudioError
from studio.storage.models import Facts


class JobKind(StrEnum):
    """What the worker is asked to do."""

    GENERATE = "generate"
    INITIALIZE = "initialize"
    ADAPT = "adapt"


@dataclass(frozen=True, slots=True, kw_only=True)
class Generate:
    """Make the takes of one batch."""

    kind: ClassVar[JobKind] = JobKind.GENERATE

    model: str  # checkpoint name
    audio_format: AudioFormat
    request: Request


@dataclass(frozen=True, slots=True, kw_only=True)
class Initialize:
    """Load a checkpoint in place of the present one."""

    kind: ClassVar[JobKind] = JobKind.INITIALIZE

    model: str
    setup: Setup | None = None  # None: as the worker's settings say


class AdaptAction(StrEnum):
    """What is done with the adapter of the loaded model."""

    LOAD = "load"  # in place of the one there is
    UNLOAD = "unload"
    USE = "use"  # switch it on or off
    SCALE = "scale"


@dataclass(frozen=True, slots=True, kw_only=True)
class Adapt:
    """Load, weigh, switch or remove the LoRA adapter of the loaded model."""

    kind: ClassVar[JobKind] = JobKind.ADAPT

    model: str
    action: AdaptAction
    path: str = ""  # for load
    scale: float = 1.0  # for load and scale
    on: bool = True  # for use


Payload = Generate | Initialize | Adapt


class _Stored(TypedDict):
    """The JSON of a job's `requested`; the last two only for generate, setup only for initialize."""

    model: str
    setup: NotRequired[Mapping[str, object] | None]
    audio_format: str
    request: Mapping[str, object]


def pack(payload: Payload) -> Facts:
    """Return the JSON to store for `payload`."""
    if isinstance(payload, Initialize):
        return {"model": payload.model, "setup": None if payload.setup is None else asdict(payload.setup)}
    if isinstance(payload, Adapt):
        return asdict(payload)
    return {
        "model": payload.model,
        "audio_format": payload.audio_format.value,
        "request": dict(settings_of(payload.request)),
    }


def unpack(kind: str, facts: Facts) -> Payload:
    """Return the payload stored as `facts`, checked again; raises StudioError for a kind of another version."""
    stored = cast(_Stored, facts)
    if kind == JobKind.INITIALIZE:
        return Initialize(model=stored["model"], setup=_setup(stored.get("setup")))
    if kind == JobKind.ADAPT:
        return Adapt(**{**facts, "action": AdaptAction(str(facts["action"]))})  # type: ignore[arg-type]  # as packed
    if kind == JobKind.GENERATE:
        return Generate(
            model=stored["model"],
            audio_format=AudioFormat(stored["audio_format"]),
            request=request_from(stored["request"]),
        )
    raise StudioError(f"this version of the studio can't do jobs of kind {kind!r}")


def _setup(stored: Mapping[str, object] | None) -> Setup | None:
    return None if stored is None else setup_from(stored)
