"""What vLLM runs in each of its processes where the studio is installed (entry point `vllm.general_plugins`)."""

from __future__ import annotations

NAME = "StudioQwen3ForCausalLM"


def register() -> None:
    """Make our model known; as a class, since vLLM would import it in one more process if it only had its name."""
    from vllm import ModelRegistry  # type: ignore[import-not-found]  # an optional extra

    from studio.engine.lm.vllm_model import StudioQwen3ForCausalLM

    ModelRegistry.register_model(NAME, StudioQwen3ForCausalLM)
