"""`studio backup` and `studio restore`: everything in one file, and back."""

from __future__ import annotations

import argparse
from pathlib import Path

from studio.cli.text import Commands, _
from studio.config import load_settings


def add_to(commands: Commands[argparse.ArgumentParser]) -> None:
    """Add backup and restore to the command line."""
    parser = commands.add_parser("backup", help=_("save database, audio, datasets and adapters to one file"))
    parser.add_argument("file", type=Path, help=_("the file to write; the studio may be running"))
    parser.set_defaults(run=save)
    parser = commands.add_parser("restore", help=_("bring back what a backup holds"))
    parser.add_argument("file", type=Path, help=_("a backup"))
    parser.add_argument("--replace", action="store_true", help=_("set aside what is there now"))
    parser.set_defaults(run=bring_back)


def save(args: argparse.Namespace) -> int:
    """Write a backup."""
    settings = load_settings()
    from studio.services.backup import back_up

    report = back_up(settings, args.file)
    print(_("Saved {n} files, {mb} MB.").format(n=report.files, mb=f"{report.size / 1e6:.1f}"))
    return 0


def bring_back(args: argparse.Namespace) -> int:
    """Restore a backup."""
    settings = load_settings()
    from studio.services.backup import restore

    report = restore(settings, args.file, replace=args.replace)
    print(_("Restored {n} files.").format(n=report.files))
    if report.kept is not None:
        print(_("What was there before is in {folder}.").format(folder=report.kept))
    return 0
