"""Reads LoKr and LoHa adapters: peft's folders, and the original's file of LyCORIS' LoKr (training.md 4.13).

Shapes and JSON only, as `formats`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from studio.engine.lora.layers import AdaptedLayer, AdapterKind, Stored, number
from studio.errors import CheckpointError

HEADER = "lokr_config"
_WHOLE_OR_PARTS = (("lokr_w1",), ("lokr_w1_a", "lokr_w1_b")), (("lokr_w2",), ("lokr_w2_a", "lokr_w2_b"))
_LOHA = ("hada_w1_a", "hada_w1_b", "hada_w2_a", "hada_w2_b")
_REFUSED = {
    "weight_decompose": "peft has no weight-decomposed LoKr",
    "use_scalar": "peft's LoKr has no trained factor of its own",
    "bypass_mode": "peft adds to the weights",
    "rs_lora": "peft's LoKr divides by the rank itself",
    "full_matrix": "peft decides by rank and size of a layer which block is kept whole",
    "unbalanced_factorization": "peft gives the smaller block to inputs and outputs alike",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Factors:
    """How LoKr divides a layer in two blocks."""

    factor: int = -1  # size of the smaller one; -1: near the square root
    decompose_both: bool = False


def factors(config: Mapping[str, object], file: Path, field: str = "decompose_factor") -> Factors:
    """Return them from a config, whose `field` holds the factor."""
    factor = config.get(field, -1)
    if not isinstance(factor, int) or isinstance(factor, bool) or (factor != -1 and factor < 1):
        raise CheckpointError(f"{file}: {field} must be -1 or a whole number above 0, got {factor!r}")
    return Factors(factor=factor, decompose_both=config.get("decompose_both") is True)


def layer(
    kind: AdapterKind, name: str, tensors: Mapping[str, Stored], config: Mapping[str, object], said: Path, file: Path
) -> AdaptedLayer:
    """Return a layer of a peft folder; `said` is the config's file, `file` holds the tensors."""
    outputs, inputs = _sizes(kind, name, tensors, file)
    rank = number(config, "r", "rank_pattern", name, said)
    return AdaptedLayer(
        rank=int(rank),
        alpha=number(config, "alpha", "alpha_pattern", name, said),
        inputs=inputs,
        outputs=outputs,
        tensors={part: stored.key for part, stored in tensors.items()},
    )


def original_config(header: Mapping[str, str] | None, file: Path) -> Mapping[str, object]:
    """Return the settings in the header of the original's LoKr file; raises CheckpointError for what peft can't do."""
    try:
        config = json.loads((header or {})[HEADER])
    except (KeyError, ValueError, RecursionError) as error:
        raise CheckpointError(f"{file}: its header must hold {HEADER}, JSON with dimension and factor") from error
    if not isinstance(config, dict):
        raise CheckpointError(f"{file}: {HEADER} must be a JSON object, got {type(config).__name__}")
    for field, reason in _REFUSED.items():
        if config.get(field):
            raise CheckpointError(f"{file}: {field} is on, and {reason}")
    return config


def original_layer(name: str, tensors: Mapping[str, Stored], config: Mapping[str, object], file: Path) -> AdaptedLayer:
    """Return a layer of the original's LoKr file; LyCORIS leaves out the strength where both blocks are whole."""
    shown = {part: stored for part, stored in tensors.items() if part != "alpha"}
    outputs, inputs = _sizes(AdapterKind.LOKR, name, shown, file)
    rank = number(config, "linear_dim", "", name, file)
    whole = {"lokr_w1", "lokr_w2"} <= set(shown)
    return AdaptedLayer(
        rank=int(rank),
        alpha=rank if whole else number(config, "linear_alpha", "", name, file),
        inputs=inputs,
        outputs=outputs,
        tensors={part: stored.key for part, stored in shown.items()},
    )


def _sizes(kind: AdapterKind, name: str, tensors: Mapping[str, Stored], file: Path) -> tuple[int, int]:
    """Outputs and inputs of the layer that these tensors are for."""
    if "dora_scale" in tensors:
        raise CheckpointError(f"{file}: {name} has a dora_scale, and {_REFUSED['weight_decompose']}")
    shapes = {part: stored.shape for part, stored in tensors.items()}
    if any(len(shape) != 2 for shape in shapes.values()):
        raise CheckpointError(f"{file}: {name} must have matrices only, got {sorted(shapes.items())}")
    if kind is AdapterKind.LOHA:
        if set(shapes) != set(_LOHA):
            raise CheckpointError(f"{file}: {name} must have {sorted(_LOHA)}, got {sorted(shapes)}")
        return shapes["hada_w1_a"][0], shapes["hada_w1_b"][1]
    outputs = inputs = 1
    used = set[str]()
    for choices in _WHOLE_OR_PARTS:
        parts = next((choice for choice in choices if set(choice) <= set(shapes)), ())
        if not parts:
            raise CheckpointError(f"{file}: {name} must have {' or '.join(map(str, choices))}, got {sorted(shapes)}")
        outputs, inputs = outputs * shapes[parts[0]][0], inputs * shapes[parts[-1]][1]
        used |= set(parts)
    if set(shapes) != used:
        raise CheckpointError(f"{file}: {name} has {sorted(set(shapes) - used)}, which is no part of a linear LoKr")
    return outputs, inputs
