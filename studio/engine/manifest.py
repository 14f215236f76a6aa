"""What a fetched or converted checkpoint folder should hold: the size and SHA-256 of every file.

Sizes of weights are compared at every look; sums, which take seconds a gigabyte, only when somebody asks.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from studio.engine.model_spec import read_json
from studio.errors import CheckpointError

MANIFEST = "studio-manifest.json"
WEIGHTS = (".safetensors", ".pt")
_BLOCK = 1 << 22  # bytes


@dataclass(frozen=True, slots=True)
class Entry:
    """What one file should be; `sha256` is lower-case hex."""

    size: int
    sha256: str


def sha256(file: Path, heard: Callable[[int], None] = lambda count: None) -> str:
    """Return the SHA-256 of a file in lower-case hex; `heard` gets the bytes of each block read."""
    digest = hashlib.sha256()
    with file.open("rb") as stream:
        while block := stream.read(_BLOCK):
            digest.update(block)
            heard(len(block))
    return digest.hexdigest()


def write_manifest(folder: Path, source: str, known: Mapping[str, str] | None = None) -> None:
    """Write the manifest of every file in `folder`; `known` gives sums already computed, by relative path."""
    known = known or {}
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != MANIFEST)
    entries = {}
    for file in files:
        name = file.relative_to(folder).as_posix()
        entries[name] = {"size": file.stat().st_size, "sha256": known.get(name) or sha256(file)}
    content = {"version": 1, "source": source, "files": entries}
    (folder / MANIFEST).write_text(json.dumps(content, indent=1), encoding="utf-8")


def read_manifest(folder: Path) -> dict[str, Entry]:
    """Return what the manifest of `folder` lists, by relative path; nothing when there is no manifest.

    Raises CheckpointError for a manifest that can't be read or names files outside of the folder.
    """
    file = folder / MANIFEST
    if not file.is_file():
        return {}
    listed = read_json(file).get("files")
    if not isinstance(listed, dict):
        raise CheckpointError(f"{file}: files must be a JSON object")
    entries = {}
    for name, entry in listed.items():
        if Path(name).is_absolute() or ".." in Path(name).parts:
            raise CheckpointError(f"{file}: {name!r} lies outside of the folder")
        try:
            entries[name] = Entry(int(entry["size"]), str(entry["sha256"]).lower())
        except (TypeError, KeyError, ValueError) as error:
            raise CheckpointError(f"{file}: {name} must have a size and a sha256, got {entry!r}") from error
    return entries


def check_sizes(folder: Path) -> None:
    """Raise CheckpointError for the first weights file that is missing or of another size than its manifest says."""
    for name, entry in read_manifest(folder).items():
        if name.endswith(WEIGHTS) and (fault := _size_fault(folder / name, entry)):
            raise CheckpointError(fault)


def check_sums(folder: Path, heard: Callable[[int], None] = lambda count: None) -> Iterator[tuple[Path, str]]:
    """Yield every file of the manifest with what is wrong with it, empty when nothing is; reads all of them."""
    for name, entry in read_manifest(folder).items():
        file = folder / name
        fault = _size_fault(file, entry)
        if not fault and (found := sha256(file, heard)) != entry.sha256:
            fault = f"{file} was changed or damaged: its SHA-256 is {found}, {MANIFEST} says {entry.sha256}"
        yield file, fault


def _size_fault(file: Path, entry: Entry) -> str:
    if not file.is_file():
        return f"{file} is missing; {MANIFEST} lists it"
    size = file.stat().st_size
    return f"{file} has {size} bytes, {MANIFEST} says {entry.size}" if size != entry.size else ""
