"""Reads the files of a DiT folder in the original layout: weights one at a time, and silence."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from pickle import UnpicklingError

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from studio.engine.checkpoint import TRANSFORMERS_WEIGHTS, shards_of
from studio.errors import CheckpointError

SILENCE_FRAMES = 15000  # 600 s at 25 Hz; what diffusers' condition encoder holds too


class Weights(Mapping[str, Tensor]):
    """The tensors of model.safetensors or of its shards, each read from disk when it is asked for.

    Tensors stay valid after the files are closed.
    """

    def __init__(self, folder: Path) -> None:
        index = folder / f"{TRANSFORMERS_WEIGHTS}.index.json"
        self._files = [folder / name for name in (shards_of(index) if index.is_file() else [TRANSFORMERS_WEIGHTS])]
        self._opened = ExitStack()
        self._where: dict[str, safe_open] = {}

    def __enter__(self) -> Weights:
        """Open every file; raises CheckpointError for a damaged one."""
        for file in self._files:
            try:
                tensors = self._opened.enter_context(safe_open(file, framework="pt"))
            except (OSError, SafetensorError) as error:
                self._opened.close()
                raise CheckpointError(f"{file} can't be read: {error}") from error
            self._where |= dict.fromkeys(tensors.keys(), tensors)
        return self

    def __exit__(self, *_: object) -> None:
        """Close every file."""
        self._opened.close()

    def __getitem__(self, name: str) -> Tensor:
        tensor: Tensor = self._where[name].get_tensor(name)  # type: ignore[no-untyped-call]  # safetensors' stub
        return tensor

    def __iter__(self) -> Iterator[str]:
        return iter(self._where)

    def __len__(self) -> int:
        return len(self._where)


def read_silence(file: Path) -> Tensor:
    """Return silence as the models hold it, `[1, 15000, C]`, from a silence_latent.pt of `[1, C, 15000]`.

    Only plain tensors are read, never pickled objects. Raises CheckpointError for anything else.
    """
    try:
        stored: object = torch.load(file, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, UnpicklingError, EOFError, ValueError) as error:
        raise CheckpointError(f"{file} can't be read as a tensor: {str(error).splitlines()[0]}") from error
    if not isinstance(stored, Tensor) or stored.shape[2:] != (SILENCE_FRAMES,) or not stored.is_floating_point():
        shape = list(stored.shape) if isinstance(stored, Tensor) else type(stored).__name__
        raise CheckpointError(f"{file} must hold one tensor [1, channels, {SILENCE_FRAMES}], got {shape}")
    return stored.transpose(1, 2).contiguous()
