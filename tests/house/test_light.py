"""What must start fast loads no heavy library: a fresh interpreter imports it and looks."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

from tests.house import rules
from tests.house.test_house import ROOT, SCRIPTS

HEAVY = ("torch", "transformers", "diffusers", "peft", "librosa", "scipy", "fastapi")


def _modules(*packages: str) -> list[str]:
    folders = [ROOT / Path(*package.split(".")) for package in packages]
    files = [
        path
        for folder in folders
        for path in ([folder.with_suffix(".py")] if not folder.is_dir() else folder.rglob("*.py"))
    ]
    names = [".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__") for path in files]
    return sorted(name for name in names if not name.endswith("__main__"))


def _heavy_after(modules: list[str], more: str = "") -> list[str]:
    code = f"import importlib, sys\nfor name in {modules!r}: importlib.import_module(name)\n{more}\n"
    code += f"print(*(name for name in {HEAVY!r} if name in sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    return done.stdout.split()


def test_pages_services_and_command_line_load_no_torch() -> None:
    pages = {module for script in SCRIPTS for module in rules.imported(script.read_text(encoding="utf-8"))}
    modules = sorted(pages.union(_modules("studio.ui", "studio.web", "studio.services", "studio.cli")))
    assert {"studio.web", "studio.ui.fields", "studio.services", "studio.cli.generate"} < set(modules)
    assert _heavy_after(modules) == []


def test_the_api_loads_no_torch() -> None:
    assert _heavy_after(_modules("studio.api")) == ["fastapi"]


def test_measuring_loads_no_torch() -> None:
    code = (
        "import numpy; from studio.engine.audio import measure as m; m.measure(numpy.ones((2, 96000), 'f') / 9, 48000)"
    )
    assert "torch" not in _heavy_after([], code)


def test_the_look_can_fail() -> None:
    assert _heavy_after([], "sys.modules['torch'] = sys") == ["torch"]


def test_no_garbage_is_collected_after_every_run_of_a_page() -> None:
    """With Streamlit's default a take takes thirty times as long while its page is open (docs/log.md)."""
    settings = tomllib.loads((ROOT / ".streamlit" / "config.toml").read_text(encoding="utf-8"))
    assert settings["runner"]["postScriptGC"] is False
