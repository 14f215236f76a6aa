"""How much memory a training run will need, from names, headers and sizes; needs no torch.

Weights, adapter and optimiser are exact; what the layers keep for the way back is counted from their widths.
"""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from studio.engine.checkpoint import Checkpoint, Layout
from studio.engine.convert import Network, network_configs
from studio.engine.lora.config import Optimizer, TrainSettings
from studio.engine.memory import DIT, GB, weights_of
from studio.engine.model_spec import read_json

RATE = 25  # latent frames a second
BASE = 0.9  # GB that the libraries and the device's context take before anything is loaded
_STATES = {Optimizer.ADAMW: 8, Optimizer.ADAMW8BIT: 2, Optimizer.ADAFACTOR: 1}  # bytes of the optimiser a weight
_ATTENDED = 16  # widths of the model that one layer keeps of its two attentions and norms
_FED_FORWARD = 3  # widths of the feed-forward part that it keeps


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """What a run will need, in GB of 2^30 bytes."""

    weights: float  # of the frozen model
    adapter: float  # its weights, their gradients, the optimiser and the average
    activations: float  # of the longest batch

    @property
    def total(self) -> float:
        """Everything."""
        return BASE + self.weights + self.adapter + self.activations


def need(checkpoint: Checkpoint, settings: TrainSettings, frames: int, number_bytes: int) -> Need:
    """Estimate what training needs when the longest song has that many latent frames."""
    sizes = _sizes(checkpoint)
    width, inner, layers = sizes["hidden_size"], sizes["intermediate_size"], sizes["num_hidden_layers"]
    weight = 8 + _STATES[settings.optimizer] + (4 if settings.ema else 0)
    longest = min(frames, settings.crop_frames or frames)
    tokens = settings.batch_size * -(-longest // sizes["patch_size"])
    kept = (_ATTENDED * width + _FED_FORWARD * inner) * number_bytes
    kept += 2 * len(settings.targets) * width * 4  # the adapter reads its inputs in float32, before and after dropout
    alive = tokens * (kept * layers if not settings.checkpointing else kept + width * number_bytes * layers)
    return Need(
        weights=weights_of(checkpoint, number_bytes).get(DIT, 0.0),
        adapter=adapter_numbers(sizes, settings) * weight / GB,
        activations=alive / GB,
    )


def adapter_numbers(sizes: Mapping[str, int], settings: TrainSettings) -> int:
    """Return how many weights a LoRA of these settings has."""
    width, inner = sizes["hidden_size"], sizes["intermediate_size"]
    queries = sizes["num_attention_heads"] * sizes["head_dim"]
    keys = sizes["num_key_value_heads"] * sizes["head_dim"]
    both = {"q_proj": width + queries, "k_proj": width + keys, "v_proj": width + keys, "o_proj": queries + width}
    attentions = 2 if settings.attention == "both" else 1
    each = sum(attentions * both[name] if name in both else width + inner for name in settings.targets)
    return settings.rank * each * sizes["num_hidden_layers"]


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
    return {key: value for key, value in sizes.items() if isinstance(value, int)}
