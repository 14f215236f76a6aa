"""What programs send: the services' own dataclasses, refusing unknown keys, and what no service has a class for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, TypeVar, dataclass_transform

from pydantic import BaseModel, ConfigDict, Field, JsonValue, WithJsonSchema, with_config

from studio.engine.dataset.labelling import Labelling
from studio.engine.dataset.preparation import Preparation
from studio.engine.lm.backend import BackendName
from studio.engine.setup import Setup
from studio.services.asks import CreateSample, Format, LmSampling, Understand
from studio.services.forms import DEFAULTS
from studio.services.views import Visibility

_STRICT = ConfigDict(extra="forbid")
_KINDS: Mapping[type[object], str] = {bool: "boolean", int: "integer", float: "number", str: "string", list: "array"}
_NULLABLE: Mapping[str, str] = {  # keys of a form whose default says no kind
    "bpm": "integer",
    "inference_steps": "integer",
    "shift": "number",
    "guidance_scale": "number",
    "cover_quantized": "boolean",
}
Kind = TypeVar("Kind")


@dataclass_transform(kw_only_default=True, frozen_default=True)
def body(kind: type[Kind]) -> type[Kind]:
    """Make a subclass of a service's dataclass a body that refuses unknown keys."""
    return with_config(_STRICT)(dataclass(frozen=True, slots=True, kw_only=True)(kind))


def _form_schema() -> dict[str, JsonValue]:
    """Describe a form as JSON Schema, from the services' own defaults; its rules are the services'."""
    keys: dict[str, JsonValue] = {
        name: {"type": _KINDS[type(default)], "default": default}  # type: ignore[dict-item]  # defaults are JSON values
        for name, default in DEFAULTS.items()
        if default is not None
    }
    optional: dict[str, JsonValue] = {name: {"type": [kind, "null"]} for name, kind in _NULLABLE.items()}
    return {"type": "object", "properties": {**keys, **optional}, "additionalProperties": False}


Form = Annotated[dict[str, JsonValue], WithJsonSchema(_form_schema())]


class Body(BaseModel):
    """A body that refuses unknown keys."""

    model_config = _STRICT


@body
class Draws(LmSampling):
    """How the language model draws words."""


@body
class SampleWish(CreateSample):
    """A whole song from a wish in plain words; an empty one lets the model invent a song."""

    sampling: Draws = field(default_factory=Draws)


@body
class FormatWish(Format):
    """A fuller caption and better-shaped lyrics; every fact that is given is kept."""

    sampling: Draws = field(default_factory=Draws)


@body
class UnderstandWish(Understand):
    """Caption, lyrics and facts of the music in audio codes."""

    sampling: Draws = field(default_factory=Draws)


@body
class HowToLabel(Labelling):
    """What labelling asks the language model for."""


@body
class HowToPrepare(Preparation):
    """What is kept of songs."""


@body
class HowToLoad(Setup):
    """How a checkpoint is kept in memory; null takes what the device's tier has."""


class Model(Body):
    """Which checkpoint to load, and how."""

    model: str
    setup: HowToLoad | None = None  # null: as the worker's settings say
    init_llm: bool | None = None  # true loads a language model too, false unloads it, null leaves it
    lm_model: str = ""  # empty: the first there is
    lm_backend: BackendName = BackendName.PT
    lm_fallback: bool = False  # pt may take the place of another backend


class AdapterToLoad(Body):
    """An adapter's folder."""

    path: str
    scale: float = 1.0  # 0 to 1
    beside: bool = False  # beside those that are loaded, instead of in their place


class Weight(Body):
    """How strong a loaded adapter is."""

    name: str
    scale: float  # 0 to 1


class Title(Body):
    """A take's title; empty takes it away."""

    title: str


class Rating(Body):
    """A take's stars, 1 to 5; 0 takes them away."""

    rating: int


class Favourite(Body):
    """Whether a take is a favourite."""

    favourite: bool


class Tags(Body):
    """All tags of a take."""

    tags: list[str]


class Sight(Body):
    """Who may look."""

    visibility: Visibility


class Lrc(Body):
    """Lyrics with times, as a .lrc file has them; empty takes the subtitles away."""

    lrc: str


class Sensitivity(Body):
    """How strongly a score reacts; lower is stronger."""

    sensitivity: float = Field(default=0.5, ge=0.01, le=1)


class AudioSource(Body):
    """What is turned into codes: the key of an upload."""

    src_audio: str


class Folder(Body):
    """A folder of songs below the dataset roots; a working dataset of the same folder is completed."""

    folder: str
    dataset: str | None = None


class File(Body):
    """A dataset file below the dataset roots."""

    path: str


class DatasetSettings(Body):
    """Settings that hold for all songs: name, all_instrumental, custom_tag, tag_position, genre_ratio."""

    revision: int  # of the dataset as it was seen
    settings: dict[str, JsonValue]


class SongChanges(Body):
    """Changed values of songs, by the song's id."""

    revision: int  # of the dataset as it was seen
    songs: dict[str, dict[str, JsonValue]]


class Tensors(Body):
    """Where tensors are written, and what is kept of songs."""

    folder: str
    how: HowToPrepare = Field(default_factory=HowToPrepare)


class SaveAs(Body):
    """A file below the dataset roots; one that somebody else wrote is replaced only with `over`."""

    path: str
    over: bool = False


class Run(Body):
    """A training run: prepared songs, where its files go, and the settings that differ from the defaults."""

    tensors: str
    out: str
    settings: dict[str, JsonValue] = {}
    resume: str = ""  # folder of a checkpoint or a run
    unquantize: bool = False  # load a quantized model again without quantization first


class Export(Body):
    """The folder of a run, and where its adapter goes."""

    out: str
    target: str
    checkpoint: str = ""  # empty: the final one, else the newest
    replace: bool = False


class Reason(Body):
    """Why the queue is paused."""

    reason: str = ""
