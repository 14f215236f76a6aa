"""What pages and services import of the language model must not pull in torch, and vllm is imported only to load it."""

from __future__ import annotations

import subprocess
import sys


def _loaded_after(modules: str, look_for: set[str]) -> str:
    lines = ["import sys", *(f"import studio.engine.lm.{name}" for name in modules.split())]
    lines.append(f"print(sorted({look_for!r} & set(sys.modules)))")
    done = subprocess.run([sys.executable, "-c", "\n".join(lines)], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_the_light_modules_do_not_import_torch() -> None:
    modules = "requests results codes prompts metadata vocabulary rules grammar constrain effective quality checkpoint"
    assert _loaded_after(modules, {"torch", "transformers", "tokenizers", "vllm"}) == "[]"


def test_the_planner_imports_neither_transformers_nor_vllm() -> None:
    assert _loaded_after("planner backend_vllm", {"transformers", "vllm"}) == "[]"
