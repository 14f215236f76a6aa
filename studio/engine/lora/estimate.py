"""How much memory a run over a folder of tensors will need of a checkpoint's device, from headers and sizes alone."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path

from studio.engine.checkpoint import Checkpoint, Layout
from studio.engine.convert import Network, network_configs
from studio.engine.lora.config import TrainSettings
from studio.engine.lora.memory import Shape, estimate
from studio.engine.memory import DIT, GB, weights_of
from studio.engine.model_spec import read_json

RATE = 25  # latent frames a second
LIBRARIES = 0.9  # GB of the process before anything is loaded, measured
TEXTS = 600  # positions of the conditions: caption, lyrics of a long song and the timbre


def need(checkpoint: Checkpoint, settings: TrainSettings, frames: int, number_bytes: int) -> float:
    """Return the GB that training needs when the longest song has that many latent frames."""
    weights = weights_of(checkpoint, number_bytes).get(DIT, 0.0) * GB
    shape = Shape.of(_sizes(checkpoint))
    how = {"frames": frames, "texts": TEXTS, "number_bytes": number_bytes}
    return LIBRARIES + estimate(shape, settings, weights=weights, cuda=number_bytes == 2, **how).total / GB


def frames_of(path: Path, channels: int) -> int | None:
    """Return how many latent frames a tensor file holds, by the size of its first tensor; None when it can't be told.

    A tensor file is an archive whose members have the order of its tensors; the target latents come first.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            names = {Path(info.filename).name: info for info in archive.infolist()}
            first = next(info for info in archive.infolist() if info.filename.endswith("/data/0"))
            kinds = archive.read(names["data.pkl"])
    except (OSError, KeyError, StopIteration, zipfile.BadZipFile):
        return None
    places = {kinds.find(name): size for name, size in ((b"\nFloatStorage", 4), (b"BFloat16Storage", 2))}
    places |= {kinds.find(b"HalfStorage"): 2}
    here = {place: size for place, size in places.items() if place >= 0}
    frames, rest = divmod(first.file_size, channels * here[min(here)]) if here else (0, 1)
    return frames if frames and not rest else None


def latent_channels(checkpoint: Checkpoint) -> int:
    """Return how wide the latents are that this model is trained on."""
    return _sizes(checkpoint)["audio_acoustic_hidden_dim"]


def _sizes(checkpoint: Checkpoint) -> Mapping[str, int]:
    file = checkpoint.path / "config.json"
    config = {} if checkpoint.layout is Layout.DIFFUSERS else read_json(file)
    sizes = network_configs(config, str(file))[Network.TRANSFORMER]
    if checkpoint.layout is Layout.DIFFUSERS:
        sizes = {**sizes, **read_json(checkpoint.path / DIT / "config.json")}
    return {key: value for key, value in sizes.items() if isinstance(value, int) and not isinstance(value, bool)}
