"""What a job can ask for, as an object and as the JSON its row keeps."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import ClassVar, NotRequired, TypedDict, cast

from studio.engine.dataset.labelling import Labelling, Skip
from studio.engine.dataset.preparation import Crop, Preparation
from studio.engine.lm.quality import check_sensitivity
from studio.engine.lm.requests import CreateRequest, FormatRequest
from studio.engine.lm.snapshot import Ask, AskKind, ask_from, ask_of_row, ask_row, ask_settings, kind_of
from studio.engine.lora.wanted import AdapterSet, adapter_set_from
from studio.engine.requests import AudioFormat, Request
from studio.engine.setup import Setup, setup_from
from studio.engine.snapshot import request_from, settings_of
from studio.engine.thinking import Thinking, thinking_from, thinking_settings
from studio.errors import StudioError
from studio.storage.models import Facts


class JobKind(StrEnum):
    """What the worker is asked to do."""

    GENERATE = "generate"
    INITIALIZE = "initialize"
    ADAPT = "adapt"
    CREATE_SAMPLE = AskKind.CREATE.value
    FORMAT = AskKind.FORMAT.value
    UNDERSTAND = AskKind.UNDERSTAND.value
    SCORE = "score"
    ENCODE = "encode"
    MEASURE = "measure"
    TIME_LYRICS = "time_lyrics"
    REPLAY = "replay"
    MIX = "mix"
    TRAIN = "train"
    LABEL = "label"
    PREPARE = "prepare"
    LISTEN = "listen"


BACKGROUND = frozenset({JobKind.MEASURE, JobKind.LISTEN})  # nobody waits for these: unseen, when nothing else runs
RESUMED = frozenset({JobKind.LABEL, JobKind.PREPARE, *BACKGROUND})  # put back, these lose little of what they did
LASTING = frozenset({JobKind.TRAIN})  # what does these outlives the worker, so its death is no sign that they caused it


@dataclass(frozen=True, slots=True, kw_only=True)
class LanguageModel:
    """Which language model to use, and how."""

    name: str
    backend: str = "pt"
    fallback: bool = False  # pt may take the place of a backend that can't be used
    device: str = ""  # empty: as the worker's settings say


@dataclass(frozen=True, slots=True, kw_only=True)
class Generate:
    """Make the takes of one batch."""

    kind: ClassVar[JobKind] = JobKind.GENERATE

    model: str  # checkpoint name
    audio_format: AudioFormat
    request: Request
    thinking: Thinking | None = None  # None: for tasks the language model has no part in
    lm: LanguageModel | None = None  # None: it isn't loaded, and nothing of `thinking` happens
    score: float | None = None  # sensitivity of the score every take gets (Auto Score); None: none
    adapters: AdapterSet = field(default_factory=AdapterSet)  # that it is made with, whatever is loaded by then
    words: CreateRequest | FormatRequest | None = None  # written by the language model first, for a text2music request


@dataclass(frozen=True, slots=True, kw_only=True)
class Initialize:
    """Load a checkpoint in place of the present one, and the language model with it."""

    kind: ClassVar[JobKind] = JobKind.INITIALIZE

    model: str
    setup: Setup | None = None  # None: as the worker's settings say
    init_llm: bool | None = None  # None: the language model stays as it is; False: it is unloaded
    lm: LanguageModel | None = None  # which one, with init_llm


@dataclass(frozen=True, slots=True, kw_only=True)
class Adapt:
    """Have these adapters on the loaded model from now on, in place of those there are."""

    kind: ClassVar[JobKind] = JobKind.ADAPT

    model: str
    adapters: AdapterSet


@dataclass(frozen=True, slots=True, kw_only=True)
class Write:
    """Ask the language model for words."""

    lm: LanguageModel
    ask: Ask

    @property
    def kind(self) -> JobKind:
        """The kind of job it is."""
        return JobKind(kind_of(self.ask).value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Encode:
    """Turn a piece of audio into codes."""

    kind: ClassVar[JobKind] = JobKind.ENCODE

    model: str
    source: Path


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
class ScoreTake:
    """Say how well a take fits its words, by all that is stored with it: its codes, and how it looks at its lyrics."""

    kind: ClassVar[JobKind] = JobKind.SCORE

    take_id: str
    sensitivity: float
    lm: LanguageModel | None  # None: none is loaded, and the codes are not judged

    def __post_init__(self) -> None:
        check_sensitivity(self.sensitivity)


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """Make the takes of one batch again and compare them with the stored ones."""

    kind: ClassVar[JobKind] = JobKind.REPLAY

    batch_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One recording of a mix."""

    path: Path
    name: str
    decibels: float  # gain


