"""`studio models`: list the checkpoints this machine has, fetch, convert and verify them."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from studio.cli.text import Commands, _
from studio.config import Settings, load_settings
from studio.engine.run import Phase, Run
from studio.engine.space import readable
from studio.jobs.fetching import endpoints

LM = "lm"  # where other models have a family
SOURCES = ("auto", "huggingface", "modelscope")


def add_to(commands: Commands[argparse.ArgumentParser]) -> None:
    """Add models to the command line."""
    parser = commands.add_parser("models", help=_("look after checkpoints"))
    actions = parser.add_subparsers(metavar=_("action"), required=True)
    listing = actions.add_parser("list", help=_("list the checkpoints found"))
    listing.add_argument("--json", action="store_true", help=_("print one JSON object a line"))
    listing.set_defaults(run=run)
    fetching = actions.add_parser("fetch", help=_("download a published checkpoint; goes on where it was interrupted"))
    fetching.add_argument("name", metavar="NAME", help=_("such as acestep-v15-turbo, or owner/repository"))
    fetching.add_argument("--source", choices=SOURCES, default=SOURCES[0], help=_("where from (default auto: both)"))
    fetching.set_defaults(run=run_fetch)
    converting = actions.add_parser("convert", help=_("write an original checkpoint in the diffusers layout"))
    converting.add_argument("source", metavar="SRC", help=_("checkpoint name or folder"))
    converting.add_argument("target", metavar="DST", type=Path, help=_("folder to make"))
    converting.set_defaults(run=run_convert)
    status = actions.add_parser("status", help=_("say what the running studio has loaded"))
    status.add_argument("--json", action="store_true", help=_("print one JSON object"))
    status.set_defaults(run=run_status)
    verifying = actions.add_parser("verify", help=_("compare a checkpoint with the sums stored when it was made"))
    verifying.add_argument("name", metavar="NAME", help=_("checkpoint name or folder"))
    verifying.set_defaults(run=run_verify)


def run(args: argparse.Namespace) -> int:
    """List the checkpoints and language models, broken ones with what is wrong with them."""
    folders = _folders(load_settings())
    from studio.engine.checkpoint import find_checkpoints
    from studio.engine.lm.checkpoint import find_lms

    found = [
        _Row(info.name, info.spec.family.value if info.spec else None, info.path, info.problem)
        for info in find_checkpoints(folders)
    ]
    found += [_Row(info.name, None if info.problem else LM, info.path, info.problem) for info in find_lms(folders)]
    for row in found:
        shown = {"name": row.name, "family": row.family, "path": str(row.path), "problem": row.problem}
        print(json.dumps(shown) if args.json else f"{row.name}  {row.family or row.problem}  {row.path}")
    if not found and not args.json:
        print(_("No checkpoint in {folders}.").format(folders=", ".join(map(str, folders))))
    return 0


def run_fetch(args: argparse.Namespace) -> int:
    """Fetch a checkpoint into the user's own folder and say where it came from."""
    settings = load_settings()
    from studio.engine.fetch import fetch

    run, hubs = Run(_Progress(readable)), endpoints(settings)
    done = fetch(args.name, settings.checkpoints_dir, source=args.source, endpoints=hubs, run=run)
    for failure in done.failures:
        print(_("Could not use {failure}").format(failure=failure), file=sys.stderr)
    amount = readable(done.downloaded)
    print(_("{path}: complete, {amount} downloaded from {hub}").format(path=done.path, amount=amount, hub=done.hub))
    return 0


def run_convert(args: argparse.Namespace) -> int:
    """Write a checkpoint in the diffusers layout."""
    settings = load_settings()
    from studio.engine.export import convert

    made = convert(args.source, args.target.expanduser(), _folders(settings), Run(_Progress(str)))
    print(made)
    return 0


def run_verify(args: argparse.Namespace) -> int:
    """Check a checkpoint and every sum; the exit status is 1 when a file is not what it was."""
    settings = load_settings()
    from studio.engine.manifest import MANIFEST, check_sums, read_manifest

    faults = 0
    for folder in _checked(args.name, _folders(settings)):
        if not read_manifest(folder):
            print(
                _("{folder}: no {manifest}, so only names, sizes and headers were checked").format(
                    folder=folder, manifest=MANIFEST
                )
            )
        for file, fault in check_sums(folder):
            print(fault or _("{file}: as it was made").format(file=file))
            faults += bool(fault)
    return 1 if faults else 0


def run_status(args: argparse.Namespace) -> int:
    """Print what the worker says of itself; the exit status is 1 when no model is ready."""
    from studio.services.studio import open_studio

    studio = open_studio(load_settings())
    try:
        status = studio.status()
    finally:
        studio.close()
    facts = {"state": status.state.value, "error": status.error, **status.loaded}
    if args.json:
        print(json.dumps(facts))
    else:
        for name, value in facts.items():
            print(f"{name:20} {value}")
    return 0 if status.ready else 1


class _Row(NamedTuple):
    """One model as it is listed; `family` is None for one that can't be used."""

    name: str
    family: str | None
    path: Path
    problem: str


def _checked(name: str, folders: list[Path]) -> tuple[Path, ...]:
    """Return every folder of a checkpoint or a language model after a look at names, sizes and headers."""
    from studio.engine.checkpoint import resolve
    from studio.engine.lm.checkpoint import PREFIX, resolve_lm
    from studio.engine.manifest import check_sizes

    if not Path(name).name.startswith(PREFIX):
        return resolve(name, folders).folders
    folder = resolve_lm(name, folders)
    check_sizes(folder)
    return (folder,)


def _folders(settings: Settings) -> list[Path]:
    return [settings.models_dir, settings.checkpoints_dir]


class _Progress:
    """Writes how far it is to stderr: redrawn on a terminal, else a line at every tenth."""

    def __init__(self, shown: Callable[[int], str]) -> None:
        self._shown = shown
        self._tenth = -1

    def __call__(self, phase: Phase, done: int, total: int) -> None:
        """Show that `done` of `total` units of `phase` are finished."""
        tenth = 10 * done // total if total else 10
        live = sys.stderr.isatty()
        if live or tenth != self._tenth:
            start, end = ("\r\x1b[K", "\n" if done == total else "") if live else ("", "\n")
            print(f"{start}{phase} {self._shown(done)} / {self._shown(total)}", end=end, file=sys.stderr, flush=True)
        self._tenth = tenth
