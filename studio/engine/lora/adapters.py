"""Adapters on a loaded DiT: load several, weigh them, switch them off and on, take them off again.

peft puts a wrapper around each adapted linear layer and never touches the layer inside, int8 or not; taking the wrapper
off therefore restores the model bit by bit.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from studio.engine.convert import Network, original_name
from studio.engine.lora.formats import AdapterInfo, adapter_hash, inspect_adapter
from studio.engine.lora.layers import AdaptedLayer
from studio.engine.lora.wanted import AdapterSet, Wanted, check_scale
from studio.engine.lora.wrappers import peft_config, peft_name, take_off, wrappers
from studio.engine.quantize import is_quantized
from studio.engine.setup import Quantization
from studio.errors import CheckpointError, InvalidRequest, NotFound

if TYPE_CHECKING:  # take eight seconds to import; `load` does
    from diffusers.models.transformers.ace_step_transformer import AceStepTransformer1DModel


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedAdapter:
    """One adapter on the model; `scale` multiplies its own strength."""

    name: str
    path: Path
    sha256: str
    rank: int
    scale: float  # 0 = no effect, 1 = as trained


@dataclass(frozen=True, slots=True)
class _Held:
    """An adapter, the name peft knows it by (its own may hold dots) and the layers it changes."""

    adapter: LoadedAdapter
    slot: str
    layers: tuple[str, ...]


class Adapters:
    """The adapters of one DiT, by name; loading one puts it in use."""

    def __init__(self, transformer: AceStepTransformer1DModel) -> None:
        self._dit = transformer
        self._held: dict[str, _Held] = {}
        self._fused: list[LoadedAdapter] = []
        self._count = 0
        self._enabled = True

    @property
    def loaded(self) -> tuple[LoadedAdapter, ...]:
        """The adapters that can be scaled and unloaded, in the order they were loaded."""
        return tuple(held.adapter for held in self._held.values())

    @property
    def fused(self) -> tuple[LoadedAdapter, ...]:
        """The adapters that are part of the weights now; only loading the model again removes them."""
        return tuple(self._fused)

    @property
    def enabled(self) -> bool:
        """Whether the loaded adapters are used."""
        return self._enabled

    def load(self, path: str | Path, name: str = "", scale: float = 1.0) -> LoadedAdapter:
        """Put the adapter in folder `path` on the model and switch adapters on.

        Without `name` it is called like its folder. Raises InvalidRequest (empty path, name taken, scale outside 0 to
        1), NotFound, CheckpointError that names the first layer or tensor that doesn't fit this model.
        """
        check_scale(scale)
        info = inspect_adapter(path)
        name = name or info.name
        if name in self._held:
            raise InvalidRequest("adapter", f"have a new name; {', '.join(self._held)} are loaded", name)
        adapter = self._add(info, name, adapter_hash(info), scale)
        self._enabled = True
        self._apply()
        return adapter

    def set_scale(self, name: str, scale: float) -> None:
        """Set how strong an adapter is, 0 to 1; kept while adapters are off."""
        check_scale(scale)
        held = self._find(name)
        self._held[name] = replace(held, adapter=replace(held.adapter, scale=scale))
        self._apply()

    def use(self, on: bool) -> None:
        """Switch all adapters on or off without unloading them; InvalidRequest when there is none to switch on."""
        if on and not self._held:
            raise InvalidRequest("use_lora", "be off while no adapter is loaded", on)
        self._enabled = on
        self._apply()

    def unload(self, name: str) -> None:
        """Take one adapter off; without the last one the model is bit by bit what it was before the first."""
        held = self._find(name)
        del self._held[name]
        self._apply()
        wrapped = {path for path, _ in wrappers(self._dit)}
        for path in wrapped & set(held.layers):
            take_off(self._dit, path, held.slot)
        configs = getattr(self._dit, "peft_config", {})
        configs.pop(held.slot, None)
        if not configs and hasattr(self._dit, "peft_config"):
            del self._dit.peft_config

    def unload_all(self) -> None:
        """Take every adapter off."""
        for name in list(self._held):
            self.unload(name)

    def wear(self, wanted: AdapterSet) -> tuple[LoadedAdapter, ...]:
        """Have exactly these adapters on the model, for one job; those that are loaded already are not read again.

        When one can't be loaded nothing is changed. Raises NotFound for a folder that is gone, CheckpointError for one
        that holds another adapter by now, and what `load` raises.
        """
        held = {one.adapter.sha256: one for one in self._held.values()}
        with ExitStack() as failed:
            for one in wanted.adapters:
                if one.sha256 not in held:
                    added = self._bring(one)
                    failed.callback(self.unload, added.name)
                    held[one.sha256] = self._held[added.name]
            failed.pop_all()
        kept = [held[one.sha256] for one in wanted.adapters]
        for name in [name for name, one in self._held.items() if one not in kept]:
            self.unload(name)
        named = zip(wanted.adapters, kept, strict=True)
        self._held = {
            one.name: replace(it, adapter=replace(it.adapter, name=one.name, scale=one.scale)) for one, it in named
        }
        self._enabled = wanted.on
        self._apply()
        return self.loaded

    def fuse(self) -> tuple[LoadedAdapter, ...]:
        """Add the adapters in use to the weights, at their scale, and drop the others; faster, but for good.

        Raises InvalidRequest when none is in use and on an int8 model, CheckpointError when the sum isn't finite.
        """
        if is_quantized(self._dit):
            rule = (
                f"be {Quantization.NONE} to fuse adapters, for a sum with int8 weights would have to be rounded to "
                "int8 again and lose most of the adapter; use them unfused, or load without int8 and fuse"
            )
            raise InvalidRequest("quantization", rule, Quantization.INT8.value)
        active = [held for held in self._held.values() if self._enabled and held.adapter.scale > 0]
        if not active:
            raise InvalidRequest("adapters", "be loaded and in use to be fused", [])
        slots = [held.slot for held in active]
        self._check_finite(slots)
        for _, wrapper in wrappers(self._dit):
            wrapper.merge(adapter_names=[slot for slot in slots if slot in wrapper.scaling])
        fused = tuple(held.adapter for held in active)
        self._fused.extend(fused)
        self.unload_all()
        return fused

    def state(self) -> dict[str, object]:
        """Return the JSON-ready record of what is in effect, for a take's effective settings."""
        return {
            "use_lora": self._enabled and bool(self._held),
            "adapters": [
                {"name": one.name, "sha256": one.sha256, "scale": one.scale, "fused": one in self._fused}
                for one in (*self._fused, *self.loaded)
            ],
        }

    def _bring(self, wanted: Wanted) -> LoadedAdapter:
        """Read a wanted adapter under a name that nothing has, without effect as yet."""
        info = inspect_adapter(wanted.path)
        if (content := adapter_hash(info)) != wanted.sha256:
            raise CheckpointError(f"{info.path} holds another adapter than the one that was asked for; load it again")
        return self._add(info, f"{wanted.name} {content}", content, 0.0)

    def _add(self, info: AdapterInfo, name: str, content: str, scale: float) -> LoadedAdapter:
        """Put an adapter on the model; `_apply` gives it its strength."""
        places = self._places(info)
        adapter = LoadedAdapter(name=name, path=info.path, sha256=content, rank=info.rank, scale=scale)
        held = _Held(adapter, f"slot{self._count}", tuple(places))
        self._count += 1
        self._held[name] = held
        with ExitStack() as failed:
            failed.callback(self.unload, name)  # a wrapper without its weights would make noise
            self._inject(info, places, held.slot)
            failed.pop_all()
        return adapter

    def _find(self, name: str) -> _Held:
        if name not in self._held:
            raise NotFound(f"no adapter called {name!r} is loaded; there are: {', '.join(self._held) or 'none'}")
        return self._held[name]

    def _places(self, info: AdapterInfo) -> dict[str, AdaptedLayer]:
        """The adapter's layers by their name in this model; published adapters use the original names."""
        inner = {name: wrapper.get_base_layer() for name, wrapper in wrappers(self._dit)}
        modules = dict(self._dit.named_modules()) | inner
        known = {name: layer for name, layer in modules.items() if isinstance(layer, nn.Linear)}
        ours = {_original(name): name for name in known} | {name: name for name in known}
        if info.original:
            ours = {name.replace(".", "_"): place for name, place in ours.items()}
        places: dict[str, AdaptedLayer] = {}
        for name, layer in info.layers.items():
            if name not in ours:
                raise CheckpointError(f"{info.weights}: this model has no linear layer {name}")
            linear = known[ours[name]]
            wanted, got = [linear.out_features, linear.in_features], [layer.outputs, layer.inputs]
            if wanted != got:
                raise CheckpointError(f"{info.weights}: {name} must be for {wanted} weights, got {got}")
            places[ours[name]] = layer
        return places

    def _inject(self, info: AdapterInfo, places: Mapping[str, AdaptedLayer], slot: str) -> None:
        from studio.engine.quiet import quiet

        with quiet(), torch.inference_mode(mode=False):
            from peft import inject_adapter_in_model, set_peft_model_state_dict

            try:
                inject_adapter_in_model(peft_config(info, places), self._dit, slot, low_cpu_mem_usage=True)
                stored = load_file(info.weights)
                weights = self._weights(stored, places)
                outcome = set_peft_model_state_dict(self._dit, weights, slot, low_cpu_mem_usage=True)
            except (ValueError, TypeError, RuntimeError, ImportError) as error:
                first = str(error).splitlines()[:2][-1].strip()  # torch heads a list of all that don't fit
                raise CheckpointError(f"{info.path} can't be used on this model: {first}") from error
        unplaced = outcome.unexpected_keys  # type: ignore[attr-defined]  # annotated as the function namedtuple
        if unplaced:
            raise CheckpointError(f"{info.path}: peft has no place for {unplaced[0]}")
        self._dit.requires_grad_(False)

    def _weights(self, stored: Mapping[str, Tensor], places: Mapping[str, AdaptedLayer]) -> dict[str, Tensor]:
        """The tensors under peft's names for this model, in its number type and place."""
        own = next(self._dit.parameters())
        return {
            peft_name(place, part): stored[key].to(own.device, own.dtype)
            for place, layer in places.items()
            for part, key in layer.tensors.items()
        }

    def _apply(self) -> None:
        """Tell every wrapper which adapters count; one at scale 0 doesn't, so it costs nothing and changes no bit."""
        scales = {held.slot: held.adapter.scale for held in self._held.values()}
        active = [slot for slot, scale in scales.items() if self._enabled and scale > 0]
        for _, wrapper in wrappers(self._dit):
            for slot, scale in scales.items():
                wrapper.set_scale(slot, scale)
            wrapper.enable_adapters(bool(active))
            wrapper.set_adapter(active, inference_mode=True)

    def _check_finite(self, slots: list[str]) -> None:
        for path, wrapper in wrappers(self._dit):
            for slot in slots:
                if slot in wrapper.scaling and not torch.isfinite(wrapper.get_delta_weight(slot)).all():
                    raise CheckpointError(f"the adapters' weights for {path} are not finite and can't be fused")


def _original(name: str) -> str:
    """The name of a layer in the original layout, without the network's prefix."""
    return original_name(Network.TRANSFORMER, f"{name}.weight").removeprefix("decoder.").removesuffix(".weight")
