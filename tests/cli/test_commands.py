"""Commands that need no model: help, refusals, exit statuses, and what they print."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from studio.cli import main
from studio.engine.audio.io import write_audio
from studio.engine.requests import AudioFormat
from tests.cli.conftest import ROOT, Command

OUT = ("--out", "nowhere")


def test_help_names_every_command(command: Command) -> None:
    done = command("--help")
    assert done.returncode == 0
    for name in ("serve", "worker", "migrate", "generate", "lm", "measure", "models", "doctor"):
        assert name in done.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "caption must not be empty"),
        (("--caption", "  "), "caption must not be empty"),
        (("--caption", "x", "--bpm", "29"), "bpm must be a whole number from 30 to 300 or empty, got 29"),
        (("--caption", "x", "--duration", "5"), "duration must be from 10 to 600 seconds or empty, got 5.0"),
        (("--caption", "x", "--key", "H major"), "key_scale must be a key"),
        (("--caption", "x", "--time-signature", "5"), "time_signature must be one of 2, 3, 4, 6, got '5'"),
        (("--caption", "x", "--steps", "0"), "steps must be a whole number from 1 to 200, got 0"),
        (("--caption", "x", "--shift", "9"), "shift must be from 1 to 5, got 9.0"),
        (("--caption", "x", "--seeds", "x"), "seeds must be whole numbers"),
        (("--caption", "x", "--seeds", "1,,2"), "seeds must be whole numbers"),
        (("--caption", "x", "--seeds", "-2"), "seed must be a whole number from 0"),
        (("--caption", "x", "--seeds", "1,2,3", "--batch", "2"), "seeds must be at most 2, one a take, got 3"),
        (("--caption", "x", "--batch", "9"), "batch_size must be from 1 to 8, got 9"),
        (("--caption", "x", "--batch", "0"), "batch_size must be from 1 to 8, got 0"),
        (
            (
                "--caption",
                "x" * 512,
            ),
            "caption must be shorter than 512",
        ),
    ],
)
def test_generate_refuses_with_field_rule_and_value(
    arguments: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["generate", *arguments, *OUT]) == 2
    output = capsys.readouterr()
    assert said in output.err
    assert output.out == ""


def test_a_refusal_comes_before_torch_is_loaded() -> None:
    code = (
        "import sys; from studio.cli import main; status = main(['generate', '--caption', '', '--out', 'x']);"
        "print(status, 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.stdout.split() == ["2", "False"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--lm", "x"), "lm must come with --think, got 'x'"),
        (("--lm-temperature", "0.5"), "lm_temperature must come with --think"),
        (("--think", "--lm-temperature", "3"), "lm_temperature must be from 0 to 2, got 3.0"),
        (("--think", "--lm-chunk-size", "0"), "lm_batch_chunk_size must be a whole number from 1 to 32, got 0"),
        (("--think", "--task", "cover", "--source", "a.wav"), "think must be left out of task cover"),
    ],
)
def test_think_refuses_with_field_rule_and_value(
    arguments: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["generate", "--caption", "x", *arguments, *OUT]) == 2
    assert said in capsys.readouterr().err


def test_lyrics_come_from_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "song.txt"
    file.write_bytes(b"\xff\xfe")
    assert main(["generate", "--lyrics-file", str(file), *OUT]) == 2
    assert "lyrics_file must be UTF-8 text" in capsys.readouterr().err
    assert main(["generate", "--lyrics-file", str(tmp_path / "no.txt"), *OUT]) == 1
    assert "no.txt" in capsys.readouterr().err


def test_a_model_that_is_not_there_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["generate", "--caption", "x", "--model", "no-such-model", *OUT]) == 1
    assert "no-such-model" in capsys.readouterr().err
    assert not Path("nowhere").exists()


def test_migrate_makes_the_database_twice(own_data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["migrate"]) == 0
    assert main(["migrate"]) == 0
    assert (own_data / "studio.db").exists()
    assert "up to date" in capsys.readouterr().out


def test_serve_refuses_what_it_can_not_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("STUDIO_MODELS_DIR", str(tmp_path))
    monkeypatch.setenv("STUDIO_CHECKPOINTS_DIR", str(tmp_path / "none"))
    assert main(["serve", "--init-llm"]) == 1
    assert f"no usable language model in {tmp_path}" in capsys.readouterr().err
    assert main(["serve", "--lm", "acestep-5Hz-lm-4B"]) == 1
    assert "no language model called 'acestep-5Hz-lm-4B'" in capsys.readouterr().err
    assert main(["serve", "--port", "99999"]) == 2
    assert "port must be from 1 to 65535, got 99999" in capsys.readouterr().err


def test_app_py_is_serve() -> None:
    usage = subprocess.run([sys.executable, "app.py", "--help"], capture_output=True, text=True, cwd=ROOT)
    assert all(flag in usage.stdout for flag in ("--config", "--port", "--host", "--init-llm"))


def test_models_list_says_what_is_wrong_with_a_broken_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("STUDIO_MODELS_DIR", str(tmp_path))
    monkeypatch.setenv("STUDIO_CHECKPOINTS_DIR", str(tmp_path / "none"))
    assert main(["models", "list"]) == 0
    assert f"No checkpoint in {tmp_path}" in capsys.readouterr().out
    (tmp_path / "half").mkdir()
    (tmp_path / "half" / "model_index.json").write_text("{}")
    assert main(["models", "list", "--json"]) == 0
    row = json.loads(capsys.readouterr().out)
    assert row["name"] == "half"
    assert row["family"] is None
    assert row["problem"]


def test_doctor_finds_what_is_missing(
    own_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("STUDIO_MODELS_DIR", str(tmp_path / "none"))
    assert main(["doctor", "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert found["core"]["ok"] is True
    assert "torch 2.13" in found["engine"]["detail"]
    assert found["models"] == {"ok": False, "detail": f"no usable checkpoint in {tmp_path / 'none'}"}
    assert "studio migrate" in found["database"]["detail"]
    assert not own_data.exists()  # looking changes nothing
    main(["migrate"])
    capsys.readouterr()
    main(["doctor"])
    assert "at revision" in capsys.readouterr().out


def test_doctor_hides_the_password_of_a_database_it_can_not_reach(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("STUDIO_DATABASE_URL", "postgresql+psycopg://me:secret@127.0.0.1:1/studio")
    assert main(["doctor"]) == 1
    shown = capsys.readouterr().out
    assert "secret" not in shown
    assert "PROBLEM  database" in shown


def test_measure_prints_one_object(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "tone.flac"
    tone = 0.25 * np.sin(2 * np.pi * 440 * np.arange(3 * 44100) / 44100)
    write_audio(file, np.stack([tone, tone]).astype(np.float32), 44100, AudioFormat.FLAC)
    assert main(["measure", str(file), "--json"]) == 0
    row = json.loads(capsys.readouterr().out)
    assert row["file"] == str(file)
    assert row["duration"] == 3.0
    assert row["true_peak_dbtp"] == pytest.approx(-12.04, abs=0.1)
    assert row["silent"] is False
    assert main(["measure", str(file)]) == 0
    assert "true_peak_dbtp" in capsys.readouterr().out


def test_measure_explains_what_it_can_not_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "text.wav").write_text("no audio")
    assert main(["measure", str(tmp_path / "text.wav")]) == 1
    assert "text.wav" in capsys.readouterr().err
    assert main(["measure", str(tmp_path / "none.wav")]) == 1
    assert "none.wav" in capsys.readouterr().err


def test_an_interrupt_ends_with_130(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("studio.cli.doctor.findings", interrupted)
    assert main(["doctor"]) == 130
    assert "interrupted" in capsys.readouterr().err
