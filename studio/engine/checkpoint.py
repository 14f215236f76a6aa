"""Finds checkpoints in the diffusers or the original layout and says exactly what is wrong with a broken one.

Only names, sizes and headers are read, so a check takes milliseconds whatever the model's size, and needs no torch.
Code that lies in a checkpoint is never imported.
"""

from __future__ import annotations

import zipfile
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from safetensors import SafetensorError, safe_open

from studio.engine.convert import NULL_CONDITION, PREFIXES, network_configs
from studio.engine.manifest import check_sizes
from studio.engine.model_spec import ModelSpec, VaeClass, original_spec, read_json, spec_for
from studio.errors import CheckpointError, NotFound

INDEX = "model_index.json"
DIFFUSERS_WEIGHTS = "diffusion_pytorch_model.safetensors"
TRANSFORMERS_WEIGHTS = "model.safetensors"
SILENCE = "silence_latent.pt"
VAE_FOLDER, TEXT_FOLDER = "vae", "Qwen3-Embedding-0.6B"  # beside the DiT folders of the original layout
_SHARED_SIZES = {"audio_acoustic_hidden_dim": 64, "text_hidden_dim": 1024}  # with AceStepConfig's defaults


class Layout(StrEnum):
    """How the files of a checkpoint are arranged (engine.md 1.1, 1.5)."""

    DIFFUSERS = "diffusers"
    ORIGINAL = "original"


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointInfo:
    """One checkpoint folder that was found; `spec` is None exactly when `problem` says why it can't be used."""

    name: str
    path: Path
    spec: ModelSpec | None
    problem: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """One checkpoint that passed every check, with the folders of the parts that can lie outside of its own."""

    path: Path
    spec: ModelSpec
    layout: Layout
    vae: Path
    text_encoder: Path
    tokenizer: Path

    @property
    def folders(self) -> tuple[Path, ...]:
        """Every folder that holds a part of it, none inside another."""
        return (self.path,) if self.layout is Layout.DIFFUSERS else (self.path, self.vae, self.text_encoder)


@dataclass(frozen=True, slots=True)
class _Part:
    """One component folder of the layout: the classes its config may name and its weights file."""

    classes: tuple[str, ...]
    weights: str = DIFFUSERS_WEIGHTS
    required: bool = True


_VAE = _Part(tuple(VaeClass))
_TEXT_ENCODER = _Part(("Qwen3Model", "Qwen3ForCausalLM"), TRANSFORMERS_WEIGHTS)
PARTS: Mapping[str, _Part] = {
    "transformer": _Part(("AceStepTransformer1DModel",)),
    "condition_encoder": _Part(("AceStepConditionEncoder",)),
    "vae": _VAE,
    "text_encoder": _TEXT_ENCODER,
    "audio_tokenizer": _Part(("AceStepAudioTokenizer",), required=False),
    "audio_token_detokenizer": _Part(("AceStepAudioTokenDetokenizer",), required=False),
}
SHARED: Mapping[str, _Part] = {VAE_FOLDER: _VAE, TEXT_FOLDER: _TEXT_ENCODER}
TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json")


def find_checkpoints(dirs: Iterable[Path]) -> list[CheckpointInfo]:
    """List every checkpoint of either layout directly inside `dirs`, sorted by name; broken ones too.

    Missing directories hold nothing, folders with a leading dot are still being written. A name found twice is listed
    once, from the earlier directory.
    """
    dirs = [directory for directory in dirs if directory.is_dir()]
    found: dict[str, CheckpointInfo] = {}
    for directory in dirs:
        for folder in sorted(directory.iterdir()):
            if not folder.name.startswith(".") and layout_of(folder) is not None:
                info = _inspect(folder, dirs)
                found.setdefault(info.name, info)
    return [found[name] for name in sorted(found)]


