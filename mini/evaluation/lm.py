"""The 5 Hz language model's figures: an adapter to `mini.lm`, which measures itself.

Joined here: `mini.lm.figures.evaluate(models: Path, count: int, seconds: float)` returns rows of four texts: figure,
asked, control, perfect audio. Where that package or its checkpoint is not there yet, the table says so.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from pathlib import Path

from mini.evaluation.material import Setting
from mini.evaluation.table import Row, Section, skipped

MODULE, FUNCTION = "mini.lm.figures", "evaluate"
CHECKPOINT = "acestep-5Hz-lm-mini"
Evaluate = Callable[[Path, int, float], Sequence[tuple[str, str, str, str]]]


def figures(setting: Setting) -> list[Section]:
    """What `mini.lm` says of its checkpoint."""
    title = f"Language model: {CHECKPOINT}"
    if not (setting.models / CHECKPOINT).is_dir():
        return [skipped(title, f"no checkpoint in {setting.models}")]
    try:
        evaluate: Evaluate = getattr(importlib.import_module(MODULE), FUNCTION)
    except ModuleNotFoundError:
        return [skipped(title, f"{MODULE} is not there yet")]
    rows = evaluate(setting.models, setting.count, setting.seconds)
    return [Section(title=title, about=f"{setting.count} held-out songs.", rows=tuple(Row(*row) for row in rows))]
