"""Writes a checkpoint of the original layout as one folder in the diffusers layout."""

from __future__ import annotations

import json
import secrets
import shutil
from collections.abc import Iterable
from pathlib import Path

from safetensors import SafetensorError

from studio.engine.checkpoint import INDEX, SILENCE, Checkpoint, Layout, resolve, verify
from studio.engine.manifest import WEIGHTS, write_manifest
from studio.engine.run import Phase, Run
from studio.engine.space import check_space
from studio.errors import CheckpointError, StorageError

MODEL_INDEX = {
    "_class_name": "AceStepPipeline",
    "transformer": ["diffusers", "AceStepTransformer1DModel"],
    "condition_encoder": ["ace_step", "AceStepConditionEncoder"],
    "audio_tokenizer": ["ace_step", "AceStepAudioTokenizer"],
    "audio_token_detokenizer": ["ace_step", "AceStepAudioTokenDetokenizer"],
    "vae": ["diffusers", "AutoencoderOobleck"],
    "text_encoder": ["transformers", "Qwen3Model"],
    "tokenizer": ["transformers", "PreTrainedTokenizerFast"],
    "scheduler": ["diffusers", "FlowMatchEulerDiscreteScheduler"],
}
SCHEDULER = {"_class_name": "FlowMatchEulerDiscreteScheduler", "num_train_timesteps": 1, "shift": 1.0}
_MODEL_FILES = ("config.json", "*.safetensors", "*.safetensors.index.json")
_TOKENIZER_FILES = ("tokenizer*.json", "special_tokens_map.json", "added_tokens.json", "vocab.json", "merges.txt")
_SHARD = "5GB"
_STEPS = 6


def convert(source: str | Path, target: Path, dirs: Iterable[Path] = (), run: Run | None = None) -> Path:
    """Write the original-layout checkpoint `source` (a path, or a name inside `dirs`) to the new folder `target`.

    Weights keep their number types; nothing but safetensors, JSON, tokenizer files and silence is written. The folder
    appears only when it is complete and has passed every check, with a manifest of its files. Reports
    `Phase.SAVING`. Raises NotFound, CheckpointError (also when `target` exists), StorageError for a full disk,
    Cancelled.
    """
    checkpoint = resolve(source, dirs)
    if checkpoint.layout is not Layout.ORIGINAL:
        raise CheckpointError(f"{checkpoint.path} is in the diffusers layout already")
    if target.exists():
        raise CheckpointError(f"{target} exists; name a new folder")
    target.parent.mkdir(parents=True, exist_ok=True)
    check_space(target.parent, sum(file.stat().st_size for folder in checkpoint.folders for file in _weights(folder)))
    made = target.parent / f".{target.name}-{secrets.token_hex(4)}"  # a name with a dot is never listed
    try:
        _write(checkpoint, made, run or Run())
        write_manifest(made, f"converted from {checkpoint.path}")
        verify(made)
        made.rename(target)
    except (OSError, SafetensorError) as error:
        raise StorageError(f"{target} can't be written: {error}") from error
    finally:
        shutil.rmtree(made, ignore_errors=True)
    return target


def _weights(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if path.suffix in WEIGHTS]


def _write(checkpoint: Checkpoint, made: Path, run: Run) -> None:
    """The file that makes the folder a checkpoint is written last."""
    from studio.engine.loader import read_original

    run.step(Phase.SAVING, 0, _STEPS)
    networks = read_original(checkpoint.path, "cpu", None)._asdict()
    for number, (name, model) in enumerate(networks.items(), 1):
        model.save_pretrained(made / name, max_shard_size=_SHARD)
        run.step(Phase.SAVING, number, _STEPS)
    _copy(checkpoint.vae, made / "vae", _MODEL_FILES)
    run.step(Phase.SAVING, _STEPS - 1, _STEPS)
    _copy(checkpoint.text_encoder, made / "text_encoder", _MODEL_FILES)
    _copy(checkpoint.tokenizer, made / "tokenizer", _TOKENIZER_FILES)
    _copy(checkpoint.path, made, (SILENCE,))
    (made / "scheduler").mkdir()
    (made / "scheduler" / "scheduler_config.json").write_text(json.dumps(SCHEDULER), encoding="utf-8")
    (made / INDEX).write_text(json.dumps(MODEL_INDEX, indent=1), encoding="utf-8")
    run.step(Phase.SAVING, _STEPS, _STEPS)


def _copy(source: Path, target: Path, patterns: Iterable[str]) -> None:
    target.mkdir(exist_ok=True)
    for pattern in patterns:
        for file in source.glob(pattern):
            shutil.copyfile(file, target / file.name)
