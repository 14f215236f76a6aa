"""The settings of one training run, checked at birth, and their JSON form."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from enum import StrEnum
from pathlib import Path

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
    "save_every": (1, 100_000),
    "keep": (1, 1000),
    "crop_frames": (0, 15_000),
    "seed": (0, 2**32 - 1),
}
_OPTIONAL: Mapping[str, tuple[float, float]] = {"shift": (1, 5), "condition_dropout": (0, 1)}
FREE = ("epochs", "save_every", "keep")  # may differ when a run is resumed


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainSettings:
    """How an adapter is trained; None is what the model's family was made with."""

    rank: int = 64
    alpha: int = 128
    dropout: float = 0.1
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
    keep: int = 3  # checkpoints
    crop_frames: int = 0  # longest clip in latent frames, from a random place; 0: whole songs
    seed: int = 42

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
        return row | {"targets": list(self.targets)}


_DEFAULTS: dict[str, object] = {item.name: item.default for item in fields(TrainSettings)}
_CHOICES = {"timesteps": Timesteps, "optimizer": Optimizer, "decay": Decay}


def settings_of(row: Mapping[str, object]) -> TrainSettings:
    """Return the settings of a JSON form; raises InvalidRequest for an unknown key or a value that breaks its rule."""
    values: dict[str, object] = {}
    for key, value in row.items():
        if key not in _DEFAULTS:
            raise InvalidRequest("training setting", f"be one of {', '.join(_DEFAULTS)}", key)
        kind = _CHOICES.get(key)
        if kind is not None and value is not None and value not in list(kind):
            raise InvalidRequest(key, f"be one of {', '.join(kind)}", value)
        if key == "targets" and (not isinstance(value, list | tuple) or not all(isinstance(one, str) for one in value)):
            raise InvalidRequest(key, "be a list of names", value)
        values[key] = kind(value) if kind and value is not None else tuple(value) if key == "targets" else value  # type: ignore[arg-type]
    return TrainSettings(**values)  # type: ignore[arg-type]


def read_settings(path: Path) -> dict[str, object]:
    """Return the JSON object in a settings file; raises NotFound or InvalidRequest."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise NotFound(f"{path} can't be read: {error}") from error
    except ValueError as error:
        raise InvalidRequest("config", f"be JSON ({error})", str(path)) from error
    if not isinstance(content, dict):
        raise InvalidRequest("config", "be a JSON object", type(content).__name__)
    return content
