"""`studio lm`: the language model alone; plans, songs from a wish, better texts, codes as text, scores."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from studio.cli.asking import codes_from, seeds_from, text_from
from studio.cli.progress import PhaseLines
from studio.cli.text import Commands, _
from studio.cli.thinking import (
    add_batch_arguments,
    add_model_arguments,
    add_sampling_arguments,
    draw_from,
    guidance_from,
    load_lm,
)
from studio.config import load_settings
from studio.engine.lm.metadata import Facts
from studio.engine.lm.quality import ScoreRequest
from studio.engine.lm.requests import CreateRequest, FormatRequest, PlanRequest, UnderstandRequest
from studio.engine.lm.results import Description
from studio.engine.prompts import sung_lyrics
from studio.engine.requests import MAX_DURATION, Metas, parse_key_scale
from studio.engine.run import Run

if TYPE_CHECKING:  # needs torch, which only running a model does
    from studio.engine.lm.planner import Planner

_LONG = ("audio_codes", "log", "lm_notes")  # notes go to stderr


def add_to(commands: Commands[argparse.ArgumentParser]) -> None:
    """Add lm to the command line."""
    parser = commands.add_parser("lm", help=_("ask the 5 Hz language model"))
    actions = parser.add_subparsers(metavar=_("action"), required=True)
    plan = _action(actions, "plan", _("choose facts and write audio codes"), guided=True)
    _add_song(plan)
    plan.add_argument("--seeds", default="", metavar="1,2", help=_("one seed a plan; -1 or missing ones are random"))
    plan.add_argument("--batch", type=int, metavar="N", help=_("number of plans (default: as many as seeds)"))
    plan.add_argument("--no-metas", action="store_true", help=_("choose no facts, caption or language"))
    plan.add_argument("--no-caption", action="store_true", help=_("leave the caption as it is"))
    plan.add_argument("--no-language", action="store_true", help=_("leave the language open"))
    plan.add_argument("--no-codes", action="store_true", help=_("write no audio codes"))
    add_batch_arguments(plan.add_argument_group(_("at once")))
    plan.set_defaults(run=run_plan)
    create = _action(actions, "create", _("make up a song from a wish"))
    create.add_argument("query", nargs="?", default="", metavar="WISH", help=_("such as 'a soft song about rain'"))
    create.add_argument("--instrumental", action="store_true", help=_("no voice"))
    create.add_argument("--vocal-language", default="unknown", metavar="CODE", help=_("language of the singing"))
    create.set_defaults(run=run_create)
    formatting = _action(actions, "format", _("write a fuller caption and better-shaped lyrics"))
    _add_song(formatting)
    formatting.set_defaults(run=run_format)
    understand = _action(actions, "understand", _("describe the music of audio codes"))
    understand.add_argument("codes", type=Path, metavar="FILE", help=_("text file with audio codes"))
    understand.set_defaults(run=run_understand)
    scoring = _action(actions, "score", _("say how well audio codes fit a text"), drawn=False)
    scoring.add_argument("codes", type=Path, metavar="FILE", help=_("text file with audio codes"))
    _add_song(scoring)
    scoring.add_argument("--sensitivity", type=float, default=0.5, metavar="X", help=_("0.01 to 1; lower reacts more"))
    scoring.set_defaults(run=run_score)


def run_plan(args: argparse.Namespace) -> int:
    """Plan every seed and print one line or object each."""
    request = PlanRequest(
        caption=args.caption,
        lyrics=sung_lyrics(text_from("lyrics_file", args.lyrics_file), args.instrumental),
        metas=_metas(args),
        duration=args.duration,
        vocal_language=args.vocal_language,
        seeds=seeds_from(args.seeds, args.batch),
        draw=draw_from(args),
        guidance=guidance_from(args),
        max_duration=args.max_duration,
        choose_metas=not args.no_metas,
        rewrite_caption=not args.no_caption,
        choose_language=not args.no_language,
        make_codes=not args.no_codes,
        chunk_size=8 if args.lm_chunk_size is None else args.lm_chunk_size,
        parallel=not args.lm_one_by_one,
        debug=args.lm_debug,
    )
    plan = _planner(args).plan(request, _run())
    for take in plan.takes:
        row = {"seed": take.seed, **take.effective, "reasoning": take.reasoning, "codes": len(take.codes)}
        _show(args, {**row, "timings": dict(plan.timings), **({"log": list(take.log)} if take.log else {})})
    return 0


def run_create(args: argparse.Namespace) -> int:
    """Make up a song and print it."""
    request = CreateRequest(
        query=args.query,
        instrumental=args.instrumental,
        vocal_language=args.vocal_language,
        draw=draw_from(args),
        max_duration=args.max_duration,
        seed=_seed(args),
        debug=args.lm_debug,
    )
    return _describe(args, request.seed, _planner(args).create(request, _run()))


def run_format(args: argparse.Namespace) -> int:
    """Rewrite caption and lyrics and print them."""
    request = FormatRequest(
        caption=args.caption,
        lyrics=sung_lyrics(text_from("lyrics_file", args.lyrics_file), args.instrumental),
        metas=_metas(args),
        duration=args.duration,
        vocal_language=args.vocal_language,
        draw=draw_from(args),
        max_duration=args.max_duration,
        seed=_seed(args),
        debug=args.lm_debug,
    )
    return _describe(args, request.seed, _planner(args).format(request, _run()))


def run_understand(args: argparse.Namespace) -> int:
    """Describe the music of codes and print the words."""
    request = UnderstandRequest(
        codes=codes_from("codes", args.codes),
        draw=draw_from(args),
        max_duration=args.max_duration,
        seed=_seed(args),
        debug=args.lm_debug,
    )
    return _describe(args, request.seed, _planner(args).understand(request, _run()))


def run_score(args: argparse.Namespace) -> int:
    """Print how well codes fit a text, as a whole and by part."""
    metas = _metas(args)
    request = ScoreRequest(
        codes=codes_from("codes", args.codes),
        caption=args.caption,
        lyrics=sung_lyrics(text_from("lyrics_file", args.lyrics_file), args.instrumental),
        facts=Facts(
            bpm=metas.bpm,
            duration=None if args.duration is None else int(args.duration),
            keyscale=metas.key_scale,
            language=None if args.vocal_language == "unknown" else args.vocal_language,
            timesignature=metas.time_signature,
        ),
        sensitivity=args.sensitivity,
    )
    found = _planner(args).score(request, _run())
    fields = {name: part.score for name, part in found.fields.items()}
    _show(args, {"score": found.total, "parts": dict(found.parts), "fields": fields})
    return 0


def _action(
    actions: Commands[argparse.ArgumentParser], name: str, words: str, *, guided: bool = False, drawn: bool = True
) -> argparse.ArgumentParser:
    parser = actions.add_parser(name, help=words)
    group = parser.add_argument_group(_("language model"))
    group.add_argument("--model", dest="lm", metavar="NAME", help=_("a name or a folder (default: the first found)"))
    add_model_arguments(group)
    group.add_argument("--device", metavar="D", help=_("auto, cpu, cuda, cuda:1, mps or xpu"))
    if drawn:
        add_sampling_arguments(group, guided=guided)
        group.add_argument("--max-duration", type=float, default=MAX_DURATION, metavar="S", help=_("seconds at most"))
        if not guided:
            group.add_argument("--seed", type=int, default=-1, metavar="N", help=_("-1 draws one"))
    parser.add_argument("--json", action="store_true", help=_("print one JSON object a result"))
    return parser


def _add_song(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--caption", default="", metavar="TEXT", help=_("what it should sound like"))
    parser.add_argument("--lyrics-file", type=Path, metavar="F", help=_("text to sing, with tags such as [Verse]"))
    parser.add_argument("--instrumental", action="store_true", help=_("no voice"))
    parser.add_argument("--vocal-language", default="unknown", metavar="CODE", help=_("language of the singing"))
    parser.add_argument("--bpm", type=int, metavar="N", help=_("beats a minute, 30 to 300"))
    parser.add_argument("--key", metavar="K", help=_('key scale, such as "A minor" or Am'))
    parser.add_argument("--time-signature", metavar="T", help=_("beats a bar: 2, 3, 4 or 6"))
    parser.add_argument("--duration", type=float, metavar="S", help=_("seconds, 10 to 600"))


def _metas(args: argparse.Namespace) -> Metas:
    key = parse_key_scale(args.key) if args.key else None
    return Metas(bpm=args.bpm, key_scale=key, time_signature=args.time_signature)


def _seed(args: argparse.Namespace) -> int:
    return seeds_from(str(args.seed), 1)[0]


def _run() -> Run:
    return Run(PhaseLines())


def _planner(args: argparse.Namespace) -> Planner:
    return load_lm(args, load_settings(None, device=args.device), _run())


def _describe(args: argparse.Namespace, seed: int, found: Description) -> int:
    log: dict[str, object] = {"log": list(found.log)} if found.log else {}
    _show(args, {"seed": seed, **found.effective, "timings": dict(found.timings), **log})
    return 0


def _show(args: argparse.Namespace, row: Mapping[str, object]) -> None:
    """Print a result as JSON, or its values one a line, texts of many lines last and without codes and log."""
    if args.json:
        print(json.dumps(row))
        return
    for note in _notes(row):
        print(note, file=sys.stderr)
    texts = {name: value for name, value in row.items() if isinstance(value, str) and "\n" in value}
    for name, value in row.items():
        if name not in texts and name not in _LONG:
            print(f"{name:22} {value}")
    for name, text in texts.items():
        print(f"\n{name}:\n{text}")


def _notes(row: Mapping[str, object]) -> list[object]:
    notes = row.get("lm_notes", [])
    return notes if isinstance(notes, list) else []
