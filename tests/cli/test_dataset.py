"""`studio dataset`: scan, label and preprocess, one JSON object a line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import soundfile

from mini.composer import draw_song, render
from mini.composer.kit import RATE
from studio.cli import main
from tests.cli.conftest import MODEL


@pytest.fixture
def songs(tmp_path: Path) -> Path:
    folder = tmp_path / "songs"
    folder.mkdir()
    for seed, name in enumerate(("a.wav", "b.wav")):
        soundfile.write(folder / name, render(draw_song(seed), 6.0)[1].T, RATE)
    (folder / "keys.csv").write_text("File,BPM,Key\nb.wav,93,A minor\n")
    (folder / "c.wav").write_bytes(b"no audio")
    return folder


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, list[dict[str, object]], str]:
    code = main(list(arguments))
    said = capsys.readouterr()
    return code, [json.loads(one) for one in said.out.splitlines()], said.err


def samples(file: Path) -> dict[str, dict[str, object]]:
    return {sample["filename"]: sample for sample in json.loads(file.read_text())["samples"]}


def test_scan_and_label_without_a_model(songs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, lines, err = run(capsys, "dataset", "scan", str(songs), "--tag", "hrbr")
    assert (code, lines[-1]["songs"], lines[-1]["csv"]) == (0, 2, 1)
    assert "c.wav" in err
    file = songs / "songs.json"
    code, lines, _ = run(capsys, "dataset", "label", str(file), "--skip", "model")
    assert (code, lines[-1]) == (0, {"event": "labelled", "labelled": 2, "failed": 0})
    found = samples(file)
    assert (found["a.wav"]["caption"], found["a.wav"]["keyscale"]) == ("hrbr", "N/A")
    assert (found["b.wav"]["bpm"], found["b.wav"]["keyscale"]) == (93, "A minor")


def test_label_needs_a_model_for_words(songs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(capsys, "dataset", "scan", str(songs))
    code, _, err = run(capsys, "dataset", "label", str(songs / "songs.json"))
    assert code != 0
    assert "model must be named" in err


@pytest.mark.slow
def test_the_bundled_models_label_and_encode(songs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(capsys, "dataset", "scan", str(songs))
    file, out = songs / "songs.json", tmp_path / "tensors"
    (songs / "a.wav").rename(songs / "gone.wav")
    code, lines, err = run(capsys, "dataset", "label", str(file), "--model", MODEL.name, "--lm", "acestep-5Hz-lm-mini")
    assert (code, lines[-1]) == (0, {"event": "labelled", "labelled": 1, "failed": 1})
    assert "a.wav" in err
    (songs / "gone.wav").rename(songs / "a.wav")
    code, lines, _ = run(capsys, "dataset", "label", str(file), "--model", MODEL.name, "--only-unlabelled")
    assert lines[-1]["labelled"] == 1
    found = samples(file)
    assert found["b.wav"]["bpm"] == 93 and found["a.wav"]["caption"] and found["a.wav"]["bpm"]
    code, lines, _ = run(capsys, "dataset", "preprocess", str(file), "--model", MODEL.name, "--out", str(out))
    assert (code, lines[-1]) == (0, {"event": "prepared", "written": 2, "skipped": 0, "faults": 0})
    assert len(list(out.glob("*.pt"))) == 2
