"""docs/rest-api.md: its commands are sent, its Python is run, its table has every route."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import numpy as np
import pytest
import soundfile
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.testclient import TestClient

from studio.services import Studio
from studio.services.principal import Right
from tests.api.conftest import application
from tests.docs.commands import ROOT, commands
from tests.services.conftest import finish

PAGE = (ROOT / "docs" / "rest-api.md").read_text(encoding="utf-8")
ADDRESS = "http://127.0.0.1:7860"
ANSWERS = {  # what an answer is remembered as, for the commands after it
    "generate": ("JOB", "id"),
    "uploads": ("KEY", "key"),
    "datasets/upload": ("FOLDER", "folder"),
    "datasets/scan": ("DATASET", "dataset_id"),
}


@dataclass
class Sent:
    """A curl command as a request."""

    method: str = "GET"
    url: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    body: str | None = None
    form: dict[str, str] = field(default_factory=dict)
    files: dict[str, Path] = field(default_factory=dict)


def _read(words: tuple[str, ...]) -> Sent:
    sent, rest = Sent(), list(words[1:])
    while rest:
        word = rest.pop(0)
        if word == "-H":
            name, _, value = rest.pop(0).partition(": ")
            sent.headers |= {name: value}
        elif word == "-X":
            sent.method = rest.pop(0)
        elif word == "--json":
            sent.body, sent.method = rest.pop(0), "POST" if sent.method == "GET" else sent.method
            sent.headers |= {"Content-Type": "application/json"}
        elif word == "-F":
            name, _, value = rest.pop(0).partition("=")
            sent.method = "POST"
            if value.startswith("@"):
                sent.files[name] = Path(value[1:])
            else:
                sent.form[name] = value
        elif word == "-o":
            rest.pop(0)
        elif word not in ("-s", "-N"):
            sent.url = word
    return sent


@pytest.fixture
def program(studio: Studio, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., TestClient]:
    """What makes a client of the mounted API, in a folder with a song."""
    monkeypatch.chdir(tmp_path)
    soundfile.write("song.wav", 0.3 * np.sin(np.arange(16000) / 6), 8000)
    key = studio.keys.create("a program", Right.MAKE)
    mounted = Starlette(routes=[Mount("/api/v1", app=application(studio, sign_in=True))])
    return lambda **_given: TestClient(
        mounted, base_url=f"{ADDRESS}/api/v1", headers={"Authorization": f"Bearer {key}"}
    )


def test_the_commands_are_answered(program: Callable[..., TestClient], studio: Studio) -> None:
    client, values = program(), {"STUDIO": f"{ADDRESS}/api/v1", "AUTH": ""}
    sent = [command for command in commands(PAGE) if command.words[0] == "curl"]
    assert len(sent) > 20
    for command in sent:
        words = tuple(re.sub(r"\$([A-Z]+)", lambda name: values[name[1]], word) for word in command.words)
        wanted = _read(tuple(word.replace("acestep-mini-turbo", "other") for word in words))
        wanted.headers.pop("", None)
        files = {name: (path.name, path.read_bytes()) for name, path in wanted.files.items()}
        answer = client.request(
            wanted.method,
            wanted.url,
            headers=wanted.headers,
            content=wanted.body,
            data=wanted.form or None,
            files=files or None,
        )
        assert answer.status_code < 300, f"{' '.join(words)}: {answer.text}"
        if remembered := ANSWERS.get(wanted.url.removeprefix(f"{ADDRESS}/api/v1/")):
            name, place = remembered
            values[name] = answer.json()[place]
        if "JOB" in values and "TAKE" not in values:
            values["BATCH"] = finish(studio, values["JOB"]).batch_id or ""
            values["TAKE"] = studio.library.batch(values["BATCH"]).takes[0].id


def test_the_python_makes_files_that_sound(
    program: Callable[..., TestClient], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(httpx, "Client", program)
    code, _originals = re.findall(r"^```python\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    exec(compile(code, "rest-api.md", "exec"), {})
    made = list(tmp_path.glob("*.mp3"))
    assert len(made) == 2
    assert all(np.abs(soundfile.read(file)[0]).max() > 0.3 for file in made)


def test_the_table_has_every_route(idle: Studio) -> None:
    paths = application(idle).openapi()["paths"]
    told = {
        f"{method.upper()} {path}": route["description"].splitlines()[0]
        for path, routes in paths.items()
        for method, route in routes.items()
    }
    assert dict(re.findall(r"^\| `([A-Z]+ /.*?)` \| (.*?) \|$", PAGE, re.MULTILINE)) == told
