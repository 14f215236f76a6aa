"""peft's wrappers around the linear layers of a DiT: one kind of adapter each, around the layer or around another."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, TypeAlias

from torch import nn

from studio.engine.lora.formats import AdapterInfo
from studio.engine.lora.layers import AdaptedLayer, AdapterKind

if TYPE_CHECKING:  # takes eight seconds to import
    from peft import LoHaConfig, LoKrConfig, LoraConfig
    from peft.tuners.loha.layer import LoHaLayer
    from peft.tuners.lokr.layer import LoKrLayer
    from peft.tuners.lora.layer import Linear as LoraLinear

    Wrapper: TypeAlias = LoraLinear | LoKrLayer | LoHaLayer
    Config: TypeAlias = LoraConfig | LoKrConfig | LoHaConfig

_PEFT_NAMES = {"lora_A": "lora_A.weight", "lora_B": "lora_B.weight"}  # the other parts are parameters themselves
_INNER = ".base_layer"


def wrappers(dit: nn.Module) -> Iterator[tuple[str, Wrapper]]:
    """Give every wrapper with the path of the layer it is around, outer ones first."""
    from peft.tuners.loha.layer import LoHaLayer
    from peft.tuners.lokr.layer import LoKrLayer
    from peft.tuners.lora.layer import Linear as LoraLinear

    kinds = (LoraLinear, LoKrLayer, LoHaLayer)
    found = [(name, module) for name, module in dit.named_modules() if isinstance(module, kinds)]
    for name, module in found:
        yield name.partition(_INNER)[0], module


def peft_config(info: AdapterInfo, places: Mapping[str, AdaptedLayer]) -> Config:
    """Return one exact entry a layer: peft's own matching by ends of names would adapt layers the file is silent of."""
    from peft import LoHaConfig, LoKrConfig, LoraConfig

    rank, layers = info.rank, list(places)
    config: Config
    if info.kind is AdapterKind.LOKR:
        factor, both = info.factors.factor, info.factors.decompose_both
        config = LoKrConfig(r=rank, target_modules=layers, decompose_factor=factor, decompose_both=both)
    elif info.kind is AdapterKind.LOHA:
        config = LoHaConfig(r=rank, target_modules=layers)
    else:
        config = LoraConfig(
            r=rank, lora_alpha=1, target_modules=layers, use_rslora=info.rank_stabilized, use_dora=info.dora
        )
    config.rank_pattern = {place: layer.rank for place, layer in places.items()}
    config.alpha_pattern = {place: layer.alpha for place, layer in places.items()}
    config.inference_mode = True
    return config


def peft_name(place: str, part: str) -> str:
    """Return the key of a tensor as peft reads it; the magnitudes of DoRA in their older form, the only one."""
    return f"base_model.model.{place}.{_PEFT_NAMES.get(part, part)}"


def take_off(dit: nn.Module, path: str, slot: str) -> None:
    """Take one adapter off a layer; wrappers that hold no other go with it."""
    stack = [wrapper for place, wrapper in wrappers(dit) if place == path]
    layer: nn.Module = stack[0].get_base_layer()
    for wrapper in reversed(stack):
        if slot in wrapper.scaling:
            wrapper.delete_adapter(slot)
        if wrapper.scaling:
            wrapper.base_layer = layer
            layer = wrapper
    parent, _, leaf = path.rpartition(".")
    setattr(dit.get_submodule(parent), leaf, layer)
