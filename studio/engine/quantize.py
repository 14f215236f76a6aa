"""Int8 weights for the DiT, by torchao."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import is_traceable_wrapper_subclass

from studio.engine.setup import Quantization
from studio.errors import InvalidRequest

if TYPE_CHECKING:  # takes eight seconds to import; only loader.py does
    from diffusers.models.transformers.ace_step_transformer import AceStepTransformer1DModel

DEVICES = ("cpu", "cuda", "xpu")  # torchao's int8 has no kernels elsewhere


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantized:
    """What quantising came to."""

    layers: int  # linear layers whose weights are int8 now
    before: int  # bytes of all weights of the DiT
    after: int


def quantize(transformer: AceStepTransformer1DModel) -> Quantized:
    """Store the weights of all linear layers of the DiT as int8 with one scale a row, in place (engine.md 8).

    Activations keep their number type. Raises InvalidRequest when torchao is missing, the weights lie on a device it
    doesn't support, they are int8 already or adapters are loaded.
    """
    device = next(transformer.parameters()).device
    if device.type not in DEVICES:
        raise InvalidRequest("quantization", f"be {Quantization.NONE} on {device.type}", Quantization.INT8.value)
    if is_quantized(transformer):
        raise InvalidRequest("quantization", "be asked for once", Quantization.INT8.value)
    if any(name.endswith(".base_layer") for name, _ in transformer.named_modules()):
        rule = f"be {Quantization.NONE} while adapters are loaded; load them after quantising"
        raise InvalidRequest("quantization", rule, Quantization.INT8.value)
    from studio.engine.quiet import quiet

    try:
        with quiet():
            from torchao.quantization import Int8WeightOnlyConfig, quantize_
    except ImportError as error:
        rule = f"be {Quantization.NONE} without the package torchao, which is missing here"
        raise InvalidRequest("quantization", rule, Quantization.INT8.value) from error
    before = weight_bytes(transformer)
    with quiet(), torch.inference_mode(mode=False):
        # torchao's own settings would change torch's matrix precision for everything in this process.
        quantize_(transformer, Int8WeightOnlyConfig(set_inductor_config=False))
    transformer.requires_grad_(False)
    layers = sum(_is_int8(module) for module in transformer.modules())
    return Quantized(layers=layers, before=before, after=weight_bytes(transformer))


def is_quantized(module: nn.Module) -> bool:
    """Whether any layer inside has int8 weights."""
    return any(_is_int8(inner) for inner in module.modules())


def weight_bytes(module: nn.Module) -> int:
    """Return the bytes that a module's parameters and buffers take."""
    return sum(_bytes(tensor) for tensor in (*module.parameters(), *module.buffers()))


def _is_int8(module: nn.Module) -> bool:
    return isinstance(module, nn.Linear) and is_traceable_wrapper_subclass(module.weight)


def _bytes(tensor: Tensor) -> int:
    """A quantised tensor says the size it stands for; what it holds are its inner tensors."""
    wrapped: bool = is_traceable_wrapper_subclass(tensor)
    if not wrapped:
        return tensor.nbytes
    inner = (value for value in vars(tensor).values() if isinstance(value, Tensor))
    return sum(_bytes(part) for part in inner)
