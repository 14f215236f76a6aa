"""Writes the trained language model in the layout of the published ones: one folder, safetensors, half precision."""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path

import torch

from mini.lm.network import Listener, widened
from mini.lm.train import STATE, TOKENIZER, TOKENIZER_FILES
from mini.lm.vocabulary import make_vocabulary

NAME = "acestep-5Hz-lm-mini"
WEIGHTS = "model.safetensors"


def export(folder: Path, kind: torch.dtype = torch.float16) -> None:
    """Write the averaged weights of the last save to `folder`; a model card already there is kept."""
    content = torch.load(STATE, map_location="cpu", weights_only=False)
    vocabulary = make_vocabulary(TOKENIZER)
    model = Listener(vocabulary)
    model.load_state_dict(content["average"])
    folder.mkdir(parents=True, exist_ok=True)
    widened(model.fold(), vocabulary).to(kind).save_pretrained(folder)
    (folder / "generation_config.json").unlink(missing_ok=True)  # the published ones have none
    for name in TOKENIZER_FILES:
        shutil.copy(TOKENIZER / name, folder / name)
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    config["studio"] = {"audio_codes": vocabulary.codes}
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    size = sum(file.stat().st_size for file in folder.iterdir())
    seen = f"step {content['step']}, {content['seen']} tokens, {content['seconds']:.0f} s"
    print(f"wrote {folder}: {size / 1e6:.1f} MB, {seen}", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("data/models"), help="folder of the checkpoint's folder")
    export(parser.parse_args().out / NAME)
