"""What a job can ask for, as an object and as the JSON its row keeps."""

from __future__ import annotations

from collections.abc import Callable, Mapping
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
    MEASURE = "measure"
    TIME_LYRICS = "time_lyrics"
    REPLAY = "replay"


BACKGROUND = frozenset({JobKind.MEASURE})  # nobody waits for these: they run when nothing else does, and unseen


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """Measure the takes of one batch and complete what is known of them."""

    kind: ClassVar[JobKind] = JobKind.MEASURE

    batch_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeLyrics:
    """Find out when the lines of one take are sung."""

    kind: ClassVar[JobKind] = JobKind.TIME_LYRICS

    take_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """Make the takes of one batch again and compare them with the stored ones."""

    kind: ClassVar[JobKind] = JobKind.REPLAY

    batch_id: str


Payload = Generate | Initialize | Measure | TimeLyrics | Replay


class _Stored(TypedDict):
    """The JSON of a job's `requested`; the last two only for generate, setup only for initialize."""

    model: str
    setup: NotRequired[Mapping[str, object] | None]
    audio_format: str
    request: Mapping[str, object]


def pack(payload: Payload) -> Facts:
    """Return the JSON to store for `payload`."""
    if isinstance(payload, Measure | TimeLyrics | Replay):
        return asdict(payload)
    if isinstance(payload, Initialize):
        return {"model": payload.model, "setup": None if payload.setup is None else asdict(payload.setup)}
    return {
        "model": payload.model,
        "audio_format": payload.audio_format.value,
        "request": dict(settings_of(payload.request)),
    }


def unpack(kind: str, facts: Facts) -> Payload:
    """Return the payload stored as `facts`, checked again; raises StudioError for a kind of another version."""
    if kind in _ABOUT_TAKES:
        return _ABOUT_TAKES[JobKind(kind)](facts)
    stored = cast(_Stored, facts)
    if kind == JobKind.INITIALIZE:
        return Initialize(model=stored["model"], setup=_setup(stored.get("setup")))
    if kind == JobKind.GENERATE:
        return Generate(
            model=stored["model"],
            audio_format=AudioFormat(stored["audio_format"]),
            request=request_from(stored["request"]),
        )
    raise StudioError(f"this version of the studio can't do jobs of kind {kind!r}")


_ABOUT_TAKES: Mapping[JobKind, Callable[[Facts], Payload]] = {
    JobKind.MEASURE: lambda facts: Measure(batch_id=str(facts["batch_id"])),
    JobKind.TIME_LYRICS: lambda facts: TimeLyrics(take_id=str(facts["take_id"])),
    JobKind.REPLAY: lambda facts: Replay(batch_id=str(facts["batch_id"])),
}


def _setup(stored: Mapping[str, object] | None) -> Setup | None:
    return None if stored is None else setup_from(stored)
