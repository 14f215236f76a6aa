"""The 5 Hz language model's figures: the adapter to `mini.lm.evaluate`, which measures that model.

This is the one place where the two meet. It needs the checkpoint, the package and its bank of codes; where one of
them is missing the table says which.
"""

from __future__ import annotations

import importlib

from mini.evaluation.material import Setting
from mini.evaluation.table import Row, Section, skipped

MODULE = "mini.lm.evaluate"
CHECKPOINT = "acestep-5Hz-lm-mini"


def figures(setting: Setting) -> list[Section]:
    """What `mini.lm` says of its checkpoint; its rows have a figure, a value and a control."""
    title, folder, plans = f"Language model: {CHECKPOINT}", setting.models / CHECKPOINT, setting.some(0.4)
    if not folder.is_dir():
        return [skipped(title, f"no checkpoint in {setting.models}")]
    try:
        lm = importlib.import_module(MODULE)
        bank = lm.load_bank()
    except ModuleNotFoundError as error:
        return [skipped(title, f"there is no {error.name}")]
    except FileNotFoundError as error:
        return [skipped(title, f"there is no {error.filename}: `make mini` makes it")]
    planner, decode = lm.Planner.load(folder, device=setting.device), lm.decoder_of(bank)
    rows = [
        *lm.hearing_rows(planner, bank, setting.count),
        *lm.plan_rows(planner, decode, plans, setting.seconds),
        lm.kept_row(planner, plans),
        *lm.ceiling_rows(bank, decode, plans, setting.seconds),
    ]
    return [
        Section(
            title=title,
            about=f"{setting.count} held-out songs to understand, {plans} plans; the control is another song's truth.",
            rows=tuple(Row(row.figure, row.own, row.control) for row in rows),
        )
    ]
