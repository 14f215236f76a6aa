"""What pages and services import of the engine must not pull in torch."""

from __future__ import annotations

import subprocess
import sys


def test_the_light_modules_do_not_import_torch() -> None:
    modules = "requests results run model_spec checkpoint prompts schedule effective audio.io audio.shape".split()
    lines = ["import sys", *(f"import studio.engine.{name}" for name in modules)]
    lines.append("print(sorted({'torch', 'diffusers', 'transformers'} & set(sys.modules)))")
    done = subprocess.run([sys.executable, "-c", "\n".join(lines)], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
