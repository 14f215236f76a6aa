"""A DiT with a trainable LoRA on it, through peft; and the adapter folder made of it (training.md 4.3, 5.2, 5.5)."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from studio.engine.convert import Network, original_name
from studio.engine.dataset.files import write_json
from studio.engine.lora.config import TARGETS, TrainSettings
from studio.engine.lora.examples import Batch
from studio.engine.lora.formats import CONFIG, WEIGHTS
from studio.engine.quantize import is_quantized
from studio.engine.quiet import quiet
from studio.errors import InvalidRequest

if TYPE_CHECKING:  # takes eight seconds to import
    from diffusers.models.transformers.ace_step_transformer import AceStepTransformer1DModel

BASE = "studio.json"
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
            from peft import LoraConfig, inject_adapter_in_model

            config = LoraConfig(
                r=settings.rank,
                lora_alpha=settings.alpha,
                lora_dropout=settings.dropout,
                target_modules=_places(dit, settings),
            )
            inject_adapter_in_model(config, dit, _SLOT)
        self.weights: dict[str, nn.Parameter] = {
            name: parameter for name, parameter in dit.named_parameters() if "lora_" in name
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
        """Switch dropout on or off."""
        self._dit.train(training)

    def save(self, folder: Path, weights: Mapping[str, Tensor], model: str) -> None:
        """Write the adapter with its strength folded in, so that every runtime plays it at the same one."""
        settings, tensors = self.settings, dict[str, Tensor]()
        for name, value in weights.items():
            layer, _, part = name.partition(".lora_")
            scaled = value * (settings.alpha / settings.rank) if part.startswith("B") else value
            original = original_name(Network.TRANSFORMER, f"{layer}.weight")
            place = original.removeprefix("decoder.").removesuffix(".weight")
            tensors[f"base_model.model.{place}.lora_{part[0]}.weight"] = scaled.detach().cpu().float().contiguous()
        folder.mkdir(parents=True, exist_ok=True)
        save_file(tensors, folder / WEIGHTS, metadata={"format": "pt"})  # a second entry would come in random order
        config = {
            "peft_type": "LORA",
            "task_type": "FEATURE_EXTRACTION",
            "r": settings.rank,
            "lora_alpha": settings.rank,
            "lora_dropout": settings.dropout,
            "bias": "none",
            "target_modules": sorted(settings.targets),
            "inference_mode": True,
            "base_model_name_or_path": None,
        }
        write_json(folder / CONFIG, config)
        write_json(folder / BASE, {"base_model": model})  # the weights don't say whose they are

    def _mask(
        self, module: nn.Module, args: tuple[object, ...], kwargs: dict[str, object]
    ) -> tuple[tuple[object, ...], dict[str, object]]:
        """The DiT's own forward hands its cross-attention no mask."""
        return args, kwargs | {"attention_mask": self._heard}


def _places(dit: nn.Module, settings: TrainSettings) -> list[str]:
    """The layers to adapt by their full names."""
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
