"""Measures what the bundled models do of what they are asked: `python -m mini.evaluate` prints table after table.

Each figure stands beside a control (shuffled prompts, or what is said in its section) and the same estimator's figure
on perfect audio, the composer's own.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import torch

from mini.evaluation import autoencoder, cover, lm, repaint, stems, text, tokenizer
from mini.evaluation.material import MODELS, Setting
from mini.evaluation.table import Section, report

MOST_MINUTES = 15
PARTS: dict[str, Callable[[Setting], Iterable[Section]]] = {
    "text": text.figures,
    "repaint": repaint.figures,
    "cover": cover.figures,
    "stems": stems.figures,
    "autoencoder": autoencoder.figures,
    "tokenizer": tokenizer.figures,
    "lm": lm.figures,
}
REPORT = Path(__file__).parent / "REPORT.md"


def evaluate(setting: Setting, only: list[str]) -> str:
    """The whole report as Markdown; each section is printed as soon as it is measured, then the time of all."""
    sections, began = list[Section](), time.perf_counter()
    for name in only:
        for section in PARTS[name](setting):
            sections.append(section)
            print(section.markdown, flush=True)
            print(f"{name}: {_minutes(began):.1f} minutes so far", file=sys.stderr, flush=True)
    took = _minutes(began)
    print(
        f"{took:.1f} minutes in all, {'within' if took <= MOST_MINUTES else 'over'} the {MOST_MINUTES} it should take."
    )
    head = (
        f"`make mini-eval`, {setting.device}, {torch.get_num_threads()} threads, {took:.1f} minutes. 95 % intervals "
        "in brackets: Wilson's for shares, bootstrap over pieces for the rest. Nothing measured here was trained on."
    )
    return report(sections, head)


def _minutes(began: float) -> float:
    return (time.perf_counter() - began) / 60


def _names(text_: str) -> list[str]:
    names = text_.split(",")
    if unknown := set(names) - set(PARTS):
        raise argparse.ArgumentTypeError(f"unknown: {', '.join(sorted(unknown))}; known are {', '.join(PARTS)}")
    return names


def main() -> None:
    """Print the sections, and write them to mini/REPORT.md when asked to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", type=_names, default=[*PARTS], help=f"some of {','.join(PARTS)}")
    parser.add_argument(
        "--count", type=int, default=50, help="prompts of text to music; other parts take a share of it"
    )
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--models", type=Path, default=MODELS, help="folder of the checkpoints' folders")
    parser.add_argument("--turbo", default="acestep-mini-turbo")
    parser.add_argument("--base", default="acestep-mini-base")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--guidance", type=float, help="scale of the base model; else its family's default")
    parser.add_argument(
        "--report", nargs="?", type=Path, const=REPORT, help="also write this file, mini/REPORT.md if not named"
    )
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        setting = Setting(
            count=options.count,
            seconds=options.seconds,
            models=options.models,
            turbo=options.turbo,
            base=options.base,
            device=options.device,
            guidance=options.guidance,
            folder=Path(folder),
        )
        page = evaluate(setting, options.only)
    if options.report:
        options.report.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
