"""Recordings of the original (STUDIO_GOLDEN, default ../shared/golden beside the repository) and a byte tokenizer."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors

from studio.engine.loader import load_original_models, quiet
from studio.engine.prompts import END

with quiet():
    from diffusers import AceStepTransformer1DModel
    from transformers import PreTrainedTokenizerFast

ROOT = Path(__file__).resolve().parents[3]
GOLDEN = Path(os.environ.get("STUDIO_GOLDEN") or ROOT.parent / "shared" / "golden")


@dataclass(frozen=True)
class Recording:
    """One recorded checkpoint: the model built from it, what it was fed and what the original gave."""

    transformer: AceStepTransformer1DModel
    inputs: dict[str, torch.Tensor]
    outputs: dict[str, torch.Tensor]


def _folders(file: str) -> list[object]:
    """Every folder of recordings that holds `file`, as test parameters; one that skips when there is none."""
    found = [pytest.param(path.parent, id=path.parent.name) for path in sorted(GOLDEN.glob(f"*/{file}"))]
    reason = f"no recordings of the original in {GOLDEN}; set STUDIO_GOLDEN to their folder"
    return found or [pytest.param(None, marks=pytest.mark.skip(reason))]


@pytest.fixture(scope="module", params=_folders("cases.json"))
def recording(request: pytest.FixtureRequest) -> Recording:
    folder: Path = request.param
    config = json.loads((folder / "config.json").read_text())
    models = load_original_models(config, load_file(folder / "weights.safetensors"), dtype=torch.float32)
    inputs, outputs = load_file(folder / "inputs.safetensors"), load_file(folder / "outputs.safetensors")
    return Recording(models.transformer, inputs, outputs)


@dataclass(frozen=True)
class ScoreRecording:
    """What the original made of synthetic attention."""

    tensors: dict[str, torch.Tensor]
    facts: dict[str, Any]

    def maps(self) -> Any:
        """The selected maps [K, tokens, frames]."""
        picked = [
            self.tensors["attention"][int(layer), head]
            for layer, heads in self.facts["config"].items()
            for head in heads
        ]
        return torch.stack(picked).numpy()


@pytest.fixture(scope="module", params=_folders("scoring.json"))
def scoring(request: pytest.FixtureRequest) -> ScoreRecording:
    folder: Path = request.param
    return ScoreRecording(
        load_file(folder / "scoring.safetensors"), json.loads((folder / "scoring.json").read_text(encoding="utf-8"))
    )


@pytest.fixture(scope="session")
def byte_tokenizer() -> PreTrainedTokenizerFast:
    """A real tokenizer whose ids are the bytes of the text, and 256 the end."""
    shown = _byte_letters()
    vocabulary = {letter: byte for byte, letter in enumerate(shown)} | {END: 256}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.TemplateProcessing(single=f"$A {END}", special_tokens=[(END, 256)])
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token=END, eos_token=END)


def _byte_letters() -> list[str]:
    """Byte-level BPE shows printable Latin-1 bytes as themselves and the others, in order, from U+0100 on."""
    printable = {*range(33, 127), *range(161, 173), *range(174, 256)}
    others = iter(range(256, 512))
    return [chr(byte) if byte in printable else chr(next(others)) for byte in range(256)]


@pytest.fixture(scope="session")
def tiny_transformer() -> Callable[..., AceStepTransformer1DModel]:
    """Build a random model whose attention has peaks; keyword arguments change its config."""

    def build(**changes: Any) -> AceStepTransformer1DModel:
        torch.manual_seed(0)
        size: dict[str, Any] = {
            "hidden_size": 32,
            "intermediate_size": 48,
            "num_hidden_layers": 5,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "head_dim": 8,
            "in_channels": 24,
            "audio_acoustic_hidden_dim": 8,
            "sliding_window": 16,
        }
        transformer = AceStepTransformer1DModel(**(size | changes)).eval().requires_grad_(False)
        for layer in transformer.layers:
            layer.cross_attn.norm_q.weight.mul_(8.0)  # random queries and keys are nearly indifferent to each other
        return transformer

    return build
