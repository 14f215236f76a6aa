"""The settings of one training run, checked at birth, and their JSON form."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from enum import StrEnum
from pathlib import Path

from studio.engine.lora.layers import AdapterKind
from studio.engine.requests import MIN_DURATION
from studio.engine.sampling import is_number
from studio.errors import InvalidRequest, NotFound


class Timesteps(StrEnum):
    """How noise levels are drawn."""

    DISCRETE = "discrete"  # the eight levels turbo is used with
    LOGIT_NORMAL = "logit_normal"  # the larger of two draws, as the models were trained
    UNIFORM = "uniform"


class Optimizer(StrEnum):
    """What updates the weights."""

    ADAMW = "adamw"
    ADAMW8BIT = "adamw8bit"
    ADAFACTOR = "adafactor"


class Decay(StrEnum):
    """How the learning rate goes on after the warm-up."""

    COSINE = "cosine"
    LINEAR = "linear"
    CONSTANT = "constant"


ATTENTIONS = ("both", "self", "cross")
TARGETS: Mapping[str, str] = {  # the original's names and diffusers'
    "q_proj": "to_q",
    "k_proj": "to_k",
    "v_proj": "to_v",
    "o_proj": "to_out.0",
    "gate_proj": "gate_proj",
    "up_proj": "up_proj",
    "down_proj": "down_proj",
}
_RANGES: Mapping[str, tuple[float, float]] = {
    "rank": (1, 512),
    "alpha": (1, 1024),
    "dropout": (0, 0.9),
    "learning_rate": (1e-8, 1),
    "epochs": (1, 100_000),
    "batch_size": (1, 64),
    "accumulation": (1, 256),
    "warmup_steps": (0, 1_000_000),
    "weight_decay": (0, 1),
    "clip_norm": (1e-6, 1e6),
    "ema": (0, 0.99999),
    "validation": (0, 0.5),
    "factor": (-1, 512),
    "save_every": (1, 100_000),
    "save_steps": (0, 1_000_000),
    "sample_every": (0, 100_000),
    "sample_seconds": (MIN_DURATION, 120),
    "sample_seed": (0, 2**32 - 1),
    "keep": (1, 1000),
    "crop_frames": (0, 15_000),
    "seed": (0, 2**32 - 1),
}
_OPTIONAL: Mapping[str, tuple[float, float]] = {"shift": (1, 5), "condition_dropout": (0, 1)}
FREE = (  # change no weight, and may differ when a run is resumed
    "epochs",
    "save_every",
    "save_steps",
    "keep",
    "sample_every",
    "prompts",
    "sample_lyrics",
    "sample_seconds",
    "sample_seed",
)
KIND_DEFAULTS: Mapping[AdapterKind, Mapping[str, object]] = {  # where a kind differs from TrainSettings' own
    AdapterKind.LORA: {},
    AdapterKind.LOKR: {"learning_rate": 1e-3, "dropout": 0.0},
    AdapterKind.LOHA: {"learning_rate": 1e-3, "dropout": 0.0},
}
_REFUSED: Mapping[str, str] = {  # switches of the original's LoKr form that peft has no counterpart of
    "use_tucker": "be off: it decomposes convolutions, and the layers that are adapted are linear",
    "use_scalar": "be off: peft's LoKr has no trained factor of its own",
    "full_matrix": "be off: peft decides by rank and size of a layer which block is kept whole",
    "bypass_mode": "be off: peft adds to the weights",
    "rs_lora": "be off: peft's LoKr divides by the rank itself",
    "unbalanced_factorization": "be off: peft gives the smaller block to inputs and outputs alike",
}
MAX_PROMPTS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainSettings:
    """How an adapter is trained; None is what the model's family was made with."""

    adapter: AdapterKind = AdapterKind.LORA
    rank: int = 64
    alpha: int = 128
    dropout: float = 0.1  # LoRA: share of the inputs; else share of a layer's outputs
    factor: int = -1  # LoKr: size of the smaller Kronecker block; -1: near the square root
    decompose_both: bool = False  # LoKr: the smaller block too
    weight_decompose: bool = False  # LoRA: a trained length a row, DoRA
    targets: tuple[str, ...] = ("q_proj", "k_proj", "v_proj", "o_proj")
    attention: str = "both"
    learning_rate: float = 1e-4
    epochs: int = 100
    batch_size: int = 1
    accumulation: int = 4
    optimizer: Optimizer = Optimizer.ADAMW
    decay: Decay = Decay.COSINE
    warmup_steps: int = 100
    weight_decay: float = 0.01
    clip_norm: float = 1.0
    timesteps: Timesteps | None = None  # discrete on turbo, else logit_normal
    shift: float | None = None  # of discrete and uniform levels: the family's
    condition_dropout: float | None = None  # 0 on turbo, else 0.15
    checkpointing: bool = False
    ema: float = 0.0  # decay of the average that is exported; 0: none
    validation: float = 0.0  # share of the songs that are held out
    save_every: int = 10  # epochs
    save_steps: int = 0  # updates between more checkpoints; 0: none
    keep: int = 3  # checkpoints
    crop_frames: int = 0  # longest clip in latent frames, from a random place; 0: whole songs
    seed: int = 42
    sample_every: int = 0  # epochs between takes of the prompts; 0: none
    prompts: tuple[str, ...] = ()  # captions
    sample_lyrics: str = ""  # sung to every prompt; empty: instrumental
    sample_seconds: float = 10.0
    sample_seed: int = 42

    def __post_init__(self) -> None:
        for name, (low, high) in {**_RANGES, **_OPTIONAL}.items():
            value = getattr(self, name)
            if value is None and name in _OPTIONAL:
                continue
            if not is_number(value) or not low <= value <= high:
                raise InvalidRequest(name, f"be from {low:g} to {high:g}", value)
            if name in _RANGES and isinstance(_DEFAULTS.get(name), int) and not isinstance(value, int):
                raise InvalidRequest(name, "be a whole number", value)
        if not self.targets or not set(self.targets) <= set(TARGETS):
            raise InvalidRequest("targets", f"be some of {', '.join(TARGETS)}", list(self.targets))
        if self.attention not in ATTENTIONS:
            raise InvalidRequest("attention", f"be one of {', '.join(ATTENTIONS)}", self.attention)
        self._check_kind()
        self._check_prompts()

    def _check_kind(self) -> None:
        if self.weight_decompose and self.adapter is not AdapterKind.LORA:
            rule = f"be off with {self.adapter}: peft has it for LoRA only"
            raise InvalidRequest("weight_decompose", rule, True)
        for name, off in (("factor", -1), ("decompose_both", False)):
            if getattr(self, name) != off and self.adapter is not AdapterKind.LOKR:
                raise InvalidRequest(name, f"be {off} with {self.adapter}: only LoKr has it", getattr(self, name))
        if self.factor == 0:
            raise InvalidRequest("factor", "be -1 or above 0", 0)

    def _check_prompts(self) -> None:
        if len(self.prompts) > MAX_PROMPTS or any(not prompt.strip() for prompt in self.prompts):
            rule = f"be at most {MAX_PROMPTS} captions, none of them empty"
            raise InvalidRequest("prompts", rule, list(self.prompts))
        if self.sample_every and not self.prompts:
            raise InvalidRequest("prompts", "hold a caption when sample_every is above 0", [])

    def warmup(self, total: int) -> int:
        """Return the updates of the warm-up, at most a tenth of all (training.md 4.5)."""
        return min(self.warmup_steps, max(1, total // 10))

    def rate(self, step: int, total: int) -> float:
        """Return the learning rate of update `step` of `total`, both from 0: warm-up from a tenth, then the decay."""
        warmup = self.warmup(total)
        if step < warmup:
            return self.learning_rate * (0.1 + 0.9 * step / warmup)
        done = (step - warmup) / max(1, total - warmup)
        left = {Decay.COSINE: 0.5 * (1 + math.cos(math.pi * min(1.0, done))), Decay.LINEAR: 1 - min(1.0, done)}
        return self.learning_rate * (0.01 + 0.99 * left.get(self.decay, 1.0))

    def as_row(self) -> dict[str, object]:
        """Return the JSON form."""
        row = {name: value.value if isinstance(value, StrEnum) else value for name, value in asdict(self).items()}
        return row | {name: list(getattr(self, name)) for name in _LISTS}


_DEFAULTS: dict[str, object] = {item.name: item.default for item in fields(TrainSettings)}
_LISTS = ("targets", "prompts")
_SWITCHES = tuple(name for name, default in _DEFAULTS.items() if isinstance(default, bool))
_CHOICES: Mapping[str, type[StrEnum]] = {
    "adapter": AdapterKind,
    "timesteps": Timesteps,
    "optimizer": Optimizer,
    "decay": Decay,
}


def settings_of(row: Mapping[str, object]) -> TrainSettings:
    """Return the settings of a JSON form; what it leaves open is as usual for its kind of adapter.

    Raises InvalidRequest for an unknown key, a value that breaks its rule, and what peft can't do, with the reason.
    """
    values: dict[str, object] = {}
    for key, value in row.items():
        if key in _REFUSED:
            if value:
                raise InvalidRequest(key, _REFUSED[key], value)
            continue
        if key not in _DEFAULTS:
            raise InvalidRequest("training setting", f"be one of {', '.join(_DEFAULTS)}", key)
        values[key] = _value(key, value)
    kind = values.get("adapter", AdapterKind.LORA)
    return TrainSettings(**{**KIND_DEFAULTS[AdapterKind(str(kind))], **values})  # type: ignore[arg-type]


def _value(key: str, value: object) -> object:
    """One value of a JSON form as the settings hold it."""
    choices = _CHOICES.get(key)
    if choices is not None and not (value is None and _DEFAULTS[key] is None):
        if value not in list(choices):
            raise InvalidRequest(key, f"be one of {', '.join(choices)}", value)
        return choices(str(value))
    if key in _LISTS:
        if not isinstance(value, list | tuple) or not all(isinstance(one, str) for one in value):
            raise InvalidRequest(key, "be a list of texts", value)
        return tuple(value)
    if key in _SWITCHES and not isinstance(value, bool):
        raise InvalidRequest(key, "be true or false", value)
    if key == "sample_lyrics" and not isinstance(value, str):
        raise InvalidRequest(key, "be text", value)
    return value


def read_settings(path: Path) -> dict[str, object]:
    """Return the JSON object in a settings file; raises NotFound or InvalidRequest."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise NotFound(f"{path} can't be read: {error}") from error
    except (ValueError, RecursionError) as error:
        raise InvalidRequest("config", f"be JSON ({error})", str(path)) from error
    if not isinstance(content, dict):
        raise InvalidRequest("config", "be a JSON object", type(content).__name__)
    return content
