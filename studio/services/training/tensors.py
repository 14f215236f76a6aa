"""What lies in a folder of prepared songs, told from its manifest and the sizes of its files."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from studio.engine.dataset.roots import inside
from studio.engine.lora.estimate import RATE, frames_of
from studio.engine.lora.layout import MANIFEST
from studio.errors import CheckpointError, InvalidRequest, NotFound


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorsView:
    """A folder that can be trained on."""

    path: Path
    name: str
    count: int  # songs
    tag: str
    model: str  # they were prepared for; empty where that isn't said
    longest: int | None  # latent frames of the longest song, where that can be told
    seconds: float | None  # of music in all


def read_tensors(path: str, roots: Sequence[Path], channels: int = 64) -> TensorsView:
    """Look into a folder; `channels` is how wide the model's latents are.

    Raises InvalidRequest for an empty path, one outside of the roots, a file, or a folder without tensors, NotFound,
    CheckpointError for a damaged manifest.
    """
    folder = inside(roots, path, "tensors")
    if not folder.exists():
        raise NotFound(f"there is no folder {folder}; prepare a dataset first")
    if not folder.is_dir():
        raise InvalidRequest("tensors", "be a folder, not a file", path)
    content = _manifest(folder / MANIFEST)
    names = sorted(file.name for file in folder.glob("*.pt"))
    if not names:
        raise InvalidRequest("tensors", "hold prepared songs (.pt files); this folder has none", path)
    metadata, own = content.get("metadata"), content.get("studio")
    about = metadata if isinstance(metadata, dict) else {}
    listed = content.get("samples")
    lengths = [frames_of(folder / name, channels) for name in names]
    known = [length for length in lengths if length is not None]
    return TensorsView(
        path=folder,
        name=str(about.get("name") or folder.name),
        count=len(listed) if isinstance(listed, list) else len(names),
        tag=str(about.get("custom_tag", "")),
        model=str(own.get("model", "")) if isinstance(own, dict) else "",
        longest=max(known) if len(known) == len(lengths) else None,
        seconds=sum(known) / RATE if len(known) == len(lengths) else None,
    )


def _manifest(file: Path) -> dict[str, object]:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError) as error:
        raise CheckpointError(f"{file} is damaged: {error}") from error
    if not isinstance(content, dict):
        raise CheckpointError(f"{file} is damaged: it holds no object")
    return content
