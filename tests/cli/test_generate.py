"""`studio generate` with the bundled model, from the words to the sound in the file."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from mini.composer import draw_song, render
from studio.engine.audio.io import read_audio, write_audio
from studio.engine.audio.measure import Measurement, measure
from studio.engine.requests import AudioFormat
from tests.cli.conftest import MODEL, Command

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not MODEL.exists(), reason=f"the bundled model {MODEL.name} has not been trained yet"),
]
PIANO = ("--caption", "calm piano, no drums", "--duration", "10", "--seeds", "7")


def _generate(command: Command, out: Path, *arguments: str) -> list[dict[str, object]]:
    done = command("generate", *arguments, "--json", "--out", str(out))
    assert done.returncode == 0, done.stderr
    assert "diffusion" in done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_the_same_command_twice_gives_the_same_samples(command: Command, tmp_path: Path) -> None:
    first, second = _generate(command, tmp_path, *PIANO)[0], _generate(command, tmp_path, *PIANO)[0]
    assert first["file"] != second["file"]
    one, rate = read_audio(Path(str(first["file"])))
    two, _ = read_audio(Path(str(second["file"])))
    assert np.array_equal(one, two)
    assert first["sample_rate"] == rate
    assert first["seed"] == 7
    assert first["duration"] == pytest.approx(10.0, abs=0.1)
    assert first["requested"]["inference_steps"] is None
    assert first["effective"]["inference_steps"] > 0
    assert first["timings"]["total"] > 0
    heard = measure(one, rate)
    assert not heard.silent
    assert heard.silence < 0.5
    assert heard.duration == pytest.approx(10.0, abs=0.1)


def test_a_take_is_the_same_alone_and_in_a_batch(command: Command, tmp_path: Path) -> None:
    batch = _generate(
        command, tmp_path, "--caption", "soft pad", "--duration", "10", "--seeds", "1,2", "--format", "wav"
    )
    alone = _generate(command, tmp_path, "--caption", "soft pad", "--duration", "10", "--seeds", "2", "--format", "wav")
    assert [row["seed"] for row in batch] == [1, 2]
    assert [Path(str(row["file"])).stem.split("-")[1:] for row in batch] == [["1", "1"], ["2", "2"]]
    first, second = (read_audio(Path(str(row["file"])))[0] for row in (batch[1], alone[0]))
    np.testing.assert_allclose(first, second, atol=2e-3)
    assert not np.allclose(first, read_audio(Path(str(batch[0]["file"])))[0], atol=0.05)


def test_drums_and_the_tempo_asked_for_are_heard(command: Command, tmp_path: Path) -> None:
    def heard(caption: str) -> list[Measurement]:
        rows = _generate(
            command,
            tmp_path,
            "--caption",
            caption,
            "--duration",
            "10",
            "--seeds",
            "1,2,3",
            "--format",
            "wav",
        )
        return [measure(*read_audio(Path(str(row["file"])))) for row in rows]

    with_drums = heard("fast electronic track with drums and bass, 140 bpm")
    without = heard("calm piano, no drums")
    assert min(one.transients for one in with_drums) > 1.5 * max(one.transients for one in without) + 0.5
    assert [one.tempo is not None and one.tempo.agrees(140) for one in with_drums] == [True] * 3


def test_the_base_model_follows_guidance(command: Command, tmp_path: Path) -> None:
    asked = ("--caption", "fast electronic track with drums and bass, 140 bpm", "--duration", "10", "--seeds", "1")
    base = ("--model", "acestep-mini-base", "--steps", "16", "--cfg-start", "0", "--cfg-end", "0.75")
    row = _generate(command, tmp_path, *asked, *base, "--guidance-scale", "5")[0]
    assert row["effective"]["guided_noise_levels"] == [0.25, 1.0]
    assert row["effective"]["guidance_scale"] == 5.0
    heard = measure(*read_audio(Path(str(row["file"]))))
    assert heard.tempo is not None
    assert heard.tempo.agrees(140)


TASKS = {
    "cover": (),
    "repaint": ("--start", "0.5", "--end", "1.5"),
    "extract": ("--track", "drums"),
    "lego": ("--track", "bass"),
    "complete": ("--tracks", "drums,bass"),
}


def _source(folder: Path) -> Path:
    source = folder / "source.wav"
    write_audio(source, render(draw_song(3), 2.0)[1], 24000, AudioFormat.WAV)
    return source


@pytest.mark.parametrize("task", TASKS)
def test_the_bundled_base_model_does_every_task(command: Command, tmp_path: Path, task: str) -> None:
    asked = ("--task", task, "--source", str(_source(tmp_path)), "--caption", "jazz", "--model", "acestep-mini-base")
    done = command("generate", *asked, *TASKS[task], "--steps", "4", "--seeds", "1", "--json", "--out", str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["duration"] == pytest.approx(2.0, abs=0.05)


def test_regions_are_given_one_by_one(command: Command, tmp_path: Path) -> None:
    source = _source(tmp_path)
    asked = ("generate", "--task", "repaint", "--source", str(source), "--caption", "jazz", "--out", str(tmp_path))
    done = command(
        *asked,
        "--region",
        "0.2:0.6",
        "--region",
        "1.2:1.6",
        "--steps",
        "2",
        "--seeds",
        "1",
        "--format",
        "wav",
        "--json",
    )
    assert done.returncode == 0, done.stderr
    row = json.loads(done.stdout)
    assert row["requested"]["repainting_more"] == [[1.2, 1.6]]
    heard, before = read_audio(Path(str(row["file"])))[0], read_audio(source)[0]
    ramp = 24000 // 20
    for start, end in ((0.0, 0.2), (0.6, 1.2), (1.6, 2.0)):
        kept = slice(round(start * 24000) + ramp * (start > 0), round(end * 24000) - ramp * (end < 2))
        assert np.array_equal(heard[:, kept], before[:, kept])
    for start, end in ((0.2, 0.6), (1.2, 1.6)):
        made = slice(round(start * 24000), round(end * 24000))
        assert not np.allclose(heard[:, made], before[:, made], atol=1e-3)
    for wrong, words in (
        (("--region", "0.2:0.6", "--region", "0.5:1"), "repainting_more must begin after 0.6"),
        (("--region", "0.2:0.6", "--end", "1"), "end must be left out where a region is given"),
        (("--region", "3-5"), "two numbers of seconds such as 3:5.5, got 3-5"),
    ):
        done = command(*asked, *wrong)
        assert done.returncode == 2
        assert words in done.stderr


def test_a_stem_task_on_the_bundled_turbo_model_says_why_not(command: Command, tmp_path: Path) -> None:
    asked = ("--task", "extract", "--track", "drums", "--source", str(_source(tmp_path)), "--out", str(tmp_path))
    done = command("generate", *asked, "--model", "acestep-mini-turbo")
    assert done.returncode == 2
    assert "extract" in done.stderr and "turbo" in done.stderr
