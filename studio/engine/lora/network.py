"""A DiT with a trainable adapter on it, through peft; and the adapter folder made of it (training.md 4.3, 5.2, 5.5)."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from studio.engine.lora.config import TrainSettings
from studio.engine.lora.examples import Batch
from studio.engine.lora.fresh import new_config, places
from studio.engine.lora.portable import WEIGHT, write
from studio.engine.lora.wrappers import wrappers
from studio.engine.quantize import is_quantized
from studio.engine.quiet import quiet
from studio.errors import InvalidRequest

if TYPE_CHECKING:  # takes eight seconds to import
    from diffusers.models.transformers.ace_step_transformer import AceStepTransformer1DModel

_SLOT = "default"


class Trainable:
    """The DiT in training: its frozen weights as they are, the adapter's in float32."""

    def __init__(self, dit: AceStepTransformer1DModel, settings: TrainSettings) -> None:
        """Put a fresh adapter on; random numbers come from torch's generator. InvalidRequest on a quantised DiT."""
        if is_quantized(dit):
            raise InvalidRequest("quantization", "be none for training; load the model without int8", "int8")
        self._dit, self.settings = dit, settings
        self._heard: Tensor | None = None
        dit.requires_grad_(False)
        with quiet():
            from peft import inject_adapter_in_model

            inject_adapter_in_model(new_config(settings, places(dit, settings)), dit, _SLOT)
        self.weights: dict[str, nn.Parameter] = {
            name: parameter for name, parameter in dit.named_parameters() if WEIGHT.fullmatch(name)
        }
        for parameter in self.weights.values():
            parameter.data = parameter.data.float()
            parameter.requires_grad_(True)
        for name, module in dit.named_modules():
            if name.endswith(".cross_attn"):
                module.register_forward_pre_hook(self._mask, with_kwargs=True)
        if settings.checkpointing:
            dit.enable_gradient_checkpointing()

    def velocity(self, noisy: Tensor, levels: Tensor, batch: Batch, states: Tensor) -> Tensor:
        """Return the predicted velocity `[B, T, C]` in float32; padding of the conditions is not attended to."""
        dtype = self._dit.dtype
        self._heard = None if batch.heard.all() else batch.heard[:, None, None, :]
        moment = levels.to(dtype)
        result: Tensor = self._dit(
            hidden_states=noisy.to(dtype),
            timestep=moment,
            timestep_r=moment,
            encoder_hidden_states=states.to(dtype),
            context_latents=batch.context.to(dtype),
            return_dict=False,
        )[0]
        return result.float()

    def use(self, training: bool) -> None:
        """Switch dropout on or off, and forget the padding of the last batch."""
        self._heard = None
        self._dit.train(training)

    @contextmanager
    def bare(self) -> Iterator[None]:
        """Have the DiT without the adapter inside the block."""
        for _, wrapper in wrappers(self._dit):
            wrapper.enable_adapters(False)
        try:
            yield
        finally:
            for _, wrapper in wrappers(self._dit):
                wrapper.enable_adapters(True)

    def save(self, folder: Path, weights: Mapping[str, Tensor], model: str) -> None:
        """Write the adapter as `portable.write` does."""
        write(folder, weights, self.settings, model)

    def _mask(
        self, module: nn.Module, args: tuple[object, ...], kwargs: dict[str, object]
    ) -> tuple[tuple[object, ...], dict[str, object]]:
        """The DiT's own forward hands its cross-attention no mask."""
        return args, kwargs | {"attention_mask": self._heard}


def replace_folder(partial: Path, final: Path) -> None:
    """Put a finished folder in its place; one that is there is moved away first and then removed."""
    old = final.with_name(f".{final.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if final.exists():
        final.rename(old)
    partial.rename(final)
    shutil.rmtree(old, ignore_errors=True)


def is_finite(weights: Mapping[str, Tensor]) -> bool:
    """Whether every number is one."""
    return all(bool(torch.isfinite(value).all()) for value in weights.values())
