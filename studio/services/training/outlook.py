"""What a training run would come to, and why it would be refused, before anything is started."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import psutil  # type: ignore[import-untyped]  # psutil ships no types

from studio.config import Settings
from studio.engine.checkpoint import Checkpoint, resolve
from studio.engine.lora.config import TrainSettings
from studio.engine.lora.estimate import RATE, latent_channels, need
from studio.engine.memory import GB
from studio.errors import OutOfMemory, StudioError
from studio.i18n import N_
from studio.services.training.tensors import TensorsView
from studio.services.training.views import OutlookView
from studio.services.views import StatusView

LONGEST = 240 * RATE  # frames that are reckoned with where a song's length can't be told
_OTHER = N_("The songs were prepared with another model; they have to be prepared with the one that is trained.")
_RARELY = N_("Save Every N Epochs is above Max Epochs: nothing is saved before the end, or before you stop it.")
_CPU = N_("On a CPU a published model takes very long to train; the bundled mini models take minutes.")


def checkpoint_of(model: str, settings: Settings) -> Checkpoint:
    """Return the checkpoint that is trained; raises NotFound, CheckpointError."""
    return resolve(model, (settings.models_dir, settings.checkpoints_dir))


def channels_of(model: str, settings: Settings) -> int:
    """Return how wide a model's latents are."""
    return latent_channels(checkpoint_of(model, settings))


def outlook(wanted: TrainSettings, tensors: TensorsView, status: StatusView, settings: Settings) -> OutlookView:
    """Reckon with the loaded model; `problem` is set when the run can't fit into memory."""
    batches = -(-tensors.count // wanted.batch_size)
    updates = -(-batches // wanted.accumulation)
    needed = free = problem = None
    if status.model is not None:
        checkpoint = checkpoint_of(status.model.name, settings)
        needed = need(checkpoint, wanted, tensors.longest or LONGEST, 4 if _shared(status) else 2)
        free = _free(status)
        problem = _problem(needed, free, wanted)
    return OutlookView(
        songs=tensors.count,
        batch=wanted.batch_size * wanted.accumulation,
        updates=updates,
        steps=updates * wanted.epochs,
        needed=needed,
        free=free,
        notes=_notes(wanted, tensors, status),
        problem=problem,
    )


def _shared(status: StatusView) -> bool:
    """Whether the device works in the machine's own memory, in float32."""
    return status.device.startswith("cpu")


def _free(status: StatusView) -> float:
    """GB there will be once model and language model have made room."""
    memory, parts = (cast(Mapping[str, float], status.loaded.get(key) or {}) for key in ("memory_gb", "parts"))
    if _shared(status) or "total" not in memory:
        return float(psutil.virtual_memory().available) / GB + sum(parts.values()) / 1024
    return memory["total"]


def _problem(needed: float, free: float, wanted: TrainSettings) -> StudioError | None:
    if needed <= free:
        return None
    options = (
        (not wanted.checkpointing, "gradient checkpointing"),
        (wanted.batch_size > 1, "a smaller batch with more accumulation"),
        (not wanted.crop_frames, "shorter clips"),
        (wanted.rank > 16, "a lower rank"),
        (True, "a smaller model"),
        (True, "a machine with more memory"),
    )
    first, second = [text for applies, text in options if applies][:2]
    return OutOfMemory(f"training needs about {needed:.1f} GB and there are {free:.1f} GB; try {first} or {second}")


def _notes(wanted: TrainSettings, tensors: TensorsView, status: StatusView) -> tuple[str, ...]:
    other = bool(status.model and tensors.model and tensors.model != status.model.name)
    large = status.model is not None and _shared(status) and "mini" not in status.model.name
    notes = ((other, _OTHER), (wanted.save_every > wanted.epochs, _RARELY), (large, _CPU))
    return tuple(note for applies, note in notes if applies)
