"""`studio generate`: music into files, straight from the engine; needs no database and no server."""

from __future__ import annotations

import argparse
import json
import secrets
import sys
from pathlib import Path

from studio.cli.text import Commands, _
from studio.config import Settings, load_settings
from studio.engine.requests import (
    MAX_BATCH,
    MAX_SEED,
    AudioFormat,
    Metas,
    Sampling,
    TextToMusic,
    parse_key_scale,
)
from studio.engine.results import Take
from studio.engine.run import Phase, Run
from studio.errors import InvalidRequest, NotFound

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
    parser.add_argument("--caption", default="", metavar="TEXT", help=_("what it should sound like"))
    parser.add_argument("--lyrics-file", type=Path, metavar="F", help=_("text to sing, with tags such as [Verse]"))
    parser.add_argument("--instrumental", action="store_true", help=_("no voice"))
    parser.add_argument("--bpm", type=int, metavar="N", help=_("beats a minute, 30 to 300"))
    parser.add_argument("--key", metavar="K", help=_('key scale, such as "A minor" or Am'))
    parser.add_argument("--time-signature", metavar="T", help=_("beats a bar: 2, 3, 4 or 6"))
    parser.add_argument("--duration", type=float, metavar="S", help=_("seconds, 10 to 600"))
    parser.add_argument("--steps", type=int, metavar="N", help=_("diffusion steps"))
    parser.add_argument("--shift", type=float, metavar="X", help=_("timestep shift, 1 to 5"))
    parser.add_argument("--seeds", default="", metavar="1,2", help=_("one seed a take; -1 or missing ones are random"))
    parser.add_argument("--batch", type=int, metavar="N", help=_("number of takes (default: as many as seeds)"))
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


def request_from(args: argparse.Namespace) -> TextToMusic:
    """Return the request the arguments ask for; InvalidRequest names the first rule they break."""
    return TextToMusic(
        caption=args.caption,
        lyrics=_lyrics(args.lyrics_file),
        instrumental=args.instrumental,
        metas=Metas(
            bpm=args.bpm,
            key_scale=parse_key_scale(args.key) if args.key else None,
            time_signature=args.time_signature,
        ),
        sampling=Sampling(steps=args.steps, shift=args.shift),
        duration=args.duration,
        seeds=seeds_from(args.seeds, args.batch),
    )


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


def seeds_from(text: str, batch: int | None) -> tuple[int, ...]:
    """Return one seed a take: those of `text`, then random ones; -1 draws one.

    Without `batch` there are as many takes as seeds. Raises InvalidRequest for text that is no list of whole numbers
    and for more seeds than takes, which would be ignored without a word.
    """
    try:
        given = [int(part) for part in text.split(",")] if text.strip() else []
    except ValueError as error:
        raise InvalidRequest("seeds", "be whole numbers with commas between, such as 1,2", text) from error
    count = batch if batch is not None else max(1, len(given))
    if not 1 <= count <= MAX_BATCH:  # before a list of that length is made
        raise InvalidRequest("batch_size", f"be from 1 to {MAX_BATCH}", count)
    if len(given) > count:
        raise InvalidRequest("seeds", f"be at most {count}, one a take", len(given))
    given += [-1] * (count - len(given))
    return tuple(secrets.randbelow(MAX_SEED + 1) if seed == -1 else seed for seed in given)


def _lyrics(file: Path | None) -> str:
    if file is None:
        return ""
    try:
        return file.read_text(encoding="utf-8")
    except OSError as error:
        raise NotFound(_("The lyrics can't be read: {error}").format(error=error)) from error
    except UnicodeDecodeError as error:
        raise InvalidRequest("lyrics_file", "be UTF-8 text", str(file)) from error


def _make(args: argparse.Namespace, request: TextToMusic, settings: Settings) -> tuple[list[Path], list[Take]]:
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
