"""The commands of the documents: fenced `sh` blocks, one command a line, a block that can't be run is marked."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
_BLOCK = re.compile(r"(<!-- not run: [^>]+ -->\n)?^```(\w*)\n(.*?)^```", re.DOTALL | re.MULTILINE)
_SHELL = ("sh", "bash", "console")


@dataclass(frozen=True)
class Command:
    """One line of a document as a shell reads it."""

    words: tuple[str, ...]
    variables: tuple[str, ...]  # set before the program
    run: bool

    @property
    def studio(self) -> list[str] | None:
        """The arguments for the studio's own command line, None for another program."""
        program, *rest = self.words
        if program.removeprefix(".venv/bin/") == "studio":
            return rest
        return ["serve", *rest[1:]] if (program, *rest[:1]) == ("python", "app.py") else None


def commands(document: str) -> list[Command]:
    """Return every command of a document."""
    return [
        command
        for mark, language, text in _BLOCK.findall(document)
        if language in _SHELL
        for line in text.replace("\\\n", " ").splitlines()
        if (command := _read(line.removeprefix("$ "), run=not mark))
    ]


def unnamed(document: str) -> list[str]:
    """Return the first lines of blocks that look like commands and name no language, so that nobody would test them."""
    starts = re.compile(r"(\.venv/bin/)?(studio|make|pip|python|pytest|env|curl|git) |[A-Z_]+=\S+ ")
    return [
        text.splitlines()[0]
        for _mark, language, text in _BLOCK.findall(document)
        if not language and starts.match(text)
    ]


def _read(line: str, *, run: bool) -> Command | None:
    words = shlex.split(line, comments=True)
    if words[:1] == ["env"]:
        words = words[1:]
    count = next((at for at, word in enumerate(words) if not re.match(r"[A-Z_]+=", word)), len(words))
    names = tuple(word.partition("=")[0] for word in words[:count])
    return Command(tuple(words[count:]), names, run) if words[count:] else None
