"""`studio adapters`: what is in an adapter's folder, and the way out of a training run."""

from __future__ import annotations

import argparse
from pathlib import Path

from studio.cli.dataset import line
from studio.cli.text import Commands, _
from studio.engine.lora.formats import AdapterInfo, adapter_hash, inspect_adapter
from studio.engine.lora.layout import export


def add_to(commands: Commands[argparse.ArgumentParser]) -> None:
    """Add adapters to the command line."""
    parser = commands.add_parser("adapters", help=_("look into a trained adapter, or copy it out of its run"))
    actions = parser.add_subparsers(metavar=_("action"), required=True)
    looking = actions.add_parser("inspect", help=_("say what an adapter is; nothing is loaded"))
    looking.add_argument("folder", type=Path, metavar="FOLDER")
    looking.set_defaults(run=_inspect)
    exporting = actions.add_parser("export", help=_("copy the adapter of a training run, ready for every runtime"))
    exporting.add_argument("run_folder", type=Path, metavar="RUN", help=_("what --out of `studio train` named"))
    exporting.add_argument("target", type=Path, metavar="FOLDER", help=_("a new folder"))
    exporting.add_argument(
        "--checkpoint", default="", metavar="NAME", help=_("such as epoch_20; default: the final one")
    )
    exporting.add_argument("--replace", action="store_true", help=_("replace an adapter that is there"))
    exporting.set_defaults(run=_export)


def _inspect(args: argparse.Namespace) -> int:
    _tell("adapter", inspect_adapter(args.folder))
    return 0


def _export(args: argparse.Namespace) -> int:
    info = export(args.run_folder, args.target, checkpoint=args.checkpoint, replace=args.replace)
    _tell("exported", info)
    return 0


def _tell(event: str, info: AdapterInfo) -> None:
    line(
        event=event,
        name=info.name,
        path=str(info.path),
        kind=info.kind.value,
        rank=info.rank,
        layers=len(info.layers),
        sha256=adapter_hash(info),
    )
