"""`python app.py [--config NAME] [--init-llm] [--host H] [--port N]`: the same as `studio serve`."""

from __future__ import annotations

import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"

if __name__ == "__main__":
    python = VENV / "bin" / "python"
    if python.exists() and Path(sys.prefix) != VENV:  # started with the system's Python, which has none of our packages
        os.execv(python, [str(python), *sys.orig_argv[1:]])
    try:
        from studio.cli import main
    except ModuleNotFoundError as error:
        sys.exit(f"{error.name} is not installed; `make run` installs everything and starts the studio")
    sys.exit(main(["serve", *sys.argv[1:]]))
