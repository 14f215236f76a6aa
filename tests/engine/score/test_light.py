"""Times as text and their classes are for services too, so they load no torch."""

from __future__ import annotations

import subprocess
import sys


def test_lrc_and_results_do_not_import_torch() -> None:
    code = "import sys, studio.engine.score.lrc, studio.engine.score.results\n"
    code += "print(sorted({'torch', 'numpy', 'scipy', 'diffusers', 'transformers'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
