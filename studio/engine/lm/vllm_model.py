"""vLLM's Qwen3 for both published layouts: the 1.7B names its weights without `model.` (lm.md 9.3)."""

from __future__ import annotations

from collections.abc import Iterable

from torch import Tensor
from vllm.model_executor.models.qwen3 import Qwen3ForCausalLM  # type: ignore[import-not-found]  # an optional extra

_OURS = ("model.", "lm_head.")


class StudioQwen3ForCausalLM(Qwen3ForCausalLM):  # type: ignore[misc]  # an optional extra, so without types here
    """Qwen3 that takes weights with and without the prefix."""

    def load_weights(self, weights: Iterable[tuple[str, Tensor]]) -> set[str]:
        """Load weights, adding the prefix where it is missing."""
        named = ((name if name.startswith(_OURS) else f"model.{name}", tensor) for name, tensor in weights)
        loaded: set[str] = super().load_weights(named)
        return loaded
