"""Writes the trained mini model as a checkpoint in diffusers layout, half precision."""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor

from mini import clips, data
from mini.codes import load_codec
from mini.network import Mini
from mini.prompts import make_tokenizer
from studio.engine.spectral import SpectralAutoencoder

NAMES = {"turbo": "acestep-mini-turbo", "base": "acestep-mini-base"}
TASKS = {"turbo": ["text2music", "cover", "repaint"], "base": list(clips.TASKS)}
DEFAULT_SECONDS, MOST_SECONDS = 10.0, 600.0
INDEX = {
    "_class_name": "AceStepPipeline",
    "transformer": ["diffusers", "AceStepTransformer1DModel"],
    "condition_encoder": ["ace_step", "AceStepConditionEncoder"],
    "vae": ["studio.engine.spectral", "SpectralAutoencoder"],
    "text_encoder": ["transformers", "Qwen3Model"],
    "tokenizer": ["transformers", "PreTrainedTokenizerFast"],
    "audio_tokenizer": ["ace_step", "AceStepAudioTokenizer"],
    "audio_token_detokenizer": ["ace_step", "AceStepAudioTokenDetokenizer"],
}


def read_weights(folder: Path) -> dict[str, Tensor]:
    """The weights of `Mini` in an exported checkpoint, in full precision."""
    weights: dict[str, Tensor] = {}
    for module, part in (("dit", "transformer"), ("condition", "condition_encoder"), ("text", "text_encoder")):
        for file in (folder / part).glob("*.safetensors"):
            weights |= {f"{module}.{name}": value.float() for name, value in load_file(file).items()}
    return weights


def halfway(before: dict[str, Tensor], after: dict[str, Tensor]) -> dict[str, Tensor]:
    """The weights in the middle: most of what the stage about stems teaches, half of what it makes forget."""
    return {name: torch.lerp(before[name], after[name], 0.5) for name in before}


def export(folder: Path, family: str = "turbo") -> None:
    """Write the averaged weights of the last training state to `folder`; a model card already there is kept.

    The base model is what the turbo model learned guidance from, or the present average before that stage.
    """
    content = torch.load(data.WORK / "train.pt", map_location="cpu", weights_only=False)
    tokenizer = make_tokenizer(data.WORK / "tokenizer")
    model = Mini(len(tokenizer))
    weights = content["teacher" if family == "base" and content["stage"] == "guide" else "average"]
    model.load_state_dict(halfway(content["teacher"], weights) if content["stage"] == "stems" else weights)
    codec = load_codec()
    model.dit.register_to_config(is_turbo=family == "turbo", model_version=family)
    own = {"name": NAMES[family], "default_duration": DEFAULT_SECONDS, "max_duration": MOST_SECONDS}
    index = INDEX | {"studio": own | {"tasks": TASKS[family]}}
    vae = SpectralAutoencoder()
    vae.latent_mean, vae.latent_std = codec.mean, codec.spread
    for part in INDEX:
        shutil.rmtree(folder / part, ignore_errors=True)
    model.dit.half().save_pretrained(folder / "transformer")
    model.condition.half().save_pretrained(folder / "condition_encoder")
    model.text.half().save_pretrained(folder / "text_encoder")
    codec.tokenizer.half().save_pretrained(folder / "audio_tokenizer")
    codec.detokenizer.half().save_pretrained(folder / "audio_token_detokenizer")
    tokenizer.save_pretrained(folder / "tokenizer")
    vae.save_pretrained(folder / "vae")
    (folder / "model_index.json").write_text(json.dumps(index, indent=2) + "\n", encoding="utf-8")
    size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    print(f"wrote {folder}: {size / 1e6:.1f} MB, stage {content['stage']} step {content['step']}", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--family", choices=[*NAMES], default="turbo")
    parser.add_argument("--out", type=Path, default=Path("data/models"), help="folder of the checkpoint's folder")
    options = parser.parse_args()
    export(options.out / NAMES[options.family], options.family)
