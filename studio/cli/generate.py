"""`studio generate`: music into files, straight from the engine; needs no database and no server."""

from __future__ import annotations

import argparse
import json
import secrets
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from studio.cli.asking import add_request_arguments, request_from
from studio.cli.loading import add_setup_arguments, settings_from
from studio.cli.progress import PhaseLines
from studio.cli.text import Commands, _
from studio.cli.thinking import add_think_arguments, load_lm, thinking_from
from studio.config import Settings
from studio.engine.lm.quality import check_sensitivity
from studio.engine.planned import generate_planned
from studio.engine.requests import AudioFormat, Request, TextToMusic
from studio.engine.results import Take
from studio.engine.run import Phase, Run
from studio.engine.thinking import Thinking
from studio.errors import InvalidRequest, NotFound
from studio.jobs.loading import setup_of

if TYPE_CHECKING:  # needs torch, which only making music does
    from studio.engine.engine import Engine
    from studio.engine.lm.planner import Planner

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
    add_setup_arguments(parser)
    add_think_arguments(parser.add_argument_group(_("thinking"), _("text2music only")))
    parser.add_argument("--format", choices=[*AudioFormat], default=AudioFormat.MP3, help=_("file format"))
    parser.add_argument(
        "--model", metavar="NAME", help=_("checkpoint name or folder (default {name})").format(name=BUNDLED)
    )
    parser.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help=_("folder for the files; made when missing")
    )
    parser.add_argument("--lrc", action="store_true", help=_("also write when each line is sung, as .lrc"))
    parser.add_argument(
        "--score",
        type=float,
        metavar="X",
        help=_("also say how well each take fits its words; X from 0.01 to 1, lower reacts more strongly"),
    )
    parser.add_argument("--json", action="store_true", help=_("print one JSON object a take"))
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Generate, write and print the takes of one request."""
    request, thinking = request_from(args), thinking_from(args)
    if thinking is not None and not isinstance(request, TextToMusic):
        raise InvalidRequest("think", f"be left out of task {args.task}; it belongs to text2music", True)
    if args.score is not None:
        check_sensitivity(args.score)
    settings = settings_from(args)
    for made in _make(args, request, thinking, settings):
        print(json.dumps(made.row()) if args.json else made.file)
        if thinking is not None and not args.json:
            _tell_plan(made.take)
        if made.score is not None and not args.json:
            _tell_score(made.score)
    return 0


@dataclass(frozen=True, slots=True)
class Made:
    """One take and the files written of it."""

    file: Path
    take: Take
    lyric_times: Path | None = None
    lyric_score: float | None = None
    score: Mapping[str, object] | None = None  # see studio.jobs.scoring.judge

    def row(self) -> dict[str, object]:
        """Return what --json prints."""
        take = self.take
        row: dict[str, object] = {
            "file": str(self.file),
            "seed": take.seed,
            "duration": take.duration,
            "sample_rate": take.sample_rate,
            "requested": dict(take.requested),
            "effective": dict(take.effective),
            "timings": dict(take.timings),
        }
        if "lm_model" in take.effective:
            row["lm"] = {
                **{key: value for key, value in take.effective.items() if key.startswith(("cot_", "lm_"))},
                "codes": len(_list(take.effective.get("audio_codes"))),
            }
        if self.lyric_times is not None:
            row |= {"lrc": str(self.lyric_times), "lyric_score": self.lyric_score}
        if self.score is not None:
            row["score"] = dict(self.score)
        return row


def _tell_plan(take: Take) -> None:
    """Print what the language model chose, how much it wrote and how long each phase took."""
    used = take.effective
    facts = {key.removeprefix("cot_"): value for key, value in used.items() if key.startswith("cot_") and value}
    print(f"  {used['lm_model']} ({used['lm_backend']}):", ", ".join(f"{key} {facts[key]}" for key in facts) or "-")
    laps = {key: take.timings.get(key, 0.0) for key in ("lm_facts", "lm_codes", "total")}
    print(
        _("  {count} codes; facts {lm_facts:.1f} s, codes {lm_codes:.1f} s, sound {total:.1f} s").format(
            count=len(_list(used.get("audio_codes"))), **laps
        )
    )
    for note in _list(used.get("notes")):
        print(note, file=sys.stderr)


def _tell_score(found: Mapping[str, object]) -> None:
    """Print the whole, every field, how the lyrics are followed, and what could not be judged."""
    rows: list[tuple[str, object]] = [] if found["score"] is None else [("score", found["score"])]
    rows += _pairs(found.get("scores"))
    rows += [(f"lyrics of {name}", dict(_pairs(one))["score"]) for name, one in _pairs(found.get("lyric_scores"))]
    print("  " + ", ".join(f"{name} {value:.4f}" for name, value in rows))
    for note in _list(found.get("score_notes")):
        print(note, file=sys.stderr)


def _pairs(value: object) -> list[tuple[str, object]]:
    return list(value.items()) if isinstance(value, Mapping) else []


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def _make(args: argparse.Namespace, request: Request, thinking: Thinking | None, settings: Settings) -> list[Made]:
    from studio.engine.audio.io import check_rate, write_audio
    from studio.engine.engine import Engine

    progress = PhaseLines()
    engine = Engine.load(
        args.model or settings.model or BUNDLED,
        setup=setup_of(settings),
        dirs=[settings.models_dir, settings.checkpoints_dir],
        run=Run(progress),
    )
    check_rate(AudioFormat(args.format), engine.spec.sound.sample_rate)
    planner = None
    if thinking is None or not isinstance(request, TextToMusic):
        takes = engine.generate(request, Run(progress))
    else:
        planner = load_lm(args, settings, Run(progress)) if thinking.wanted else None
        takes = generate_planned(engine, planner, request, thinking, Run(progress))
    args.out.mkdir(parents=True, exist_ok=True)
    batch = secrets.token_hex(4)
    made = []
    for number, take in enumerate(takes, 1):
        progress(Phase.SAVING, number, len(takes))
        path = args.out / f"{batch}-{number}-{take.seed}.{args.format}"
        write_audio(path, take.audio, take.sample_rate, AudioFormat(args.format))
        one = _with_lyric_times(engine, path, take) if args.lrc else Made(path, take)
        made.append(one if args.score is None else replace(one, score=_score(args, settings, engine, planner, take)))
    return made


def _score(
    args: argparse.Namespace, settings: Settings, engine: Engine, planner: Planner | None, take: Take
) -> Mapping[str, object]:
    """Judge a take as the studio does; a language model is loaded for codes of one's own."""
    from studio.jobs.scoring import judge  # brings the database's library with it

    run = Run(PhaseLines())
    reader = (lambda: load_lm(args, settings, run)) if planner is None else (lambda: planner)
    listen = None if take.trace is None else partial(engine.score_lyrics, take)
    try:
        return judge(take.requested, take.effective, args.score, reader, listen, run)
    except NotFound as error:  # the take itself is there
        return {"score": None, "score_notes": [str(error)]}


def _with_lyric_times(engine: Engine, path: Path, take: Take) -> Made:
    timed = engine.time_lyrics(take)
    for note in timed.notes:
        print(note, file=sys.stderr)
    times = path.with_suffix(".lrc")
    times.write_text(timed.lrc + "\n", encoding="utf-8")
    return Made(path, take, times, timed.score)