def resolve(path_or_name: str | Path, dirs: Iterable[Path] = ()) -> Checkpoint:
    """Return the checked checkpoint at a path, or the one of that name (or folder name) inside `dirs`.

    Raises NotFound when there is none, CheckpointError naming the file and the fault when it is broken.
    """
    path, dirs = Path(path_or_name), list(dirs)
    if layout_of(path) is not None:
        return verify(path, dirs)
    known = find_checkpoints(dirs)
    for info in known:
        if str(path_or_name) in (info.name, info.path.name):
            return verify(info.path, dirs)
    if path.is_dir():
        inside = ", ".join(info.name for info in find_checkpoints([path]))
        hint = f"; inside it there are {inside}" if inside else ""
        raise CheckpointError(
            f"{path} is no checkpoint: it has no {INDEX} (diffusers layout) "
            f"and no config.json of ACE-Step (original layout){hint}"
        )
    names = ", ".join(info.name for info in known) or "none"
    raise NotFound(f"no checkpoint called {str(path_or_name)!r}; there are: {names}")


def layout_of(path: Path) -> Layout | None:
    """Return the layout of the checkpoint folder `path`, None when it is none; a broken one has a layout too."""
    if (path / INDEX).is_file() or (path / "transformer" / "config.json").is_file():
        return Layout.DIFFUSERS
    if (path / SILENCE).is_file() or _names_acestep(path / "config.json"):
        return Layout.ORIGINAL
    return None


def verify(path: Path, dirs: Iterable[Path] = ()) -> Checkpoint:
    """Check every file of the checkpoint in `path`; `dirs` are searched for what the original layout shares.

    Raises CheckpointError that names the first file that is missing, damaged, truncated, of an unknown class or of
    another size than the manifest says.
    """
    original = layout_of(path) is Layout.ORIGINAL
    checkpoint = _verify_original(path, dirs) if original else _verify_diffusers(path)
    for name in TOKENIZER_FILES:
        read_json(checkpoint.tokenizer / name)
    for folder in checkpoint.folders:
        check_sizes(folder)
    return checkpoint


def is_complete(folder: Path, shared: str) -> bool:
    """Whether `folder` can serve as the shared folder called `shared` ("vae", "Qwen3-Embedding-0.6B")."""
    try:
        _check_part(folder, SHARED[shared])
        check_sizes(folder)
    except CheckpointError:
        return False
    return shared != TEXT_FOLDER or all((folder / name).is_file() for name in TOKENIZER_FILES)


def _inspect(path: Path, dirs: Iterable[Path]) -> CheckpointInfo:
    try:
        spec = verify(path, dirs).spec
    except CheckpointError as error:
        return CheckpointInfo(name=path.name, path=path, spec=None, problem=str(error))
    return CheckpointInfo(name=spec.name, path=path, spec=spec)


def _names_acestep(config: Path) -> bool:
    """Whether it is the config of an original DiT: not of a language model, an autoencoder or a diffusers part."""
    try:
        content = read_json(config)
    except CheckpointError:
        return False
    return content.get("model_type") == "acestep" or ("timbre_hidden_dim" in content and "_class_name" not in content)


def _verify_diffusers(path: Path) -> Checkpoint:
    spec = spec_for(path)
    for folder, part in PARTS.items():
        if part.required or (path / folder).is_dir():
            _check_part(path / folder, part)
    return Checkpoint(
        path=path,
        spec=spec,
        layout=Layout.DIFFUSERS,
        vae=path / "vae",
        text_encoder=path / "text_encoder",
        tokenizer=path / "tokenizer",
    )


def _verify_original(path: Path, dirs: Iterable[Path]) -> Checkpoint:
    file = path / "config.json"
    config = read_json(file)
    network_configs(config, str(file))
    _check_networks(path / TRANSFORMERS_WEIGHTS, _check_weights(path, TRANSFORMERS_WEIGHTS))
    if not zipfile.is_zipfile(path / SILENCE):  # also when it is not there; its directory is at its end
        fault = "is truncated or damaged" if (path / SILENCE).is_file() else "is missing"
        raise CheckpointError(f"{path / SILENCE} {fault}; the model needs it wherever there is no reference audio")
    places = [path.parent, path.resolve().parent, *dirs]
    shared = {name: _shared(path, name, places) for name in SHARED}
    for name, part in SHARED.items():
        _check_part(shared[name], part)
    spec = original_spec(path, shared[VAE_FOLDER])
    _check_widths(path, config, spec, shared[TEXT_FOLDER])
    return Checkpoint(
        path=path,
        spec=spec,
        layout=Layout.ORIGINAL,
        vae=shared[VAE_FOLDER],
        text_encoder=shared[TEXT_FOLDER],
        tokenizer=shared[TEXT_FOLDER],
    )


