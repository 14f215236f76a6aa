"""`studio generate`: music into files, straight from the engine; needs no database and no server."""

from __future__ import annotations

import argparse
import json
import secrets
import sys
from pathlib import Path

from studio.cli.asking import add_request_arguments, request_from
from studio.cli.text import Commands, _
from studio.config import Settings, load_settings
from studio.engine.requests import AudioFormat, Request
from studio.engine.results import Take
from studio.engine.run import Phase, Run

BUNDLED = "acestep-mini-turbo"


def add_to(commands: Commands[argparse.ArgumentParser]) -> None:
    """Add generate to the command line."""
    parser = commands.add_parser(
        "generate",
        help=_("make music into files"),
        description=_(
            "Make takes and write each as <batch>-<take>-<seed>.<format>; earlier files are never overwritten."
        ),
    )
    add_request_arguments(parser)
    parser.add_argument("--format", choices=[*AudioFormat], default=AudioFormat.MP3, help=_("file format"))
    parser.add_argument(
        "--model", metavar="NAME", help=_("checkpoint name or folder (default {name})").format(name=BUNDLED)
    )
    parser.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help=_("folder for the files; made when missing")
    )
    parser.add_argument("--json", action="store_true", help=_("print one JSON object a take"))
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Generate, write and print the takes of one request."""
    request = request_from(args)
    settings = load_settings()
    for path, take in zip(*_make(args, request, settings), strict=True):
        print(json.dumps(row(path, take)) if args.json else path)
    return 0


def row(path: Path, take: Take) -> dict[str, object]:
    """Return what --json prints of one take."""
    return {
        "file": str(path),
        "seed": take.seed,
        "duration": take.duration,
        "sample_rate": take.sample_rate,
        "requested": dict(take.requested),
        "effective": dict(take.effective),
        "timings": dict(take.timings),
    }


def _make(args: argparse.Namespace, request: Request, settings: Settings) -> tuple[list[Path], list[Take]]:
    from studio.engine.audio.io import check_rate, write_audio
    from studio.engine.engine import Engine

    progress = _Progress()
    engine = Engine.load(
        args.model or settings.model or BUNDLED,
        device=settings.device,
        dirs=[settings.models_dir, settings.checkpoints_dir],
        run=Run(progress),
    )
    check_rate(AudioFormat(args.format), engine.spec.sound.sample_rate)
    takes = engine.generate(request, Run(progress))
    args.out.mkdir(parents=True, exist_ok=True)
    batch = secrets.token_hex(4)
    paths = [args.out / f"{batch}-{number}-{take.seed}.{args.format}" for number, take in enumerate(takes, 1)]
    for number, (path, take) in enumerate(zip(paths, takes, strict=True), 1):
        progress(Phase.SAVING, number, len(takes))
        write_audio(path, take.audio, take.sample_rate, AudioFormat(args.format))
    return paths, takes


class _Progress:
    """Writes what the engine does to stderr: one line a phase, redrawn at every step on a terminal."""

    def __init__(self) -> None:
        self._phase: Phase | None = None

    def __call__(self, phase: Phase, done: int, total: int) -> None:
        """Show that `done` of `total` units of `phase` are finished."""
        live = sys.stderr.isatty()
        if phase != self._phase or live:
            start = "\r\x1b[K" if live and phase == self._phase else "\n" if live and self._phase else ""
            end = "" if live else "\n"
            print(f"{start}{phase} {done}/{total}", end=end, file=sys.stderr, flush=True)
        self._phase = phase
