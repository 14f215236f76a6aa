"""`studio models list`: the checkpoints this machine has."""

from __future__ import annotations

import argparse
import json

from studio.cli.text import Commands, _
from studio.config import load_settings


def add_to(commands: Commands[argparse.ArgumentParser]) -> None:
    """Add models to the command line."""
    parser = commands.add_parser("models", help=_("look after checkpoints"))
    actions = parser.add_subparsers(metavar=_("action"), required=True)
    listing = actions.add_parser("list", help=_("list the checkpoints found"))
    listing.add_argument("--json", action="store_true", help=_("print one JSON object a line"))
    listing.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """List the checkpoints, broken ones with what is wrong with them."""
    settings = load_settings()
    from studio.engine.checkpoint import find_checkpoints

    folders = [settings.models_dir, settings.checkpoints_dir]
    found = find_checkpoints(folders)
    for info in found:
        family = info.spec.family.value if info.spec else None
        row = {"name": info.name, "family": family, "path": str(info.path), "problem": info.problem}
        print(json.dumps(row) if args.json else f"{info.name}  {family or info.problem}  {info.path}")
    if not found and not args.json:
        print(_("No checkpoint in {folders}.").format(folders=", ".join(map(str, folders))))
    return 0
