"""The Python of docs/rest-api.md for clients of the original makes files that sound."""

from __future__ import annotations

import re
from pathlib import Path

import httpx
import numpy as np
import pytest
import soundfile
from starlette.testclient import TestClient

from tests.docs.commands import ROOT


def test_a_song_is_asked_for_and_fetched(client: TestClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = (ROOT / "docs" / "rest-api.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(.*?)^```", page.partition("## Clients of the original")[2], re.DOTALL | re.M)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(httpx, "Client", lambda **_given: client)
    exec(compile(code, "rest-api.md", "exec"), {})
    (made,) = tmp_path.glob("*.mp3")
    assert np.abs(soundfile.read(made)[0]).max() > 0.3
