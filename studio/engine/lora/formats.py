"""Reads adapter folders: which kind, which layers, which ranks and scales (training.md 5.2).

Names, shapes and JSON only, so pages and services can check a folder without torch.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from safetensors import SafetensorError, safe_open

from studio.engine.model_spec import read_json
from studio.errors import CheckpointError, InvalidRequest, NotFound

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
LOKR_WEIGHTS = "lokr_weights.safetensors"
_GENERIC = ("adapter", "final")  # folder names training uses for every adapter; the parent's says more
# Who saved the file decides what stands before the DiT's own names: PEFT, PEFT on the whole model, other runtimes.
_PREFIXES = ("base_model.model.", "diffusion_model.", "transformer.", "decoder.")
_TENSOR = re.compile(r"(?P<layer>.+)\.(?P<part>lora_A|lora_B|lora_magnitude_vector)(\.default)?(\.weight)?")
_FLOATING = ("F64", "F32", "F16", "BF16")
_UNSUPPORTED = (  # fields of adapter_config.json that change what an adapter computes in ways this engine doesn't
    "modules_to_save",
    "fan_in_fan_out",
    "layer_replication",
    "target_parameters",
    "trainable_token_indices",
    "alora_invocation_tokens",
    "arrow_config",
    "use_qalora",
    "use_bdlora",
    "lora_bias",
)


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
    tensors: Mapping[str, str]  # key in the file by part: "lora_A", "lora_B", "lora_magnitude_vector"


@dataclass(frozen=True, slots=True, kw_only=True)
class AdapterInfo:
    """One adapter folder that was read."""

    name: str
    path: Path  # the folder with the weights
    kind: AdapterKind
    layers: Mapping[str, AdaptedLayer]  # by the name the file gives them; empty for LoKr
    rank_stabilized: bool = False
    dora: bool = False

    @property
    def files(self) -> tuple[Path, ...]:
        """The files that make this adapter."""
        names = (LOKR_WEIGHTS,) if self.kind is AdapterKind.LOKR else (CONFIG, WEIGHTS)
        return tuple(self.path / name for name in names)

    @property
    def rank(self) -> int:
        """The largest rank."""
        return max((layer.rank for layer in self.layers.values()), default=0)


def inspect_adapter(path: str | Path) -> AdapterInfo:
    """Read the adapter in folder `path`, or in the one folder inside it that holds one.

    Raises InvalidRequest for an empty path, NotFound when there is no such path, CheckpointError naming the file and
    the first fault otherwise.
    """
    if not str(path).strip():
        raise InvalidRequest("lora_path", "name an adapter folder", str(path))
    given = Path(path).expanduser()
    if not given.exists():
        raise NotFound(f"there is no adapter at {given}")
    folder = _adapter_folder(given.parent if given.name in (CONFIG, WEIGHTS, LOKR_WEIGHTS) else given)
    name = folder.resolve().parent.name if folder.name in _GENERIC else folder.resolve().name
    if (folder / CONFIG).is_file():
        return _lora(folder, name)
    return AdapterInfo(name=name, path=folder, kind=AdapterKind.LOKR, layers={})


def adapter_hash(info: AdapterInfo) -> str:
    """Return the SHA-256 over names and contents of the adapter's files: it names the adapter wherever it lies."""
    total = hashlib.sha256()
    for file in info.files:
        with file.open("rb") as content:
            total.update(f"{file.name} {hashlib.file_digest(content, 'sha256').hexdigest()}\n".encode())
    return total.hexdigest()


def _adapter_folder(given: Path) -> Path:
    """The folder itself, else `adapter` inside it, else the only folder inside it that holds an adapter."""
    if _holds_adapter(given):
        return given
    inside = [child for child in sorted(given.iterdir()) if _holds_adapter(child)] if given.is_dir() else []
    named = [child for child in inside if child.name == "adapter"]
    found = named or inside
    if not found:
        raise CheckpointError(f"{given} holds no adapter: neither {CONFIG} nor {LOKR_WEIGHTS} is in it or right below")
    if len(found) > 1:
        names = ", ".join(child.name for child in found)
        raise CheckpointError(f"{given} holds {len(found)} adapters, choose one of them: {names}")
    return found[0]


