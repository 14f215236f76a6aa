"""Songs of a few seconds with captions, prepared for training by the command line."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import soundfile

from mini.composer import caption_of, draw_song, lyrics_of, render
from studio.config import ROOT

RATE = 24_000  # Hz, the composer's


def prepare_songs(folder: Path, out: Path, model: Path, *, count: int = 3, seconds: float = 8.0) -> None:
    """Compose `count` songs into `folder` and write their tensors to `out`, tagged `mytag` as the dataset `harbour`."""
    folder.mkdir(parents=True)
    for seed in range(count):
        song = draw_song(seed)
        soundfile.write(folder / f"song{seed}.wav", render(song, seconds)[1].T, RATE)
        (folder / f"song{seed}.caption.txt").write_text(caption_of(song, np.random.default_rng(seed)))
        (folder / f"song{seed}.lyrics.txt").write_text(lyrics_of(song, seconds))
    studio("dataset", "scan", str(folder), "--name", "harbour", "--tag", "mytag", "--out", str(folder / "harbour.json"))
    studio("dataset", "preprocess", str(folder / "harbour.json"), "--model", str(model), "--out", str(out))


def studio(*command: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "studio", *command],
        cwd=ROOT,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
