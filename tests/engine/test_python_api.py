"""The page docs/python-api.md is run as written."""

from __future__ import annotations

import importlib.util
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


def test_every_name_in_the_words_exists() -> None:
    words = (ROOT / "docs" / "python-api.md").read_text(encoding="utf-8").split("```")[-1]
    modules = set(re.findall(r"\bstudio\.[a-z_.]+[a-z]", words))
    code = "\n".join(path.read_text(encoding="utf-8") for path in sorted((ROOT / "studio").rglob("*.py")))
    missing = [name for name in modules if not importlib.util.find_spec(name)]
    missing += [name for name in re.findall(r"`([A-Z]\w+)[`(.]", words) if not re.search(rf"class {name}\b", code)]
    missing += [
        name for name in re.findall(r"`engine\.(\w+)", words) if not re.search(rf"def {name}\b|self\.{name}\b", code)
    ]
    assert missing == []
    assert len(modules) >= 4


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
