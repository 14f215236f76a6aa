"""Writes adapters so that every runtime plays them at the same strength (training.md 4.13, 5.2, 5.5).

The strength alpha / rank is multiplied into one factor and alpha is told equal to the rank, for some runtimes read no
config: the original, diffusers and ComfyUI then add the same to the same layers.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from studio.engine.convert import Network, original_name
from studio.engine.dataset.files import write_json
from studio.engine.lora.config import TrainSettings
from studio.engine.lora.formats import BASE, CONFIG, LOKR_WEIGHTS, WEIGHTS
from studio.engine.lora.layers import AdapterKind
from studio.engine.lora.lycoris import HEADER

WEIGHT = re.compile(r"(?P<layer>.+)\.(?P<part>(lora|lokr|hada)_\w+)\.default(\.weight)?")
STRENGTH = ("lora_B", "lokr_w1", "lokr_w1_a", "hada_w1_a")  # the factor that takes the strength
FIRST_NOTHING = ("lora_B", "lokr_w1", "lokr_w1_a", "hada_w2_b")  # zero in a fresh adapter


def write(folder: Path, weights: Mapping[str, Tensor], settings: TrainSettings, model: str) -> None:
    """Write the folder peft reads, and for LoKr the original's file beside it; `weights` have peft's live names."""
    parts = {
        (match["layer"], match["part"]): _strong(match["part"], value, settings)
        for name, value in weights.items()
        if (match := WEIGHT.fullmatch(name))
    }
    tensors = {
        f"base_model.model.{_original(layer)}.{part}{'.weight' if part in ('lora_A', 'lora_B') else ''}": value
        for (layer, part), value in parts.items()
    }
    folder.mkdir(parents=True, exist_ok=True)
    save_file(tensors, folder / WEIGHTS, metadata={"format": "pt"})  # a second entry would come in random order
    write_json(folder / CONFIG, _config(settings))
    write_json(folder / BASE, {"base_model": model})
    if settings.adapter is AdapterKind.LOKR:
        _write_original(folder / LOKR_WEIGHTS, parts, settings)


def learnt(weights: Mapping[str, Tensor]) -> bool:
    """Whether a trained adapter changes anything."""
    return any(
        bool(value.any())
        for name, value in weights.items()
        if (match := WEIGHT.fullmatch(name)) and match["part"] in FIRST_NOTHING
    )


def _strong(part: str, value: Tensor, settings: TrainSettings) -> Tensor:
    scaled = value * (settings.alpha / settings.rank) if part in STRENGTH else value
    return scaled.detach().cpu().float().contiguous()


def _config(settings: TrainSettings) -> dict[str, object]:
    """As few fields as peft accepts: an older one refuses those it doesn't know."""
    shared: dict[str, object] = {
        "peft_type": settings.adapter.upper(),
        "task_type": "FEATURE_EXTRACTION",
        "r": settings.rank,
        "target_modules": sorted(settings.targets),
        "inference_mode": True,
        "base_model_name_or_path": None,
    }
    if settings.adapter is AdapterKind.LORA:
        dora = {"use_dora": True} if settings.weight_decompose else {}
        return shared | {"lora_alpha": settings.rank, "lora_dropout": settings.dropout, "bias": "none"} | dora
    kron = {"decompose_factor": settings.factor, "decompose_both": settings.decompose_both}
    return shared | {"alpha": settings.rank} | (kron if settings.adapter is AdapterKind.LOKR else {})


def _write_original(file: Path, parts: Mapping[tuple[str, str], Tensor], settings: TrainSettings) -> None:
    tensors = {f"{_lycoris(layer)}.{part}": value for (layer, part), value in parts.items()}
    tensors |= {f"{_lycoris(layer)}.alpha": torch.tensor(float(settings.rank)) for layer, _ in parts}
    off = ("use_tucker", "use_scalar", "weight_decompose", "full_matrix", "bypass_mode", "rs_lora")
    config: dict[str, object] = {
        "linear_dim": settings.rank,
        "linear_alpha": settings.rank,
        "factor": settings.factor,
        "decompose_both": settings.decompose_both,
        "target_modules": sorted(settings.targets),
        "unbalanced_factorization": False,
    }
    config |= dict.fromkeys(off, False)
    header = {"algo": "lokr", "format": "lycoris", HEADER: json.dumps(config), "run_metadata": "{}"}
    save_file(tensors, file, metadata=header)


def _lycoris(layer: str) -> str:
    return f"lycoris_{_original(layer).replace('.', '_')}"


def _original(layer: str) -> str:
    name = original_name(Network.TRANSFORMER, f"{layer}.weight")
    return name.removeprefix("decoder.").removesuffix(".weight")
