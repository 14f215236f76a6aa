"""Finds checkpoints in the diffusers layout and says exactly what is wrong with a broken one.

Only names, sizes and headers are read, so a check takes milliseconds whatever the model's size, and needs no torch.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError, safe_open

from studio.engine.model_spec import ModelSpec, VaeClass, read_json, spec_for
from studio.errors import CheckpointError, NotFound

INDEX = "model_index.json"
DIFFUSERS_WEIGHTS = "diffusion_pytorch_model.safetensors"
TRANSFORMERS_WEIGHTS = "model.safetensors"


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointInfo:
    """One checkpoint folder that was found; `spec` is None exactly when `problem` says why it can't be used."""

    name: str
    path: Path
    spec: ModelSpec | None
    problem: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """One checkpoint folder that passed every check."""

    path: Path
    spec: ModelSpec


@dataclass(frozen=True, slots=True)
class _Part:
    """One component folder of the layout: the classes its config may name and its weights file."""

    classes: tuple[str, ...]
    weights: str = DIFFUSERS_WEIGHTS
    required: bool = True


PARTS: Mapping[str, _Part] = {
    "transformer": _Part(("AceStepTransformer1DModel",)),
    "condition_encoder": _Part(("AceStepConditionEncoder",)),
    "vae": _Part(tuple(VaeClass)),
    "text_encoder": _Part(("Qwen3Model", "Qwen3ForCausalLM"), TRANSFORMERS_WEIGHTS),
    "audio_tokenizer": _Part(("AceStepAudioTokenizer",), required=False),
    "audio_token_detokenizer": _Part(("AceStepAudioTokenDetokenizer",), required=False),
}
TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json")


def find_checkpoints(dirs: Iterable[Path]) -> list[CheckpointInfo]:
    """List every folder directly inside `dirs` that holds a model_index.json, sorted by name; broken ones too.

    Missing directories hold nothing. A name found twice is listed once, from the earlier directory.
    """
    found: dict[str, CheckpointInfo] = {}
    for directory in dirs:
        for index in sorted(directory.glob(f"*/{INDEX}")):
            info = _inspect(index.parent)
            found.setdefault(info.name, info)
    return [found[name] for name in sorted(found)]


def resolve(path_or_name: str | Path, dirs: Iterable[Path] = ()) -> Checkpoint:
    """Return the checked checkpoint at a path, or the one of that name (or folder name) inside `dirs`.

    Raises NotFound when there is none, CheckpointError naming the file and the fault when it is broken.
    """
    path = Path(path_or_name)
    if (path / INDEX).is_file():
        return Checkpoint(path=path, spec=verify(path))
    if path.is_dir():
        raise CheckpointError(f"{path} has no {INDEX}: it is no checkpoint in the diffusers layout")
    known = find_checkpoints(dirs)
    for info in known:
        if str(path_or_name) in (info.name, info.path.name):
            if info.spec is None:
                raise CheckpointError(info.problem)
            return Checkpoint(path=info.path, spec=info.spec)
    names = ", ".join(info.name for info in known) or "none"
    raise NotFound(f"no checkpoint called {str(path_or_name)!r}; there are: {names}")


def verify(path: Path) -> ModelSpec:
    """Check every file of the checkpoint in `path` and return its spec.

    Raises CheckpointError that names the first file that is missing, damaged, truncated or of an unknown class.
    """
    spec = spec_for(path)
    for folder, part in PARTS.items():
        if part.required or (path / folder).is_dir():
            _check_class(path / folder / "config.json", part.classes)
            _check_weights(path / folder, part.weights)
    for name in TOKENIZER_FILES:
        read_json(path / "tokenizer" / name)
    return spec


def _inspect(path: Path) -> CheckpointInfo:
    try:
        spec = verify(path)
    except CheckpointError as error:
        return CheckpointInfo(name=path.name, path=path, spec=None, problem=str(error))
    return CheckpointInfo(name=spec.name, path=path, spec=spec)


def _check_class(config: Path, classes: tuple[str, ...]) -> None:
    """Diffusers' configs name their class in `_class_name`, transformers' in `architectures`."""
    content = read_json(config)
    architectures = content.get("architectures")
    named = content.get("_class_name") or (architectures[0] if isinstance(architectures, list) else None)
    if named not in classes:
        raise CheckpointError(f"{config}: class {named!r} can't be used here, only {' or '.join(classes)}")


def _check_weights(folder: Path, name: str) -> None:
    """One safetensors file, or an index and every shard it names."""
    index = folder / f"{name}.index.json"
    if not index.is_file():
        _check_safetensors(folder / name)
        return
    shards = read_json(index).get("weight_map")
    if not isinstance(shards, dict) or not shards:
        raise CheckpointError(f"{index}: weight_map must name the shard of every tensor")
    keys: dict[str, set[str]] = {}
    for key, shard in shards.items():
        keys.setdefault(str(shard), set()).add(str(key))
    for shard, expected in sorted(keys.items()):
        missing = expected - _check_safetensors(folder / shard)
        if missing:
            raise CheckpointError(f"{folder / shard} lacks {len(missing)} tensors, the first is {min(missing)}")


def _check_safetensors(file: Path) -> set[str]:
    """Return the tensor names in `file`; opening it checks the header and that the data is complete."""
    if not file.is_file():
        pickled = sorted(path.name for path in file.parent.glob("*.bin"))
        hint = f" ({pickled[0]} is not used: only safetensors files are)" if pickled else ""
        raise CheckpointError(f"{file} is missing{hint}")
    try:
        with safe_open(file, framework="numpy") as tensors:
            return set(tensors.keys())
    except SafetensorError as error:
        raise CheckpointError(f"{file} is truncated or damaged ({file.stat().st_size} bytes): {error}") from error