def _shared(path: Path, name: str, places: Iterable[Path]) -> Path:
    """The folder `name` beside the checkpoint, beside what it links to, or in another of the known directories."""
    places = list(dict.fromkeys(places))
    for place in places:
        if (place / name).is_dir():
            return place / name
    raise CheckpointError(
        f"{path} needs the folder {name} beside it, which is missing; looked in {', '.join(map(str, places))}"
    )


def _check_networks(file: Path, names: Collection[str]) -> None:
    """Name a network that is not there at all; loading checks every weight."""
    needed = [*PREFIXES.values(), NULL_CONDITION]
    lost = [prefix for prefix in needed if not any(name.startswith(prefix) for name in names)]
    if lost:
        raise CheckpointError(f"{file} holds no {lost[0]} weights: it is no ACE-Step model in the original layout")


def _check_widths(path: Path, config: Mapping[str, object], spec: ModelSpec, text_encoder: Path) -> None:
    """A shared folder of another model would only fail deep inside a run."""
    latents, width = (config.get(key) or default for key, default in _SHARED_SIZES.items())
    if latents != spec.sound.latent_channels:
        raise CheckpointError(f"{path} makes {latents} latent channels, the vae has {spec.sound.latent_channels}")
    if (found := read_json(text_encoder / "config.json").get("hidden_size")) != width:
        raise CheckpointError(f"{path} reads texts of width {width}, {text_encoder} gives {found}")


def _check_part(folder: Path, part: _Part) -> None:
    _check_class(folder / "config.json", part.classes)
    _check_weights(folder, part.weights)


def _check_class(config: Path, classes: tuple[str, ...]) -> None:
    """Diffusers' configs name their class in `_class_name`, transformers' in `architectures`."""
    content = read_json(config)
    architectures = content.get("architectures")
    named = content.get("_class_name") or (architectures[0] if isinstance(architectures, list) else None)
    if named not in classes:
        raise CheckpointError(f"{config}: class {named!r} can't be used here, only {' or '.join(classes)}")


def _check_weights(folder: Path, name: str) -> set[str]:
    """Return the tensor names of one safetensors file, or of an index and every shard it names."""
    index = folder / f"{name}.index.json"
    if not index.is_file():
        return tensor_names(folder / name)
    found: set[str] = set()
    for shard, expected in sorted(shards_of(index).items()):
        names = tensor_names(folder / shard)
        if missing := expected - names:
            raise CheckpointError(f"{folder / shard} lacks {len(missing)} tensors, the first is {min(missing)}")
        found |= names
    return found


def shards_of(index: Path) -> dict[str, set[str]]:
    """Return the tensor names of each shard an index names; raises CheckpointError when it can't be read."""
    weight_map = read_json(index).get("weight_map")
    if not isinstance(weight_map, dict) or not weight_map:
        raise CheckpointError(f"{index}: weight_map must name the shard of every tensor")
    shards: dict[str, set[str]] = {}
    for key, shard in weight_map.items():
        if Path(str(shard)).name != str(shard):
            raise CheckpointError(f"{index}: shard {shard!r} must be a file in the same folder")
        shards.setdefault(str(shard), set()).add(str(key))
    return shards


def tensor_names(file: Path) -> set[str]:
    """Return the tensor names in `file`; raises CheckpointError when it is missing, truncated or damaged.

    Opening it checks the header and that the data is complete.
    """
    if not file.is_file():
        raise CheckpointError(f"{file} is missing{_instead(file.parent)}")
    try:
        with safe_open(file, framework="numpy") as tensors:
            return set(tensors.keys())
    except SafetensorError as error:
        raise CheckpointError(f"{file} is truncated or damaged ({file.stat().st_size} bytes): {error}") from error


def _instead(folder: Path) -> str:
    """What lies there in place of the missing weights."""
    if pickled := sorted(path.name for path in folder.glob("*.bin")):
        return f" ({pickled[0]} is not used: only safetensors files are)"
    if others := sorted(path.name for path in folder.glob("*.safetensors")):
        return f" ({others[0]} is there: was it renamed, or is the index of its shards missing?)"
    return ""