def _holds_adapter(folder: Path) -> bool:
    return (folder / CONFIG).is_file() or (folder / LOKR_WEIGHTS).is_file()


def _lora(folder: Path, name: str) -> AdapterInfo:
    config = read_json(folder / CONFIG)
    _check_config(config, folder / CONFIG)
    parts = _parts(folder / WEIGHTS)
    dora = config.get("use_dora") is True
    return AdapterInfo(
        name=name,
        path=folder,
        kind=AdapterKind.LORA,
        layers={layer: _layer(layer, tensors, config, dora, folder) for layer, tensors in sorted(parts.items())},
        rank_stabilized=config.get("use_rslora") is True,
        dora=dora,
    )


def _check_config(config: Mapping[str, object], file: Path) -> None:
    if str(config.get("peft_type")).upper() != "LORA":
        raise CheckpointError(f"{file}: peft_type must be LORA, got {config.get('peft_type')!r}")
    if config.get("bias", "none") != "none":
        raise CheckpointError(f"{file}: bias must be 'none', got {config['bias']!r}")
    for field in _UNSUPPORTED:
        if config.get(field):
            raise CheckpointError(f"{file}: {field} is not supported, got {config[field]!r}")


@dataclass(frozen=True, slots=True)
class _Stored:
    """A tensor in the weights file."""

    key: str
    shape: tuple[int, ...]


def _parts(file: Path) -> dict[str, dict[str, _Stored]]:
    """The tensors of each layer by part."""
    if not file.is_file():
        raise CheckpointError(f"{file} is missing; adapters stored as pickles (.bin, .pt) are not read")
    parts: dict[str, dict[str, _Stored]] = {}
    try:
        with safe_open(file, framework="numpy") as tensors:
            keys: list[str] = sorted(tensors.keys())
            for key in keys:
                view = tensors.get_slice(key)
                if view.get_dtype() not in _FLOATING:
                    raise CheckpointError(f"{file}: {key} must hold floating point numbers, got {view.get_dtype()}")
                match = _TENSOR.fullmatch(_without_prefix(key))
                if match is None:
                    raise CheckpointError(f"{file}: {key} is no part of a LoRA (lora_A, lora_B, lora_magnitude_vector)")
                parts.setdefault(match["layer"], {})[match["part"]] = _Stored(key, tuple(view.get_shape()))
    except SafetensorError as error:
        raise CheckpointError(f"{file} is truncated or damaged ({file.stat().st_size} bytes): {error}") from error
    if not parts:
        raise CheckpointError(f"{file} holds no tensors")
    return parts


def _without_prefix(key: str) -> str:
    for prefix in _PREFIXES:
        key = key.removeprefix(prefix)
    return key


def _layer(
    name: str, tensors: Mapping[str, _Stored], config: Mapping[str, object], dora: bool, folder: Path
) -> AdaptedLayer:
    """A is `[rank, inputs]`, B `[outputs, rank]`; the config must state the same rank, for the scale follows it."""
    needed = {"lora_A", "lora_B"} | ({"lora_magnitude_vector"} if dora else set())
    if set(tensors) != needed:
        raise CheckpointError(f"{folder / WEIGHTS}: {name} must have {sorted(needed)}, got {sorted(tensors)}")
    first, second = tensors["lora_A"], tensors["lora_B"]
    if len(first.shape) != 2 or len(second.shape) != 2 or first.shape[0] != second.shape[1]:
        raise CheckpointError(
            f"{folder / WEIGHTS}: {name} must have lora_A [rank, inputs] and lora_B [outputs, rank], "
            f"got {list(first.shape)} and {list(second.shape)}"
        )
    rank = _number(config, "r", "rank_pattern", name, folder / CONFIG)
    if rank != first.shape[0]:
        raise CheckpointError(f"{folder / CONFIG}: r is {rank:g} for {name}, its lora_A has rank {first.shape[0]}")
    return AdaptedLayer(
        rank=first.shape[0],
        alpha=_number(config, "lora_alpha", "alpha_pattern", name, folder / CONFIG),
        inputs=first.shape[1],
        outputs=second.shape[0],
        tensors={part: stored.key for part, stored in tensors.items()},
    )


def _number(config: Mapping[str, object], field: str, pattern_field: str, layer: str, file: Path) -> float:
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
