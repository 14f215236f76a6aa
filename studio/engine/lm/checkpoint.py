"""Says whether a folder holds a 5 Hz language model, in either published layout; reads headers only (lm.md 1.1)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from studio.engine.checkpoint import tensor_names
from studio.engine.model_spec import read_json
from studio.errors import CheckpointError, NotFound

PREFIX = "acestep-5Hz-lm-"  # folders of the published checkpoints, and of ours
WEIGHTS = "model.safetensors"
CLASSES = ("Qwen3ForCausalLM", "Qwen3Model")  # the 0.6B says the first, the 1.7B the second
_EMBEDDING = "embed_tokens.weight"


@dataclass(frozen=True, slots=True, kw_only=True)
class LmInfo:
    """One language-model folder that was found; `problem` says why it can't be used, if it can't."""

    name: str
    path: Path
    problem: str = ""


def find_lms(dirs: Iterable[Path]) -> list[LmInfo]:
    """List every folder directly inside `dirs` that is named as a 5 Hz language model, broken ones too."""
    found: dict[str, LmInfo] = {}
    for directory in dirs:
        for folder in sorted(path for path in directory.glob(f"{PREFIX}*") if path.is_dir()):
            found.setdefault(folder.name, LmInfo(name=folder.name, path=folder, problem=_problem(folder)))
    return [found[name] for name in sorted(found)]


def resolve_lm(path_or_name: str | Path, dirs: Iterable[Path] = (), *, weights: bool = True) -> Path:
    """Return the folder at a path, or the one of that name inside `dirs`; raises NotFound or CheckpointError."""
    path = Path(path_or_name)
    if path.is_dir():
        verify_lm(path, weights=weights)
        return path
    known = find_lms(dirs)
    for info in known:
        if info.name == str(path_or_name):
            verify_lm(info.path, weights=weights)
            return info.path
    names = ", ".join(info.name for info in known) or "none"
    raise NotFound(f"no language model called {str(path_or_name)!r}; there are: {names}")


def choose_lm(dirs: Iterable[Path]) -> str:
    """Return the name of the first language model that can be used; raises NotFound with what is wrong with others."""
    dirs = list(dirs)
    known = find_lms(dirs)
    for info in known:
        if not info.problem:
            return info.name
    problems = "".join(f"; {info.problem}" for info in known)
    raise NotFound(f"there is no usable language model in {', '.join(map(str, dirs))}{problems}")


def verify_lm(folder: Path, *, weights: bool = True) -> None:
    """Raise CheckpointError that names the first file that is missing, damaged or of another kind.

    Where the model runs on another machine, the weights need not be here.
    """
    config = read_json(folder / "config.json")
    architectures = config.get("architectures")
    named = architectures[0] if isinstance(architectures, list) and architectures else None
    if config.get("model_type") != "qwen3" or named not in CLASSES:
        rule = " or ".join(CLASSES)
        raise CheckpointError(f"{folder / 'config.json'}: architecture {named!r} can't be used here, only {rule}")
    if config.get("use_sliding_window") is True:
        raise CheckpointError(f"{folder / 'config.json'}: sliding windows are not supported")
    if not (folder / "tokenizer.json").is_file():
        raise CheckpointError(f"{folder / 'tokenizer.json'} is missing")
    if not weights:
        return
    names = weight_names(folder)
    if not names & {_EMBEDDING, f"model.{_EMBEDDING}"}:
        raise CheckpointError(f"{folder}: the weights hold no {_EMBEDDING}: they are no language model's")


def is_bare(folder: Path) -> bool:
    """Return whether weights are named without `model.`, as in the published 1.7B."""
    return _EMBEDDING in weight_names(folder)


def weight_names(folder: Path) -> set[str]:
    """Return the names of all tensors; raises CheckpointError for a missing, truncated or damaged file."""
    index = folder / f"{WEIGHTS}.index.json"
    if not index.is_file():
        return tensor_names(folder / WEIGHTS)
    shards = read_json(index).get("weight_map")
    if not isinstance(shards, dict) or not shards:
        raise CheckpointError(f"{index}: weight_map must name the shard of every tensor")
    held: set[str] = set().union(
        *(tensor_names(folder / str(shard)) for shard in sorted(set(map(str, shards.values()))))
    )
    if missing := shards.keys() - held:
        raise CheckpointError(f"{index} names {len(missing)} tensors that no shard holds, the first is {min(missing)}")
    return held


def _problem(folder: Path) -> str:
    try:
        verify_lm(folder)
    except CheckpointError as error:
        return str(error)
    return ""
