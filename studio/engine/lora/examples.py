"""Reads tensor files for training, the original's too, and cuts them to batches (training.md 3.8, 3.9, 4.7)."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from pickle import UnpicklingError

import torch
from torch import Tensor
from torch.nn import functional as F

from studio.engine.lora.layout import MANIFEST
from studio.engine.manifest import sha256
from studio.errors import CheckpointError, InvalidRequest, NotFound

KEYS = ("target_latents", "attention_mask", "encoder_hidden_states", "encoder_attention_mask", "context_latents")
BUCKET = 8  # batches whose songs are sorted by length among themselves


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """One prepared song."""

    name: str
    latents: Tensor  # [T, C]
    states: Tensor  # [L, H], real positions only
    context: Tensor  # [T, 2C]
    sha256: str = ""  # of its file

    @property
    def frames(self) -> int:
        """Length in latent frames."""
        return self.latents.shape[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Songs side by side, padded at the end."""

    latents: Tensor  # [B, T, C]
    context: Tensor  # [B, T, 2C]
    real: Tensor  # [B, T] bool
    states: Tensor  # [B, L, H]
    heard: Tensor  # [B, L] bool

    def only(self, rows: slice) -> Batch:
        """Return some of the songs, padded as they are."""
        return self._each(lambda part: part[rows])

    def to(self, device: torch.device) -> Batch:
        """Return the songs on a device."""
        return self._each(lambda part: part.to(device))

    def _each(self, change: Callable[[Tensor], Tensor]) -> Batch:
        return Batch(**{item.name: change(getattr(self, item.name)) for item in fields(self)})


def read_examples(folder: Path) -> list[Example]:
    """Read every prepared song of a folder: those of its manifest, else every `*.pt`.

    Raises NotFound, CheckpointError that names a damaged file, a missing tensor or a checksum that differs.
    """
    if not folder.is_dir():
        raise NotFound(f"there is no folder {folder}")
    names, sums = _listed(folder)
    examples = []
    for name in names:
        path = folder / name
        if not path.resolve().is_relative_to(folder.resolve()):
            raise CheckpointError(f"{folder / MANIFEST} names {name}, which lies outside of its folder")
        found = sha256(path)
        if sums.get(name, found) != found:
            raise CheckpointError(f"{path} was changed or damaged since it was prepared; prepare the dataset again")
        examples.append(_read(path, found))
    if not examples:
        raise CheckpointError(f"{folder} holds no tensor files")
    return examples


def _listed(folder: Path) -> tuple[list[str], Mapping[str, str]]:
    file = folder / MANIFEST
    if not file.is_file():
        return sorted(path.name for path in folder.glob("*.pt")), {}
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        listed = [str(name) for name in content["samples"]]
        files = content.get("studio", {}).get("files", {})
        sums = {name: str(about["sha256"]) for name, about in files.items()}
    except (OSError, ValueError, RecursionError, KeyError, TypeError, AttributeError) as error:
        raise CheckpointError(f"{file} is damaged: {error}") from error
    # Older originals wrote paths from the folder they ran in: the name is enough, the files lie here.
    names = [name if (folder / name).is_file() else Path(name.replace("\\", "/")).name for name in listed]
    for name in names:
        if not (folder / name).is_file():
            raise CheckpointError(f"{file} names {name}, which is missing")
    return names, sums


def _read(path: Path, digest: str) -> Example:
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, UnpicklingError) as error:
        raise CheckpointError(f"{path} can't be read: {error}") from error
    for key in KEYS:
        if not isinstance(content, dict) or not isinstance(content.get(key), Tensor):
            raise CheckpointError(f"{path} lacks the tensor {key}")
    latents, context, states = (content[key].float() for key in (KEYS[0], KEYS[4], KEYS[2]))
    if latents.dim() != 2 or context.shape != (latents.shape[0], 2 * latents.shape[1]) or not latents.shape[0]:
        raise CheckpointError(f"{path}: latents and context must be [T, C] and [T, 2C], got {[*latents.shape]}")
    if not all(torch.isfinite(part).all() for part in (latents, context, states)):
        raise CheckpointError(f"{path} holds values that are not finite")
    real = content[KEYS[1]] > 0
    return Example(
        name=path.name,
        sha256=digest,
        latents=latents[real],
        context=context[real],
        states=states[content[KEYS[3]].bool()] if content[KEYS[3]].any() else states,
    )


def order(lengths: Sequence[int], batch: int, seed: int, epoch: int) -> list[list[int]]:
    """Return the batches of an epoch: shuffled, songs of like length together; follows from seed and epoch alone."""
    chance = random.Random(f"{seed} {epoch}")
    places = list(range(len(lengths)))
    chance.shuffle(places)
    size = batch * BUCKET
    near = [sorted(places[start : start + size], key=lengths.__getitem__) for start in range(0, len(places), size)]
    batches = [group[start : start + batch] for group in near for start in range(0, len(group), batch)]
    chance.shuffle(batches)
    return batches


def collate(examples: Sequence[Example], crop: int = 0, chance: random.Random | None = None) -> Batch:
    """Put songs side by side; with `crop` frames longer ones are cut, at a random place when there is chance."""
    if not examples:
        raise InvalidRequest("batch", "hold examples", 0)
    cuts = [_cut(example, crop, chance) for example in examples]
    frames, length = max(len(cut[0]) for cut in cuts), max(len(example.states) for example in examples)
    return Batch(
        latents=torch.stack([_padded(latents, frames) for latents, _ in cuts]),
        context=torch.stack([_padded(context, frames) for _, context in cuts]),
        real=torch.stack([torch.arange(frames) < len(latents) for latents, _ in cuts]),
        states=torch.stack([_padded(example.states, length) for example in examples]),
        heard=torch.stack([torch.arange(length) < len(example.states) for example in examples]),
    )


def _cut(example: Example, crop: int, chance: random.Random | None) -> tuple[Tensor, Tensor]:
    """The context keeps its beginning: silence and mask are those of a clip that starts here."""
    if not crop or example.frames <= crop:
        return example.latents, example.context
    start = chance.randrange(example.frames - crop + 1) if chance else 0
    return example.latents[start : start + crop], example.context[:crop]


def _padded(rows: Tensor, length: int) -> Tensor:
    return F.pad(rows, (0, 0, 0, length - len(rows)))
