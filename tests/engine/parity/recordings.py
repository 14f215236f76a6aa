"""What the original model code computed, read from the folder in STUDIO_GOLDEN (default ../shared/golden)."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from studio.engine.loader import OriginalModels, load_original_models
from studio.engine.model_spec import FAMILIES, Defaults, Family

ROOT = Path(os.environ.get("STUDIO_GOLDEN") or Path(__file__).parents[4] / "shared" / "golden")
LARGEST_ERROR = 2e-4  # of the recording's root mean square
Case = dict[str, object]


@dataclass(frozen=True)
class Recording:
    """One recorded checkpoint with its inputs, outputs and cases."""

    folder: Path

    @cached_property
    def config(self) -> Case:
        return json.loads((self.folder / "config.json").read_text())

    @cached_property
    def cases(self) -> dict[str, Case]:
        """Sampler cases; notes and cases that failed in the original are left out."""
        cases = json.loads((self.folder / "cases.json").read_text())
        return {name: case for name, case in cases.items() if not name.startswith("_") and "error" not in case}

    @cached_property
    def inputs(self) -> dict[str, Tensor]:
        return load_file(self.folder / "inputs.safetensors")

    @cached_property
    def outputs(self) -> dict[str, Tensor]:
        return load_file(self.folder / "outputs.safetensors")

    @cached_property
    def silence(self) -> Tensor:
        """`[1, frames, C]`."""
        return self.inputs["silence_latent"]

    @cached_property
    def models(self) -> OriginalModels:
        """The networks, through the loader a user's folder in the original layout goes through."""
        state = load_file(self.folder / "weights.safetensors")
        return load_original_models(self.config, state, self.silence, "cpu", torch.float32)

    @property
    def defaults(self) -> Defaults:
        """What the engine knows of this family."""
        return FAMILIES[Family.TURBO if self.config["is_turbo"] else Family(str(self.config["model_version"]))]

    @property
    def obeys_base_timesteps(self) -> bool:
        """Whether this version followed custom timesteps on base: since May, which also recorded Heun."""
        return self.defaults.family is not Family.BASE or "base_heun" in self.cases


def recordings() -> list[Recording]:
    """Every folder that holds a recorded checkpoint: the root's own, or those inside it.

    A STUDIO_GOLDEN without any is an error, or a wrong path would pass as a skipped test.
    """
    found = [Recording(file.parent) for file in sorted([*ROOT.glob("cases.json"), *ROOT.glob("*/cases.json")])]
    if not found and "STUDIO_GOLDEN" in os.environ:
        raise FileNotFoundError(f"STUDIO_GOLDEN: no folder with a cases.json in {ROOT}")
    return found


def recorded(recording: Recording, name: str) -> Tensor:
    """One recorded output; the test is skipped, with the reason, where a recording lacks that case."""
    if name not in recording.outputs:
        pytest.skip(f"{recording.folder} records no {name}")
    return recording.outputs[name]


def sampler_cases() -> list[object]:
    """Every sampler case of every recording, as test parameters; one that skips when there is none."""
    found = [
        pytest.param(recording, name, id=f"{recording.folder.name}-{name}")
        for recording in recordings()
        for name in recording.cases
    ]
    return found or [pytest.param(None, "", marks=pytest.mark.skip(f"no recordings in {ROOT}; set STUDIO_GOLDEN"))]


def whole_recordings() -> list[object]:
    """Every recording as a test parameter; one that skips when there is none."""
    found = [pytest.param(recording, id=recording.folder.name) for recording in recordings()]
    return found or [pytest.param(None, marks=pytest.mark.skip(f"no recordings in {ROOT}; set STUDIO_GOLDEN"))]


def error(ours: Tensor, recorded: Tensor) -> float:
    """Largest absolute difference over the recording's root mean square."""
    assert ours.shape == recorded.shape
    return float((ours - recorded).abs().max() / recorded.square().mean().sqrt())