@dataclass(frozen=True, slots=True, kw_only=True)
class Mix:
    """Add stored recordings up to the one take of a batch."""

    kind: ClassVar[JobKind] = JobKind.MIX

    parts: tuple[Part, ...]
    audio_format: AudioFormat
    facts: Facts  # caption, bpm and the like, which the take inherits
    model: str = "mixer"  # what made the take


@dataclass(frozen=True, slots=True, kw_only=True)
class Train:
    """Do a training run, whose row says everything else."""

    kind: ClassVar[JobKind] = JobKind.TRAIN

    training_id: str
    model: str = ""  # that the worker holds


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """Have the language model describe the songs of a dataset."""

    kind: ClassVar[JobKind] = JobKind.LABEL

    dataset_id: str
    model: str  # whose audio tokenizer hears the songs
    lm: LanguageModel
    how: Labelling


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepare:
    """Turn the labelled songs of a dataset into what training reads."""

    kind: ClassVar[JobKind] = JobKind.PREPARE

    dataset_id: str
    model: str
    folder: Path
    how: Preparation


@dataclass(frozen=True, slots=True, kw_only=True)
class Listen:
    """Measure the songs of a dataset."""

    kind: ClassVar[JobKind] = JobKind.LISTEN

    dataset_id: str


Songs = Label | Prepare | Listen  # what is done with a dataset
Takes = Generate | Measure | TimeLyrics | ScoreTake | Replay | Mix
Payload = Takes | Initialize | Write | Encode | Adapt | Train | Songs


def model_of(payload: Payload) -> str:
    """Return the checkpoint a worker must hold for `payload`; empty where any will do or the worker finds out."""
    return payload.model if isinstance(payload, Generate | Encode | Label | Prepare | Adapt | Train) else ""


class _Stored(TypedDict):
    """The JSON of a job's `requested`; each kind has some of the keys."""

    model: str
    setup: NotRequired[Mapping[str, object] | None]
    init_llm: NotRequired[bool | None]
    audio_format: str
    request: Mapping[str, object]
    thinking: NotRequired[Mapping[str, object] | None]
    lm: NotRequired[Mapping[str, object] | None]
    score: NotRequired[float | None]
    words: NotRequired[Mapping[str, object] | None]
    source: str


def pack(payload: Payload) -> Facts:
    """Return the JSON to store for `payload`."""
    if isinstance(payload, Prepare):
        return {**asdict(payload), "folder": str(payload.folder)}
    if isinstance(payload, Adapt):
        return {"model": payload.model, **payload.adapters.as_row()}
    if isinstance(payload, Measure | TimeLyrics | ScoreTake | Replay | Train | Label | Listen):
        return asdict(payload)
    if isinstance(payload, Mix):
        parts = [{**asdict(part), "path": str(part.path)} for part in payload.parts]
        return {"parts": parts, "audio_format": payload.audio_format.value, "facts": payload.facts}
    if isinstance(payload, Encode):
        return {"model": payload.model, "source": str(payload.source)}
    lm = None if payload.lm is None else asdict(payload.lm)
    if isinstance(payload, Write):
        return {"lm": lm, "request": ask_settings(payload.ask)}
    if isinstance(payload, Initialize):
        setup = None if payload.setup is None else asdict(payload.setup)
        return {"model": payload.model, "setup": setup, "init_llm": payload.init_llm, "lm": lm}
    return {
        "model": payload.model,
        "audio_format": payload.audio_format.value,
        "request": dict(settings_of(payload.request)),
        "thinking": None if payload.thinking is None else thinking_settings(payload.thinking),
        "lm": lm,
        "score": payload.score,
        "words": None if payload.words is None else ask_row(payload.words),
        **payload.adapters.as_row(),
    }


