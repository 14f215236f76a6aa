"""What peft is told for an adapter that is to be trained: its kind, its layers and how it begins."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn

from studio.engine.lora.config import TARGETS, TrainSettings
from studio.engine.lora.layers import AdapterKind

if TYPE_CHECKING:  # takes eight seconds to import
    from studio.engine.lora.wrappers import Config


def new_config(settings: TrainSettings, layers: list[str]) -> Config:
    """Return the config of a fresh adapter on `layers`; every kind changes nothing before its first update."""
    from peft import LoHaConfig, LoKrConfig, LoraConfig

    rank, alpha, dropout = settings.rank, settings.alpha, settings.dropout
    if settings.adapter is AdapterKind.LOKR:
        return LoKrConfig(
            r=rank,
            alpha=alpha,
            rank_dropout=dropout,
            decompose_factor=settings.factor,
            decompose_both=settings.decompose_both,
            target_modules=layers,
        )
    if settings.adapter is AdapterKind.LOHA:
        return LoHaConfig(r=rank, alpha=alpha, rank_dropout=dropout, target_modules=layers)
    return LoraConfig(
        r=rank, lora_alpha=alpha, lora_dropout=dropout, use_dora=settings.weight_decompose, target_modules=layers
    )


def places(dit: nn.Module, settings: TrainSettings) -> list[str]:
    """Return the layers to adapt by their full names."""
    ends = tuple(TARGETS[target] for target in settings.targets)
    kinds = ("self_attn", "cross_attn") if settings.attention == "both" else (f"{settings.attention}_attn",)
    return [
        name
        for name, module in dit.named_modules()
        if isinstance(module, nn.Linear)
        and name.startswith("layers.")
        and name.endswith(tuple(f".{end}" for end in ends))
        and (".mlp." in name or any(f".{kind}." in name for kind in kinds))
    ]
