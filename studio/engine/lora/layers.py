"""What every kind of adapter says of a layer, and the numbers of its config that hold for one (training.md 5.2)."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from studio.errors import CheckpointError


class AdapterKind(StrEnum):
    """How an adapter changes a layer."""

    LORA = "lora"  # adds a product of two thin matrices; with a magnitude a row it is DoRA
    LOKR = "lokr"  # adds a Kronecker product
    LOHA = "loha"  # adds the elementwise product of two such products


@dataclass(frozen=True, slots=True, kw_only=True)
class AdaptedLayer:
    """What an adapter holds for one linear layer; the shapes are those in the file."""

    rank: int
    alpha: float  # the layer's output is changed by alpha / rank, or alpha / sqrt(rank) when rank-stabilised
    inputs: int
    outputs: int
    tensors: Mapping[str, str]  # key in the file by part: "lora_A", "lokr_w1", "hada_w1_a" and so on


@dataclass(frozen=True, slots=True)
class Stored:
    """A tensor in the weights file."""

    key: str
    shape: tuple[int, ...]


def number(config: Mapping[str, object], field: str, pattern_field: str, layer: str, file: Path) -> float:
    """The value for one layer: that of the first pattern that ends its name, as PEFT reads them, else the general."""
    value = config.get(field)
    patterns = config.get(pattern_field) or {}
    if not isinstance(patterns, dict):
        raise CheckpointError(f"{file}: {pattern_field} must be a JSON object, got {json.dumps(patterns)}")
    for pattern, own in patterns.items():
        try:
            fits = re.fullmatch(rf"(.*\.)?({pattern})", layer)
        except re.error as error:
            raise CheckpointError(f"{file}: {pattern_field} holds {pattern!r}, which is no pattern: {error}") from error
        if fits:
            value = own
            break
    if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value) or value <= 0:
        raise CheckpointError(f"{file}: {field} must be a number above 0, got {value!r}")
    return value
