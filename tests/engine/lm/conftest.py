"""Tiny language models on disk in the published shapes, the trained one where it is, and backends on them."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from studio.engine.lm.backend_pt import TorchBackend
from tests.engine.lm.tiny import save_lm

torch.set_num_threads(1)

MINI = Path(__file__).resolve().parents[3] / "data" / "models" / "acestep-5Hz-lm-mini"
HAS_VLLM = importlib.util.find_spec("vllm") is not None
needs_vllm = [
    pytest.mark.vllm,
    pytest.mark.skipif(not HAS_VLLM, reason="vllm isn't installed here: make vllm"),
    pytest.mark.filterwarnings("default"),  # vLLM and what it imports warn of their own future
]


@pytest.fixture(scope="session")
def lm_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Shaped like the published 0.6B: Qwen3ForCausalLM, names begin with `model.`."""
    return save_lm(tmp_path_factory.mktemp("lm") / "acestep-5Hz-lm-tiny", bare=False)


@pytest.fixture(scope="session")
def bare_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Shaped like the published 1.7B: Qwen3Model, names without `model.`."""
    return save_lm(tmp_path_factory.mktemp("lm") / "acestep-5Hz-lm-bare", bare=True, dtype=torch.bfloat16)


@pytest.fixture(scope="session")
def sharded_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Shaped like the published 4B: the 0.6B's names, spread over shards with an index."""
    folder = tmp_path_factory.mktemp("lm") / "acestep-5Hz-lm-sharded"
    return save_lm(folder, bare=False, dtype=torch.bfloat16, shard="100KB")


@pytest.fixture(scope="session")
def song_path(lm_path: Path) -> Path:
    """The trained mini model, which knows songs; a random one until it is there."""
    return MINI if (MINI / "model.safetensors").is_file() else lm_path


@pytest.fixture(scope="session")
def pt(lm_path: Path) -> Iterator[TorchBackend]:
    backend = TorchBackend.load(lm_path, device="cpu")
    yield backend
    backend.close()
