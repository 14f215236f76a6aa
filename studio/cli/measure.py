"""`studio measure`: what can be heard in a file, as numbers."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from studio.cli.text import Commands, _
from studio.errors import NotFound


def add_to(commands: Commands[argparse.ArgumentParser]) -> None:
    """Add measure to the command line."""
    parser = commands.add_parser("measure", help=_("measure tempo, key, loudness, true peak and silence of a file"))
    parser.add_argument("file", type=Path, metavar="FILE")
    parser.add_argument("--json", action="store_true", help=_("print one JSON object"))
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Measure one file and print the result."""
    if not args.file.is_file():
        raise NotFound(_("There is no file {path}.").format(path=args.file))
    from studio.engine.audio.io import read_audio
    from studio.engine.audio.measure import measure

    row = {"file": str(args.file), **measure(*read_audio(args.file)).as_row()}
    if args.json:
        print(json.dumps(row))
        return 0
    for name, value in row.items():
        print(f"{name:16} {value}")
    return 0
