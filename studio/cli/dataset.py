"""`studio dataset`: from a folder of songs to what training reads."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from studio.cli.loading import add_setup_arguments, settings_from
from studio.cli.text import Commands, _
from studio.cli.thinking import add_model_arguments, load_lm
from studio.config import load_settings
from studio.engine.dataset.files import load_dataset, save_dataset
from studio.engine.dataset.labelling import Labelling, Skip, described, to_label, unknown
from studio.engine.dataset.preparation import Crop, Preparation
from studio.engine.dataset.samples import Dataset, Sample, TagPosition
from studio.engine.dataset.scan import scan
from studio.engine.run import Run
from studio.errors import InvalidRequest, StudioError
from studio.jobs.datasets import with_songs
from studio.jobs.loading import setup_of
from studio.jobs.resident import load_engine
from studio.jobs.songs import hear


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
    _add_label(actions)
    preparing = actions.add_parser("preprocess", help=_("encode the labeled songs for training"))
    preparing.add_argument("dataset", type=Path, metavar="JSON")
    preparing.add_argument("--model", required=True, metavar="NAME", help=_("the model that will be trained"))
    preparing.add_argument("--out", type=Path, required=True, metavar="FOLDER")
    preparing.add_argument("--max-duration", type=float, default=240.0, metavar="S")
    preparing.add_argument("--crop", choices=["start", "middle"], default="start", help=_("part kept of longer songs"))
    preparing.add_argument("--device", default="auto", metavar="D")
    preparing.add_argument("--dtype", default="auto", metavar="T")
    preparing.set_defaults(run=_preprocess)


def _add_label(actions: Commands[argparse.ArgumentParser]) -> None:
    labelling = actions.add_parser("label", help=_("have the language model describe the songs"))
    labelling.add_argument("dataset", type=Path, metavar="JSON", help=_("it is saved after every song"))
    labelling.add_argument("--model", metavar="NAME", help=_("whose audio tokenizer hears the songs"))
    labelling.add_argument("--lm", default="", metavar="NAME", help=_("the language model (default: the first found)"))
    add_model_arguments(labelling.add_argument_group(_("language model")), prefix="--lm-")
    labelling.add_argument("--only-unlabelled", action="store_true", help=_("go on where an earlier run was stopped"))
    labelling.add_argument("--replace-captions", action="store_true", help=_("captions that a person wrote too"))
    labelling.add_argument(
        "--skip", choices=[*Skip], default=Skip.NOTHING, help=_("metas: no tempo, key and metre; model: N/A values")
    )
    lyrics = labelling.add_mutually_exclusive_group()
    lyrics.add_argument("--format-lyrics", action="store_true", help=_("tidy the lyrics there are"))
    lyrics.add_argument("--transcribe-lyrics", action="store_true", help=_("write lyrics from what is heard"))
    labelling.add_argument("--seed", type=int, default=0, metavar="N")
    add_setup_arguments(labelling)
    labelling.set_defaults(run=_label)


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


def _label(args: argparse.Namespace) -> int:
    dataset = load_dataset(args.dataset)
    how = Labelling(
        skip=Skip(args.skip),
        only_unlabelled=args.only_unlabelled,
        replace_captions=args.replace_captions,
        format_lyrics=args.format_lyrics,
        transcribe_lyrics=args.transcribe_lyrics,
        seed=args.seed,
    )
    todo = to_label(dataset, how)
    describe = unknown if how.skip is Skip.MODEL else _describer(args, how)
    failed = 0
    for place, sample in enumerate(todo):
        line(event="labelling", done=place, total=len(todo), file=sample.filename)
        try:
            dataset = with_songs(dataset, [describe(sample)])
        except StudioError as error:
            failed += 1
            print(f"studio: {sample.filename}: {error}", file=sys.stderr)
            continue
        save_dataset(args.dataset, dataset)
    line(event="labelled", labelled=len(todo) - failed, failed=failed)
    return 1 if failed and failed == len(todo) else 0


def _describer(args: argparse.Namespace, how: Labelling) -> Callable[[Sample], Sample]:
    """Load both models and return what labels a song."""
    if not args.model:
        raise InvalidRequest("model", "be named, or --skip model given", "")
    settings, run = settings_from(args), Run()
    engine = load_engine(args.model, setup_of(settings), settings, run)
    writer = load_lm(args, settings, run)

    def describe(sample: Sample) -> Sample:
        heard = hear(sample, how, engine, writer, run)
        if heard.note:
            print(f"studio: {sample.filename}: {heard.note}", file=sys.stderr)
        return described(sample, heard.facts, heard.lyrics, how)

    return describe


def _preprocess(args: argparse.Namespace) -> int:
    dataset = load_dataset(args.dataset)
    from studio.engine.checkpoint import resolve
    from studio.engine.device import choose_device, choose_dtype
    from studio.engine.loader import load_components
    from studio.engine.lora.prepare import prepare

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
