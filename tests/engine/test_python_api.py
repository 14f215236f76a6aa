"""The page docs/python-api.md is run as written."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from studio.engine.requests import TextToMusic
from studio.errors import InvalidRequest

ROOT = Path(__file__).resolve().parents[2]
MODEL = ROOT / "data" / "models" / "acestep-mini-turbo"


def test_a_request_checks_itself_as_the_page_says() -> None:
    with pytest.raises(InvalidRequest) as caught:
        TextToMusic(caption="", seeds=(1,))
    assert (caught.value.field, caught.value.value) == ("caption", "")


@pytest.mark.slow
@pytest.mark.skipif(not MODEL.exists(), reason=f"the bundled model {MODEL.name} has not been trained yet")
def test_the_page_runs(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "python-api.md").read_text(encoding="utf-8")
    block = re.search(r"```python\n(.*?)```", page, re.DOTALL)
    assert block is not None
    code = block[1].replace("data/models", str(MODEL.parent))
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, env={"PYTHONPATH": str(ROOT)}
    )
    assert done.returncode == 0, done.stderr
    assert {file.name for file in tmp_path.glob("*.wav")} == {"7.wav", "8.wav"}
