"""Keeps on disk what lyric times are computed from, so that they can be asked for after a restart."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from studio.engine.score.lyrics import FinishedTake
from studio.engine.score.tokens import LyricTokens
from studio.errors import CheckpointError

_NAMES = ("latents", "states", "context")


def save_trace(path: Path, take: FinishedTake) -> None:
    """Write `take` to `path`: its three tensors as they are, and the rest as text in the header."""
    facts = {"ids": take.lyrics.ids, "row": take.lyrics.row, "seconds": take.seconds, "steps": take.steps}
    tensors = {name: getattr(take, name).cpu().contiguous() for name in _NAMES}
    save_file(tensors, path, metadata={"take": json.dumps(facts)})


def load_trace(path: Path, device: str) -> FinishedTake:
    """Return what `save_trace` wrote, with its tensors on `device`; raises CheckpointError for a damaged file."""
    try:
        with safe_open(path, framework="pt") as file:
            facts = json.loads(file.metadata()["take"])
            tensors: dict[str, torch.Tensor] = {name: file.get_tensor(name).to(device) for name in _NAMES}
        return FinishedTake(
            latents=tensors["latents"],
            states=tensors["states"],
            context=tensors["context"],
            lyrics=LyricTokens(ids=tuple(facts["ids"]), row=facts["row"]),
            seconds=facts["seconds"],
            steps=facts["steps"],
        )
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{path.name} is no stored take: {error}") from error
