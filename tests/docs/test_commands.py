"""Every command in the documents exists as it is written, and those that can run on this machine are run."""

from __future__ import annotations

import importlib.util
import re
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
import soundfile

from studio.cli import _parser, main
from studio.config import PREFIX, Settings
from tests.docs.commands import DOCUMENTS, ROOT, Command, commands, unnamed

MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
FOUND = {path.name: commands(path.read_text(encoding="utf-8")) for path in DOCUMENTS}


def problem(command: Command) -> str:
    """Say what of a command does not exist; empty when everything does."""
    program, *rest = command.words
    known = {PREFIX + field.name.upper() for field in fields(Settings)}
    if strange := {name for name in command.variables if name.startswith(PREFIX)} - known:
        return f"no setting {strange}"
    if command.studio is not None:
        try:
            _parser().parse_args(command.studio)
        except SystemExit:
            return "the studio's command line refuses it"
        return ""
    if program == "make":
        targets = set(re.findall(r"^([\w-]+):", MAKEFILE, re.MULTILINE))
        missing = {word for word in rest if "=" not in word} - targets
        missing |= {
            word.partition("=")[0] for word in rest if "=" in word and f"({word.partition('=')[0]})" not in MAKEFILE
        }
        return f"the Makefile has no {missing}" if missing else ""
    if command.run:
        return "only studio can be run; mark the block as not run"
    if rest[:1] == ["-m"] and rest[1].split(".")[0] in ("studio", "mini", "bench"):
        return "" if importlib.util.find_spec(rest[1]) else "no such module"
    if Path(program).name == "pytest":
        return next((f"no file {word}" for word in rest if "/" in word and not (ROOT / word).exists()), "")
    return ""


@pytest.mark.parametrize("name", FOUND)
def test_every_command_exists(name: str) -> None:
    wrong = {" ".join(command.words): problem(command) for command in FOUND[name]}
    assert {words: said for words, said in wrong.items() if said} == {}
    document = next(path for path in DOCUMENTS if path.name == name)
    assert unnamed(document.read_text(encoding="utf-8")) == []


def test_every_make_command_in_the_words_exists() -> None:
    targets = set(re.findall(r"^([\w-]+):", MAKEFILE, re.MULTILINE))
    words = {path.name: re.findall(r"`make ([a-z-]+)[^`]*`", path.read_text(encoding="utf-8")) for path in DOCUMENTS}
    assert {name: set(found) - targets for name, found in words.items() if set(found) - targets} == {}


@pytest.mark.parametrize(
    "line",
    [
        "studio generate --no-such-option",
        "studio dance",
        "make dinner",
        "make run SPEED=3",
        "STUDIO_NOTHING=1 studio doctor",
        "curl http://127.0.0.1",
    ],
)
def test_what_does_not_exist_is_seen(line: str) -> None:
    (command,) = commands(f"```sh\n{line}\n```")
    assert problem(command)


def test_a_marked_block_is_not_run_and_an_unnamed_one_is_seen() -> None:
    (command,) = commands("<!-- not run: far away -->\n```sh\ncurl http://example.org \\\n  -o x  # fetch\n```")
    assert (command.words, command.run) == (("curl", "http://example.org", "-o", "x"), False)
    assert unnamed("```\nmake run\n```") == ["make run"]


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", [name for name, found in FOUND.items() if any(one.run and one.studio for one in found)]
)
def test_the_commands_run(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for variable, value in {"DATA_DIR": str(tmp_path), "CONFIG_FILE": "none.toml"}.items():
        monkeypatch.setenv(PREFIX + variable, value)
    (tmp_path / "songs").mkdir()
    time = np.arange(48000 * 8) / 48000
    for file, pitch in (("song.wav", 220.0), ("songs/one.wav", 330.0), ("songs/two.wav", 440.0)):
        soundfile.write(file, 0.3 * np.sin(2 * np.pi * pitch * time) * (0.6 + 0.4 * np.sin(4 * np.pi * time)), 48000)
    for command in FOUND[name]:
        if command.run and command.studio is not None:
            assert main(command.studio) == 0, " ".join(command.words)
