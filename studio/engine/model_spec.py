"""What is known of a checkpoint before it is loaded: its family's table row and what its own JSON files say.

Reads JSON only, so pages and services can list checkpoints without torch.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

from studio.engine.requests import MAX_CODE, MAX_DURATION, Task
from studio.errors import CheckpointError

MIN_FRAMES = 128  # the original never computes fewer latent frames (engine.md 4.5)
DEFAULT_DURATION = 120.0  # seconds; what the published checkpoints use (engine.md 4.5, April 2026)
CODEBOOK = MAX_CODE + 1  # of the published tokenizer, whose FSQ levels are 8, 8, 8, 5, 5, 5


class Family(StrEnum):
    """How a DiT was trained, which decides what it can do."""

    TURBO = "turbo"  # distilled: few steps, no guidance
    SFT = "sft"
    BASE = "base"


@dataclass(frozen=True, slots=True, kw_only=True)
class Defaults:
    """What a family offers, and what is used where the user left a choice open (engine.md 6.6, the UI's values)."""

    family: Family
    steps: int
    max_steps: int
    shift: float
    guidance_scale: float  # 1.0 = no guidance
    trained_steps: tuple[int, ...] = ()  # empty: any
    trained_shifts: tuple[float, ...] = ()  # empty: any
    tasks: tuple[Task, ...] = (Task.TEXT2MUSIC, Task.COVER, Task.REPAINT)

    @property
    def guided(self) -> bool:
        """Whether this family follows classifier-free guidance; turbo has it built in."""
        return self.guidance_scale > 1


FAMILIES: Mapping[Family, Defaults] = {
    Family.TURBO: Defaults(
        family=Family.TURBO,
        steps=8,
        max_steps=20,
        shift=3.0,
        guidance_scale=1.0,
        trained_steps=(8,),
        trained_shifts=(1.0, 2.0, 3.0),
    ),
    Family.SFT: Defaults(family=Family.SFT, steps=32, max_steps=200, shift=3.0, guidance_scale=7.0),
    Family.BASE: Defaults(
        family=Family.BASE, steps=32, max_steps=200, shift=3.0, guidance_scale=7.0, tasks=tuple(Task)
    ),
}


class VaeClass(StrEnum):
    """The autoencoders the engine knows, by `_class_name` in vae/config.json."""

    OOBLECK = "AutoencoderOobleck"
    SPECTRAL = "SpectralAutoencoder"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sound:
    """The shape of a checkpoint's audio and latents, from its vae/config.json."""

    vae_class: VaeClass
    sample_rate: int  # Hz
    hop_length: int  # samples a latent frame
    channels: int
    latent_channels: int

    def frames(self, seconds: float) -> int:
        """Return how many latent frames the model computes for `seconds`.

        engine.md 4.5: seconds are rounded to tenths, only whole frames count, and 128 is the least.
        """
        samples = int(max(0.1, round(seconds, 1)) * self.sample_rate)
        return max(MIN_FRAMES, samples // self.hop_length)

    def samples(self, seconds: float) -> int:
        """Return how many samples last `seconds`."""
        return round(seconds * self.sample_rate)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSpec:
    """One checkpoint: its family, its defaults and the shape of its sound."""

    name: str
    family: Family
    wide: bool  # XL: the DiT is wider than its condition encoder
    defaults: Defaults
    duration: float  # seconds used when a request gives none
    max_duration: float  # seconds
    sound: Sound
    codes: bool  # whether it can turn audio into 5 Hz codes and back
    codebook: int = CODEBOOK  # how many different codes there are, if any


def spec_for(path: Path) -> ModelSpec:
    """Read the spec of the diffusers-layout checkpoint in folder `path`.

    Raises CheckpointError for a missing or damaged JSON file, an unknown family or an unknown autoencoder.
    """
    index, transformer = path / "model_index.json", path / "transformer" / "config.json"
    own = _own_statements(index)
    config = read_json(transformer)
    family = _family(config, transformer)
    codes = all((path / part).is_dir() for part in ("audio_tokenizer", "audio_token_detokenizer"))
    return ModelSpec(
        name=str(own.get("name", path.name)),
        family=family,
        wide=is_wide(config),
        defaults=_defaults(family, own, index),
        duration=_number(own.get("default_duration", DEFAULT_DURATION), "default_duration", index),
        max_duration=_number(own.get("max_duration", MAX_DURATION), "max_duration", index),
        sound=_sound(path / "vae" / "config.json"),
        codes=codes,
        codebook=_codebook(path / "audio_tokenizer" / "config.json") if codes else CODEBOOK,
    )


def original_spec(path: Path, vae: Path) -> ModelSpec:
    """Read the spec of the DiT folder `path` in the original layout, whose autoencoder lies in the folder `vae`.

    Folder names say nothing about the family. Raises CheckpointError as `spec_for` does.
    """
    file = path / "config.json"
    config = read_json(file)
    family = _family(config, file)
    return ModelSpec(
        name=path.name,
        family=family,
        wide=is_wide(config),
        defaults=FAMILIES[family],
        duration=DEFAULT_DURATION,
        max_duration=MAX_DURATION,
        sound=_sound(vae / "config.json"),
        codes=True,
        codebook=_codebook(file),
    )


def is_wide(config: Mapping[str, object]) -> bool:
    """Whether a DiT is an XL one: wider than its condition encoder (engine.md 1.3)."""
    return config.get("encoder_hidden_size") not in (None, config.get("hidden_size"))


def read_json(path: Path) -> dict[str, object]:
    """Return the JSON object in `path`; raise CheckpointError when it is missing, damaged or no object."""
    try:
        content: object = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise CheckpointError(f"{path} can't be read: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{path} is not valid JSON: {error}") from error
    if not isinstance(content, dict):
        raise CheckpointError(f"{path} must hold a JSON object")
    return content


def _own_statements(index: Path) -> dict[str, object]:
    """What the checkpoint says of itself under the key `studio` of model_index.json."""
    own = read_json(index).get("studio", {})
    if not isinstance(own, dict):
        raise CheckpointError(f"{index}: studio must be a JSON object, got {own!r}")
    return own


def _defaults(family: Family, own: Mapping[str, object], index: Path) -> Defaults:
    """The family's table row, narrowed to the tasks a checkpoint says it was trained for."""
    row = FAMILIES[family]
    stated = own.get("tasks")
    if stated is None:
        return row
    if not isinstance(stated, list) or not stated or not set(stated) <= set(row.tasks):
        raise CheckpointError(f"{index}: tasks must list some of {', '.join(row.tasks)}, got {stated!r}")
    return replace(row, tasks=tuple(task for task in row.tasks if task in stated))


def _family(config: Mapping[str, object], file: Path) -> Family:
    """Turbo has a flag of its own; model_version tells the others, and turbo too where the flag is absent.

    engine.md 1.4, 1.5. AceStepConfig would take an absent model_version for turbo, flag or no flag; guessing here would
    give a base model eight steps without guidance, so it is refused.
    """
    turbo, version = config.get("is_turbo"), str(config.get("model_version") or "").lower()
    if turbo is not None and not isinstance(turbo, bool):
        raise CheckpointError(f"{file}: is_turbo must be true or false, got {turbo!r}")
    if turbo:
        return Family.TURBO
    named = next((family for family in Family if family in version), None)
    if named is None:
        raise CheckpointError(f"{file}: model_version {version!r} names no known family (turbo, sft, base)")
    if named is Family.TURBO and turbo is False:
        raise CheckpointError(f"{file}: is_turbo is false, but model_version is {version!r}; one of them is wrong")
    return named


def _sound(file: Path) -> Sound:
    config = read_json(file)
    name = config.get("_class_name")
    if name == VaeClass.OOBLECK:
        ratios = config.get("downsampling_ratios")
        if not isinstance(ratios, list) or not ratios:
            raise CheckpointError(f"{file}: downsampling_ratios must be a list of whole numbers, got {ratios!r}")
        hop: object = math.prod(_even(ratio, "downsampling_ratios", file) for ratio in ratios)
        latents = config.get("decoder_input_channels")
    elif name == VaeClass.SPECTRAL:
        hop, latents = config.get("hop_length"), config.get("latent_channels")
    else:
        known = ", ".join(VaeClass)
        raise CheckpointError(f"{file}: autoencoder class {name!r} is unknown; known are {known}")
    return Sound(
        vae_class=VaeClass(str(name)),
        sample_rate=_whole(config.get("sampling_rate"), "sampling_rate", file),
        hop_length=_whole(hop, "hop_length", file),
        channels=_whole(config.get("audio_channels", 2), "audio_channels", file),
        latent_channels=_whole(latents, "latent channels", file),
    )


def _codebook(file: Path) -> int:
    """The product of the FSQ levels (engine.md 2.6); configs that leave them out have the published ones."""
    levels = read_json(file).get("fsq_input_levels")
    if levels is None:
        return CODEBOOK
    if not isinstance(levels, list) or not levels:
        raise CheckpointError(f"{file}: fsq_input_levels must be a list of whole numbers, got {levels!r}")
    return math.prod(_whole(level, "fsq_input_levels", file) for level in levels)


def _whole(value: object, key: str, file: Path) -> int:
    if type(value) is not int or value < 1:
        raise CheckpointError(f"{file}: {key} must be a whole number above 0, got {value!r}")
    return value


def _even(value: object, key: str, file: Path) -> int:
    """An Oobleck layer with an odd ratio decodes one sample less than a whole frame of its input."""
    if (whole := _whole(value, key, file)) % 2:
        raise CheckpointError(f"{file}: {key} must be even numbers, or sound is cut short at every layer, got {whole}")
    return whole


def _number(value: object, key: str, file: Path) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 < value <= MAX_DURATION:
        raise CheckpointError(f"{file}: {key} must be a number above 0 and at most {MAX_DURATION:g}, got {value!r}")
    return float(value)