def unpack(kind: str, facts: Facts) -> Payload:
    """Return the payload stored as `facts`, checked again; raises StudioError for a kind of another version."""
    if kind in _ABOUT_TAKES:
        return _ABOUT_TAKES[JobKind(kind)](facts)
    readers: Mapping[str, Callable[[_Stored], Payload]] = {
        JobKind.INITIALIZE: _initialize,
        JobKind.GENERATE: lambda stored: _generate(stored, adapter_set_from(facts)),
        JobKind.ADAPT: lambda stored: _adapt(stored["model"], facts),
        JobKind.MIX: lambda stored: _mix(facts),
        JobKind.TRAIN: lambda stored: Train(training_id=str(facts["training_id"]), model=str(facts.get("model", ""))),
        JobKind.LABEL: lambda stored: _label(facts),
        JobKind.PREPARE: lambda stored: _prepare(facts),
        JobKind.LISTEN: lambda stored: Listen(dataset_id=str(facts["dataset_id"])),
        JobKind.ENCODE: lambda stored: Encode(model=stored["model"], source=Path(stored["source"])),
    }
    stored = cast(_Stored, facts)
    if kind in readers:
        return readers[kind](stored)
    lm = _lm(stored)
    if kind in list(AskKind) and lm is not None:
        return Write(lm=lm, ask=ask_from(AskKind(kind), stored["request"]))
    raise StudioError(f"this version of the studio can't do jobs of kind {kind!r}")


def _initialize(stored: _Stored) -> Initialize:
    setup = stored.get("setup")
    return Initialize(
        model=stored["model"],
        setup=None if setup is None else setup_from(setup),
        init_llm=stored.get("init_llm"),
        lm=_lm(stored),
    )


def _adapt(model: str, facts: Facts) -> Adapt:
    if "adapters" not in facts:  # written before a job named all of them
        raise StudioError("this version of the studio can't do this change of the adapter; ask for it again")
    return Adapt(model=model, adapters=adapter_set_from(facts))


def _mix(facts: Facts) -> Mix:
    parts = cast(list[dict[str, object]], facts["parts"])
    return Mix(
        parts=tuple(
            Part(path=Path(str(part["path"])), name=str(part["name"]), decibels=float(str(part["decibels"])))
            for part in parts
        ),
        audio_format=AudioFormat(str(facts["audio_format"])),
        facts=cast(Facts, facts["facts"]),
    )


def _label(facts: Facts) -> Label:
    how = cast(dict[str, object], facts["how"])
    return Label(
        dataset_id=str(facts["dataset_id"]),
        model=str(facts["model"]),
        lm=language_model_from(cast(dict[str, object], facts["lm"])),
        how=Labelling(**{**how, "skip": Skip(str(how["skip"]))}),  # type: ignore[arg-type]  # written by this class
    )


def _prepare(facts: Facts) -> Prepare:
    how = cast(dict[str, object], facts["how"])
    return Prepare(
        dataset_id=str(facts["dataset_id"]),
        model=str(facts["model"]),
        folder=Path(str(facts["folder"])),
        how=Preparation(**{**how, "crop": Crop(str(how["crop"]))}),  # type: ignore[arg-type]  # as above
    )


def _generate(stored: _Stored, adapters: AdapterSet) -> Generate:
    thinking, words = stored.get("thinking"), stored.get("words")
    return Generate(
        model=stored["model"],
        audio_format=AudioFormat(stored["audio_format"]),
        request=request_from(stored["request"]),
        thinking=None if thinking is None else thinking_from(thinking),
        lm=_lm(stored),
        score=stored.get("score"),
        adapters=adapters,
        words=None if words is None else ask_of_row(words),
    )


def _lm(stored: _Stored) -> LanguageModel | None:
    lm = stored.get("lm")
    return None if lm is None else language_model_from(lm)


def language_model_from(stored: Mapping[str, object]) -> LanguageModel:
    """Rebuild a language model's name and choices from what `dataclasses.asdict` gave after a way through JSON."""
    return LanguageModel(
        name=str(stored["name"]),
        backend=str(stored["backend"]),
        fallback=bool(stored["fallback"]),
        device=str(stored.get("device", "")),
    )


_ABOUT_TAKES: Mapping[JobKind, Callable[[Facts], Payload]] = {
    JobKind.MEASURE: lambda facts: Measure(batch_id=str(facts["batch_id"])),
    JobKind.TIME_LYRICS: lambda facts: TimeLyrics(take_id=str(facts["take_id"])),
    JobKind.SCORE: lambda facts: ScoreTake(
        take_id=str(facts["take_id"]), sensitivity=float(str(facts["sensitivity"])), lm=_lm(cast(_Stored, facts))
    ),
    JobKind.REPLAY: lambda facts: Replay(batch_id=str(facts["batch_id"])),
}
