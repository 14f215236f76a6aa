"""Seven noises as songs, and their tensors by the tiny checkpoint."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from studio.engine.checkpoint import resolve
from studio.engine.dataset.samples import Dataset, Sample
from studio.engine.loader import Components, load_components
from studio.engine.lora.prepare import Preparation, prepare
from studio.engine.run import Run
from tests.engine.conftest import save


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(tmp_path_factory.mktemp("models") / "tiny-turbo", turbo=True)


@pytest.fixture(scope="session")
def parts(model: Path) -> Components:
    return load_components(resolve(model), device=torch.device("cpu"), dtype=torch.float32, run=Run())


@pytest.fixture(scope="session")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    folder = tmp_path_factory.mktemp("songs")
    samples = []
    for number in range(7):
        path = folder / f"{number}.wav"
        noise = np.random.default_rng(number).normal(0, 0.1, (2400 + 480 * number, 2))
        soundfile.write(path, noise, 2400)
        said = "x" * number
        samples.append(Sample(id=f"s{number}", audio_path=str(path), filename=path.name, caption=said, labeled=True))
    return Dataset(samples=tuple(samples))


@pytest.fixture(scope="session")
def tensors(tmp_path_factory: pytest.TempPathFactory, dataset: Dataset, parts: Components, model: Path) -> Path:
    folder = tmp_path_factory.mktemp("tensors")
    result = prepare(dataset, folder, parts, resolve(model).spec.sound, "tiny-turbo", Preparation())
    assert (result.written, result.skipped, result.faults) == (7, 0, ())
    return folder
