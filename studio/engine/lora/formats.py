"""Reads adapter folders: which kind, which layers, which ranks and scales (training.md 5.2).

Names, shapes and JSON only, so pages and services can check a folder without torch.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from safetensors import SafetensorError, safe_open

from studio.engine.lora import lycoris
from studio.engine.lora.layers import AdaptedLayer, AdapterKind, Stored, number
from studio.engine.lora.lycoris import Factors
from studio.engine.model_spec import read_json
from studio.errors import CheckpointError, InvalidRequest, NotFound

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
LOKR_WEIGHTS = "lokr_weights.safetensors"
BASE = "studio.json"  # ours beside them, for the weights don't say whose they are
_GENERIC = ("adapter", "final")  # folder names training uses for every adapter; the parent's says more
# Who saved the file decides what stands before the DiT's own names: PEFT, PEFT on the whole model, other runtimes.
_PREFIXES = ("base_model.model.", "diffusion_model.", "transformer.", "decoder.", "lycoris_")
_PARTS: Mapping[AdapterKind, str] = {
    AdapterKind.LORA: "lora_A|lora_B|lora_magnitude_vector",
    AdapterKind.LOKR: "lokr_w1|lokr_w1_a|lokr_w1_b|lokr_w2|lokr_w2_a|lokr_w2_b",
    AdapterKind.LOHA: "hada_w1_a|hada_w1_b|hada_w2_a|hada_w2_b",
}
_ORIGINAL_PARTS = f"{_PARTS[AdapterKind.LOKR]}|alpha|dora_scale"
_NAMES = {AdapterKind.LORA: "LoRA", AdapterKind.LOKR: "LoKr", AdapterKind.LOHA: "LoHa"}
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


@dataclass(frozen=True, slots=True, kw_only=True)
class AdapterInfo:
    """One adapter folder that was read."""

    name: str
    path: Path  # the folder with the weights
    kind: AdapterKind
    layers: Mapping[str, AdaptedLayer]  # by the name the file gives them; LyCORIS writes _ for every dot
    rank_stabilized: bool = False
    dora: bool = False
    factors: Factors = field(default_factory=Factors)  # of LoKr
    original: bool = False  # the original's file of LyCORIS' LoKr

    @property
    def weights(self) -> Path:
        """The file with the tensors."""
        return self.path / (LOKR_WEIGHTS if self.original else WEIGHTS)

    @property
    def files(self) -> tuple[Path, ...]:
        """The files that make this adapter."""
        names = (LOKR_WEIGHTS,) if self.original else (CONFIG, WEIGHTS)
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
    given = Path(os.path.expanduser(path))
    if not os.path.exists(given):  # unlike Path's, it knows no path that can't be asked for
        raise NotFound(f"there is no adapter at {given}")
    folder = _adapter_folder(given.parent if given.name in (CONFIG, WEIGHTS, LOKR_WEIGHTS) else given)
    told = folder.resolve()
    while told.name in _GENERIC:
        told = told.parent
    name = told.name
    if (folder / CONFIG).is_file():
        return _peft(folder, name)
    return _original(folder, name)


def base_model(info: AdapterInfo) -> str:
    """Return the checkpoint an adapter was trained on; empty for one from elsewhere. Raises CheckpointError."""
    file = info.path / BASE
    return str(read_json(file).get("base_model", "")) if file.is_file() else ""


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


def _peft(folder: Path, name: str) -> AdapterInfo:
    config = read_json(folder / CONFIG)
    kind = _check_config(config, folder / CONFIG)
    _, parts = _stored(folder / WEIGHTS, _PARTS[kind], _NAMES[kind])
    dora = config.get("use_dora") is True
    layers = {
        layer: _layer(layer, tensors, config, dora, folder)
        if kind is AdapterKind.LORA
        else lycoris.layer(kind, layer, tensors, config, folder / CONFIG, folder / WEIGHTS)
        for layer, tensors in sorted(parts.items())
    }
    return AdapterInfo(
        name=name,
        path=folder,
        kind=kind,
        layers=layers,
        rank_stabilized=config.get("use_rslora") is True,
        dora=dora,
        factors=lycoris.factors(config, folder / CONFIG) if kind is AdapterKind.LOKR else Factors(),
    )


def _original(folder: Path, name: str) -> AdapterInfo:
    """The original's LoKr: settings in the header, names with _ for every dot."""
    file = folder / LOKR_WEIGHTS
    header, parts = _stored(file, _ORIGINAL_PARTS, _NAMES[AdapterKind.LOKR])
    config = lycoris.original_config(header, file)
    return AdapterInfo(
        name=name,
        path=folder,
        kind=AdapterKind.LOKR,
        layers={
            layer: lycoris.original_layer(layer, tensors, config, file) for layer, tensors in sorted(parts.items())
        },
        factors=lycoris.factors(config, file, "factor"),
        original=True,
    )


