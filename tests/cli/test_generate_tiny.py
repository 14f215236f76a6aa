"""`studio generate` with a tiny random checkpoint: files, names, rows and progress; its sound means nothing."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from studio.cli import main
from studio.engine.audio.io import read_audio
from tests.engine.conftest import save


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(tmp_path_factory.mktemp("models") / "tiny-turbo", turbo=True)


def test_each_take_is_a_file_and_a_row(tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--caption", "x", "--key", "Am", "--bpm", "120", "--duration", "10", "--steps", "2", "--seeds", "3,4"]
    command = ["generate", *words, "--format", "wav", "--model", str(tiny), "--out", str(tmp_path / "new" / "out")]
    assert main([*command, "--json"]) == 0
    output = capsys.readouterr()
    rows = [json.loads(line) for line in output.out.splitlines()]
    assert list(rows[0]) == ["file", "seed", "duration", "sample_rate", "requested", "effective", "timings"]
    assert [row["seed"] for row in rows] == [3, 4]
    assert rows[0]["requested"]["keyscale"] == "A minor"
    assert rows[0]["requested"]["shift"] is None
    assert rows[0]["effective"]["shift"] == 3.0
    files = [Path(row["file"]) for row in rows]
    assert [file.name.split("-", 1)[1] for file in files] == ["1-3.wav", "2-4.wav"]
    audio, rate = read_audio(files[0])
    assert (rate, audio.shape[1] / rate) == (rows[0]["sample_rate"], rows[0]["duration"])
    assert [line.split()[0] for line in output.err.splitlines()] == [
        "loading",
        "preparing",
        "diffusion",
        "decoding",
        "saving",
    ]

    assert main(command) == 0  # again, without --json: new files, the same samples
    again = [Path(line) for line in capsys.readouterr().out.splitlines()]
    assert len({*files, *again}) == 4
    assert np.array_equal(read_audio(again[1])[0], read_audio(files[1])[0])


def test_a_format_that_does_not_fit_the_model_is_explained(
    tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--caption", "x", "--duration", "10", "--steps", "1", "--model", str(tiny), "--out", str(tmp_path / "out")]
    assert main(["generate", *words]) == 1
    assert "mp3 has no sample rate of 2400 Hz" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
