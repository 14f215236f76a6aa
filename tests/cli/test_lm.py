"""`studio lm` and `studio generate --think` with tiny random models: everything a person sees but the taste."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from studio.cli import main
from tests.engine.conftest import save
from tests.engine.lm.tiny import save_lm

pytestmark = pytest.mark.slow  # two models are built and loaded again and again
NAME = "acestep-5Hz-lm-tiny"
SONG = ("--caption", "calm piano", "--bpm", "77", "--key", "Am", "--max-duration", "12")


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A models folder with a language model of 40 codes and a checkpoint that knows them."""
    folder = tmp_path_factory.mktemp("models")
    save_lm(folder / NAME, bare=False)
    save(folder / "tiny-40", turbo=True, levels=[8, 5])
    return folder


@pytest.fixture(autouse=True)
def models(shelf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STUDIO_MODELS_DIR", str(shelf))
    monkeypatch.setenv("STUDIO_CHECKPOINTS_DIR", str(tmp_path / "none"))
    monkeypatch.setenv("STUDIO_DEVICE", "cpu")
    monkeypatch.setattr("studio.engine.lm.planner.TEXT_TOKENS", 700)  # random weights hardly ever end a text


def rows(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[dict[str, object]]:
    assert main([*arguments, "--json"]) == 0
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_plans_keep_what_was_given_and_hold_by_seed(capsys: pytest.CaptureFixture[str]) -> None:
    both = rows(capsys, "lm", "plan", *SONG, "--seeds", "1,2")
    assert [row["seed"] for row in both] == [1, 2]
    assert {(row["bpm"], row["keyscale"]) for row in both} == {(77, "A minor")}
    assert both[0]["lm_backend"] == "pt"
    assert both[0]["codes"] == both[0]["duration"] * 5  # type: ignore[operator]
    (again,) = rows(capsys, "lm", "plan", *SONG, "--seeds", "2", "--lm-one-by-one", "--model", NAME)
    assert {**again, "timings": 0} == {**both[1], "timings": 0}
    (facts,) = rows(capsys, "lm", "plan", *SONG, "--seeds", "1", "--no-codes", "--no-metas", "--temperature", "0")
    assert (facts["codes"], facts["lm_chose"], facts["lm_temperature"]) == (0, [], 0.0)


def test_words_from_a_wish_a_text_and_codes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (song,) = rows(capsys, "lm", "create", "rain", "--vocal-language", "fr", "--seed", "3")
    assert (song["seed"], song["vocal_language"]) == (3, "fr")
    assert 30 <= song["bpm"] <= 300  # type: ignore[operator]
    (text,) = rows(capsys, "lm", "format", *SONG[:6], "--seed", "3")
    assert (text["bpm"], text["keyscale"]) == (77, "A minor")
    codes = tmp_path / "codes.txt"
    codes.write_text("<|audio_code_1|><|audio_code_39|>")
    (heard,) = rows(capsys, "lm", "understand", str(codes), "--seed", "3")
    assert heard["keyscale"]
    (score,) = rows(capsys, "lm", "score", str(codes), "--caption", "rock", "--bpm", "90")
    assert 0 <= score["score"] <= 1  # type: ignore[operator]
    assert set(score["fields"]) == {"bpm", "caption"}  # type: ignore[arg-type]
    codes.write_text("<|audio_code_40|>")
    assert main(["lm", "understand", str(codes)]) == 2
    assert "whole numbers from 0 to 39, got 40" in capsys.readouterr().err


def test_a_take_that_thinks_shows_plan_codes_and_both_phases(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ("generate", "--model", "tiny-40", "--caption", "x", "--bpm", "77", "--duration", "10", "--steps", "2")
    think = (*asked, "--think", "--seeds", "3,4", "--format", "wav", "--out", str(tmp_path))
    first, second = rows(capsys, *think)
    assert first["effective"]["audio_codes"] != second["effective"]["audio_codes"]  # type: ignore[index]
    assert len(first["effective"]["audio_codes"]) == 50  # type: ignore[index,arg-type]
    assert first["lm"]["codes"] == 50  # type: ignore[index]
    assert (first["effective"]["bpm"], first["lm"]["cot_bpm"]) == (77, None)  # type: ignore[index]
    assert first["lm"]["cot_keyscale"] == first["effective"]["keyscale"]  # type: ignore[index]
    assert {"lm_facts", "lm_codes", "denoise"} <= set(first["timings"])  # type: ignore[call-overload]
    (alone,) = rows(capsys, *asked, "--think", "--seeds", "4", "--format", "wav", "--out", str(tmp_path))
    assert alone["effective"]["audio_codes"] == second["effective"]["audio_codes"]  # type: ignore[index]
    assert Path(str(alone["file"])).read_bytes() == Path(str(second["file"])).read_bytes()
    assert main(list(think)) == 0
    shown = capsys.readouterr().out.splitlines()
    assert next(line for line in shown if not line.startswith("  ")).endswith("1-3.wav")
    assert any(f"{NAME} (pt)" in line and "keyscale" in line for line in shown)
    assert any(line.startswith("  50 codes; facts ") for line in shown)


def test_takes_are_scored_where_they_can_be(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = tmp_path / "words.txt"
    words.write_text("[Verse]\nhello")
    asked = ("generate", "--model", "tiny-40", "--caption", "x", "--duration", "10", "--steps", "2", "--seeds", "3")
    scored = (*asked, "--format", "wav", "--out", str(tmp_path), "--score", "0.1")
    (row,) = rows(capsys, *scored, "--think", "--no-cot-caption", "--lyrics-file", str(words))
    score = row["score"]
    assert 0 <= score["score"] <= 1  # type: ignore[index,operator]
    assert {"caption", "lyrics", "bpm", "keyscale"} <= set(score["scores"])  # type: ignore[index,call-overload]
    assert (score["score_scale"], score["lm_model"]) == (0.1, NAME)  # type: ignore[index]
    assert "can't time lyrics" in score["score_notes"][0]  # type: ignore[index]  # it has none of the heads for that
    (bare,) = rows(capsys, *scored)
    assert "no codes to judge" in bare["score"]["score_notes"][0]  # type: ignore[index]
    assert main([*scored[:-1], "2"]) == 2
    assert "score_scale must be from 0.01 to 1, got 2" in capsys.readouterr().err


def test_the_servers_command_is_shown_and_a_missing_vllm_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["lm-server", "--port", "99", "--rows", "6", "--show"]) == 0
    shown = capsys.readouterr().out
    assert f"--served-model-name={NAME} --host=127.0.0.1 --port=99" in shown
    assert "--max-num-seqs=6" in shown
    monkeypatch.setattr("studio.cli.lm_server.find_spec", lambda name: None)
    assert main(["lm-server", NAME]) == 1
    assert "vllm isn't installed; install it with: pip install" in capsys.readouterr().err
    became: list[tuple[str, str | None]] = []

    def become(file: str, arguments: list[str], environment: dict[str, str]) -> None:
        became.append((file, environment.get("VLLM_API_KEY")))
        raise SystemExit

    monkeypatch.setattr("studio.cli.lm_server.find_spec", lambda name: True)
    monkeypatch.setattr("os.execvpe", become)
    monkeypatch.delenv("VLLM_API_KEY", raising=False)
    monkeypatch.delenv("STUDIO_LM_API_KEY", raising=False)
    for key, said in (("", True), ("secret", False)):
        if key:
            monkeypatch.setenv("STUDIO_LM_API_KEY", key)
        with pytest.raises(SystemExit):
            main(["lm-server", "--host", "0.0.0.0"])
        assert ("There is no key" in capsys.readouterr().err) is said
    assert became == [("env", None), ("env", "secret")]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("hello <|audio_code_1|>", "character 1 starts something else, got 'hello'"),
        ("<|audio_code_1|> <|audio_code_99999|>", "codes must be whole numbers from 0 to 63999, got 99999"),
        ("1, x", "codes must be whole numbers with commas between"),
        ("", "audio_codes must not be empty"),
    ],
)
def test_codes_that_are_none_are_shown(
    tmp_path: Path, text: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "codes.txt"
    file.write_text(text)
    assert main(["lm", "understand", str(file)]) == 2
    assert message in capsys.readouterr().err


def test_a_backend_that_can_not_be_used_is_named_or_replaced_as_allowed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    plan = ("lm", "plan", *SONG, "--seeds", "1", "--no-codes", "--no-metas", "--backend", "vllm")
    assert main(list(plan)) == 1
    assert "vllm isn't installed; install it with: pip install" in capsys.readouterr().err
    (row,) = rows(capsys, *plan, "--lm-fallback")
    assert row["lm_backend"] == "pt"
    assert "pt was used instead" in row["lm_notes"][0]  # type: ignore[index]


def test_models_list_and_verify_know_language_models(shelf: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = {row["name"]: row["family"] for row in rows(capsys, "models", "list")}
    assert found == {"tiny-40": "turbo", NAME: "lm"}
    assert main(["models", "verify", NAME]) == 0
    assert "only names, sizes and headers were checked" in capsys.readouterr().out
    assert main(["models", "verify", "acestep-5Hz-lm-none"]) == 1
    assert f"there are: {NAME}" in capsys.readouterr().err