def _check_config(config: Mapping[str, object], file: Path) -> AdapterKind:
    said = str(config.get("peft_type")).lower()
    if said not in list(AdapterKind):
        kinds = " or ".join(kind.upper() for kind in AdapterKind)
        raise CheckpointError(f"{file}: peft_type must be {kinds}, got {config.get('peft_type')!r}")
    if config.get("bias", "none") != "none":
        raise CheckpointError(f"{file}: bias must be 'none', got {config['bias']!r}")
    for name in _UNSUPPORTED:
        if config.get(name):
            raise CheckpointError(f"{file}: {name} is not supported, got {config[name]!r}")
    return AdapterKind(said)


def _stored(file: Path, known: str, kind: str) -> tuple[dict[str, str] | None, dict[str, dict[str, Stored]]]:
    """The header, and the tensors of each layer by part; `known` is a pattern of the parts."""
    pattern = re.compile(rf"(?P<layer>.+)\.(?P<part>{known})(\.default)?(\.weight)?")
    if not file.is_file():
        raise CheckpointError(f"{file} is missing; adapters stored as pickles (.bin, .pt) are not read")
    parts: dict[str, dict[str, Stored]] = {}
    try:
        with safe_open(file, framework="numpy") as tensors:
            header: dict[str, str] | None = tensors.metadata()
            keys: list[str] = sorted(tensors.keys())
            for key in keys:
                view = tensors.get_slice(key)
                if view.get_dtype() not in _FLOATING:
                    raise CheckpointError(f"{file}: {key} must hold floating point numbers, got {view.get_dtype()}")
                match = pattern.fullmatch(_without_prefix(key))
                if match is None:
                    raise CheckpointError(f"{file}: {key} is no part of a {kind} ({known.replace('|', ', ')})")
                parts.setdefault(match["layer"], {})[match["part"]] = Stored(key, tuple(view.get_shape()))
    except SafetensorError as error:
        raise CheckpointError(f"{file} is truncated or damaged ({file.stat().st_size} bytes): {error}") from error
    if not parts:
        raise CheckpointError(f"{file} holds no tensors")
    return header, parts


def _without_prefix(key: str) -> str:
    for prefix in _PREFIXES:
        key = key.removeprefix(prefix)
    return key


def _layer(
    name: str, tensors: Mapping[str, Stored], config: Mapping[str, object], dora: bool, folder: Path
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
    rank = number(config, "r", "rank_pattern", name, folder / CONFIG)
    if rank != first.shape[0]:
        raise CheckpointError(f"{folder / CONFIG}: r is {rank:g} for {name}, its lora_A has rank {first.shape[0]}")
    return AdaptedLayer(
        rank=first.shape[0],
        alpha=number(config, "lora_alpha", "alpha_pattern", name, folder / CONFIG),
        inputs=first.shape[1],
        outputs=second.shape[0],
        tensors={part: stored.key for part, stored in tensors.items()},
    )
