"""`studio dataset`: from a folder of songs to what training reads."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import replace
from pathlib import Path

from studio.cli.text import Commands, _
from studio.config import load_settings
from studio.engine.dataset.files import load_dataset, save_dataset
from studio.engine.dataset.preparation import Crop, Preparation
from studio.engine.dataset.samples import Dataset, TagPosition
from studio.engine.dataset.scan import scan


def add_to(commands: Commands[argparse.ArgumentParser]) -> None:
    """Add dataset to the command line."""
    parser = commands.add_parser("dataset", help=_("make a dataset for training"))
    actions = parser.add_subparsers(metavar=_("action"), required=True)
    scanning = actions.add_parser("scan", help=_("find songs and their sidecar files in a folder"))
    scanning.add_argument("folder", type=Path, metavar="FOLDER")
    scanning.add_argument("--out", type=Path, metavar="JSON", help=_("dataset file; one that is there is completed"))
    scanning.add_argument("--name", metavar="NAME")
    scanning.add_argument("--tag", metavar="WORD", help=_("a word that will call the style"))
    scanning.add_argument("--tag-position", choices=[*TagPosition])
    scanning.add_argument("--genre-ratio", type=int, metavar="N", help=_("per cent of songs described by genre"))
    scanning.set_defaults(run=_scan)
    preparing = actions.add_parser("preprocess", help=_("encode the labeled songs for training"))
    preparing.add_argument("dataset", type=Path, metavar="JSON")
    preparing.add_argument("--model", required=True, metavar="NAME", help=_("the model that will be trained"))
    preparing.add_argument("--out", type=Path, required=True, metavar="FOLDER")
    preparing.add_argument("--max-duration", type=float, default=240.0, metavar="S")
    preparing.add_argument("--crop", choices=["start", "middle"], default="start", help=_("part kept of longer songs"))
    preparing.add_argument("--device", default="auto", metavar="D")
    preparing.add_argument("--dtype", default="auto", metavar="T")
    preparing.set_defaults(run=_preprocess)


def line(**event: object) -> None:
    """Print one JSON object on a line of its own."""
    print(json.dumps(event, ensure_ascii=False), flush=True)


def _scan(args: argparse.Namespace) -> int:
    out = args.out or args.folder / f"{args.name or args.folder.resolve().name}.json"
    out = out if out.suffix.lower() == ".json" else out.with_name(out.name + ".json")
    dataset = load_dataset(out) if out.exists() else Dataset(name=args.name or args.folder.resolve().name)
    given = {"name": args.name, "custom_tag": args.tag, "tag_position": args.tag_position}
    given |= {"genre_ratio": args.genre_ratio}
    if args.tag_position is not None:
        given["tag_position"] = TagPosition(args.tag_position)
    dataset = replace(dataset, **{key: value for key, value in given.items() if value is not None})
    scanned = scan(args.folder, dataset)
    for fault in scanned.faults:
        print(f"studio: {fault}", file=sys.stderr)
    saved = save_dataset(out, scanned.dataset)
    songs = scanned.dataset.samples
    line(
        event="scanned",
        dataset=str(saved),
        songs=len(songs),
        labeled=len(scanned.dataset.labeled),
        faults=len(scanned.faults),
        **scanned.used,
    )
    return 0


def _preprocess(args: argparse.Namespace) -> int:
    dataset = load_dataset(args.dataset)
    from studio.engine.checkpoint import resolve
    from studio.engine.device import choose_device, choose_dtype
    from studio.engine.loader import load_components
    from studio.engine.lora.prepare import prepare
    from studio.engine.run import Run

    settings = load_settings()
    how = Preparation(max_duration=args.max_duration, crop=Crop(args.crop))
    checkpoint = resolve(args.model, (settings.models_dir, settings.checkpoints_dir))
    device = choose_device(args.device)
    parts = load_components(checkpoint, device=device, dtype=choose_dtype(args.dtype, device), run=Run())
    spec = checkpoint.spec

    def progress(done: int, total: int, name: str) -> None:
        line(event="preparing", done=done, total=total, file=name)

    result = prepare(dataset, args.out, parts, spec.sound, spec.name, how, progress)
    for fault in (*result.faults, *result.notes):
        print(f"studio: {fault}", file=sys.stderr)
    line(event="prepared", written=result.written, skipped=result.skipped, faults=len(result.faults))
    return 1 if result.faults and not result.written + result.skipped else 0
