"""The arguments of `studio generate` that say what to make, and the request they come to."""

from __future__ import annotations

import argparse
import secrets
from collections.abc import Callable, Mapping
from pathlib import Path

from studio.cli.text import _
from studio.engine.audio.span import Seconds
from studio.engine.edits import Complete, Cover, Extract, Lego, Repaint, RepaintMode
from studio.engine.lm.codes import CODEBOOK, parse_codes
from studio.engine.requests import MAX_BATCH, Metas, Output, Request, Task, TextToMusic, Track, parse_key_scale
from studio.engine.sampling import MAX_SEED, Guidance, Method, Retake, Sampling, Solver
from studio.engine.snapshot import Shared, end_of
from studio.errors import InvalidRequest, NotFound


def add_request_arguments(parser: argparse.ArgumentParser) -> None:
    """Add everything a request can say."""
    parser.add_argument("--task", choices=[*Task], default=Task.TEXT2MUSIC, help=_("what to make"))
    parser.add_argument("--caption", default="", metavar="TEXT", help=_("what it should sound like"))
    parser.add_argument("--lyrics-file", type=Path, metavar="F", help=_("text to sing, with tags such as [Verse]"))
    parser.add_argument("--instrumental", action="store_true", help=_("no voice"))
    parser.add_argument("--vocal-language", default="unknown", metavar="CODE", help=_("language of the singing"))
    parser.add_argument("--bpm", type=int, metavar="N", help=_("beats a minute, 30 to 300"))
    parser.add_argument("--key", metavar="K", help=_('key scale, such as "A minor" or Am'))
    parser.add_argument("--time-signature", metavar="T", help=_("beats a bar: 2, 3, 4 or 6"))
    parser.add_argument("--duration", type=float, metavar="S", help=_("seconds, 10 to 600"))
    parser.add_argument("--seeds", default="", metavar="1,2", help=_("one seed a take; -1 or missing ones are random"))
    parser.add_argument("--batch", type=int, metavar="N", help=_("number of takes (default: as many as seeds)"))
    parser.add_argument("--reference", type=Path, metavar="FILE", help=_("audio whose timbre to follow"))
    parser.add_argument("--no-normalize", action="store_true", help=_("leave the level as the model made it"))
    _add_source_arguments(parser.add_argument_group(_("tasks on a source")))
    _add_sampling_arguments(parser.add_argument_group(_("sampling")))


def request_from(args: argparse.Namespace) -> Request:
    """Return the request the arguments ask for; InvalidRequest names the first rule they break."""
    _refuse_unused(args)
    return _BUILDERS[args.task](args)


def codes_from(name: str, file: Path | None) -> tuple[int, ...]:
    """Return the audio codes of a text file, as tokens or as bare numbers; none without a file."""
    text = text_from(name, file)
    if "<" not in text:
        return _wholes(name, ",".join(text.replace(",", " ").split()))
    parsed = parse_codes(text)
    if parsed.clamped:
        raise InvalidRequest(name, f"be whole numbers from 0 to {CODEBOOK - 1}", parsed.clamped[0])
    return parsed.codes


def text_from(name: str, file: Path | None) -> str:
    """Return what a UTF-8 text file holds; nothing without one. Raises NotFound or InvalidRequest."""
    if file is None:
        return ""
    try:
        return file.read_text(encoding="utf-8")
    except OSError as error:
        raise NotFound(_("{file} can't be read: {error}").format(file=file, error=error)) from error
    except UnicodeDecodeError as error:
        raise InvalidRequest(name, "be UTF-8 text", str(file)) from error


def seeds_from(text: str, batch: int | None) -> tuple[int, ...]:
    """Return one seed a take: those of `text`, then random ones; -1 draws one.

    Without `batch` there are as many takes as seeds. Raises InvalidRequest for text that is no list of whole numbers
    and for more seeds than takes, which would be ignored without a word.
    """
    given = list(_wholes("seeds", text))
    count = batch if batch is not None else max(1, len(given))
    if not 1 <= count <= MAX_BATCH:  # before a list of that length is made
        raise InvalidRequest("batch_size", f"be from 1 to {MAX_BATCH}", count)
    if len(given) > count:
        raise InvalidRequest("seeds", f"be at most {count}, one a take", len(given))
    given += [-1] * (count - len(given))
    return tuple(secrets.randbelow(MAX_SEED + 1) if seed == -1 else seed for seed in given)


def _add_source_arguments(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--source", type=Path, metavar="FILE", help=_("audio to work on"))
    group.add_argument("--start", type=float, metavar="S", help=_("repaint, lego: first second; below 0 extends"))
    group.add_argument("--end", type=float, metavar="S", help=_("repaint, lego: last second; -1 is the source's end"))
    group.add_argument(
        "--region",
        action="append",
        type=_region,
        metavar="A:B",
        help=_("repaint: a region from second A to B, in place of start and end; give it again for further regions"),
    )
    group.add_argument("--track", choices=[*Track], help=_("lego, extract: the track"))
    group.add_argument("--tracks", metavar="a,b", help=_("complete: the tracks to add"))
    group.add_argument("--cover-strength", type=float, metavar="X", help=_("cover: share of steps that follow it"))
    group.add_argument("--noise-strength", type=float, metavar="X", help=_("cover: 0 starts from noise"))
    group.add_argument("--no-codes", action="store_true", help=_("cover: follow latents, not 5 Hz codes"))
    group.add_argument("--repaint-mode", choices=[*RepaintMode], help=_("repaint: hold on the source"))
    group.add_argument("--repaint-strength", type=float, metavar="X", help=_("repaint: 1 lets go of the source"))
    group.add_argument("--codes-file", type=Path, metavar="F", help=_("text2music: 5 Hz codes to follow"))


def _add_sampling_arguments(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--steps", type=int, metavar="N", help=_("diffusion steps"))
    group.add_argument("--shift", type=float, metavar="X", help=_("timestep shift, 1 to 5"))
    group.add_argument("--timesteps", metavar="1,0.5", help=_("noise levels in place of steps and shift"))
    group.add_argument("--method", choices=[*Method], default=Method.ODE, help=_("sampler"))
    group.add_argument("--solver", choices=[*Solver], default=Solver.EULER, help=_("how an ode step is taken"))
    group.add_argument("--guidance-scale", type=float, metavar="X", help=_("1 to 15; base and sft only"))
    group.add_argument("--adg", action="store_true", help=_("adaptive dual guidance; base and sft only"))
    group.add_argument("--cfg-start", type=float, default=0.0, metavar="X", help=_("progress where guidance begins"))
    group.add_argument("--cfg-end", type=float, default=1.0, metavar="X", help=_("progress where guidance stops"))
    group.add_argument("--retake-seeds", default="", metavar="1,2", help=_("other noise to turn towards"))
    group.add_argument("--retake-variance", type=float, metavar="X", help=_("0 the same take, 1 another"))


def _shared(args: argparse.Namespace) -> Shared:
    seeds = seeds_from(args.seeds, args.batch)
    return {
        "caption": args.caption,
        "lyrics": text_from("lyrics_file", args.lyrics_file),
        "instrumental": args.instrumental,
        "vocal_language": args.vocal_language,
        "metas": Metas(
            bpm=args.bpm,
            key_scale=parse_key_scale(args.key) if args.key else None,
            time_signature=args.time_signature,
        ),
        "sampling": _sampling(args, len(seeds)),
        "guidance": Guidance(scale=args.guidance_scale, adg=args.adg, start=args.cfg_start, end=args.cfg_end),
        "output": Output(normalize=not args.no_normalize),
        "reference": args.reference,
        "seeds": seeds,
    }


def _sampling(args: argparse.Namespace, takes: int) -> Sampling:
    retake = None
    if args.retake_variance is not None:
        retake = Retake(seeds=seeds_from(args.retake_seeds, takes), variance=args.retake_variance)
    elif args.retake_seeds:
        raise InvalidRequest("retake_seeds", "come with a retake_variance", args.retake_seeds)
    return Sampling(
        steps=args.steps,
        shift=args.shift,
        timesteps=_levels(args.timesteps),
        method=Method(args.method),
        solver=Solver(args.solver),
        retake=retake,
    )


def _text2music(args: argparse.Namespace) -> Request:
    numbers = _given(args, cover_strength="cover_strength")
    audio_codes = codes_from("codes_file", args.codes_file)
    return TextToMusic(**_shared(args), duration=args.duration, audio_codes=audio_codes, **numbers)


def _given(args: argparse.Namespace, **names: str) -> dict[str, float]:
    """The numbers that were given, by the request's names; the others keep the request's defaults."""
    return {field: getattr(args, name) for field, name in names.items() if getattr(args, name) is not None}


def _cover(args: argparse.Namespace) -> Request:
    numbers = _given(args, strength="cover_strength", noise_strength="noise_strength")
    return Cover(**_shared(args), source=_source(args), quantized=False if args.no_codes else None, **numbers)


def _repaint(args: argparse.Namespace) -> Request:
    mode = RepaintMode.BALANCED if args.repaint_mode is None else RepaintMode(args.repaint_mode)
    numbers = _given(args, repaint_strength="repaint_strength")
    (start, end), *more = _regions(args)
    return Repaint(**_shared(args), source=_source(args), start=start, end=end, more=tuple(more), mode=mode, **numbers)


def _regions(args: argparse.Namespace) -> list[Seconds]:
    """The regions of --region, else the one of --start and --end."""
    if not args.region:
        return [(0.0 if args.start is None else args.start, _end(args))]
    for name in ("start", "end"):
        if getattr(args, name) is not None:
            raise InvalidRequest(name, "be left out where a region is given", getattr(args, name))
    found: list[Seconds] = args.region
    return found


def _region(text: str) -> Seconds:
    """Read A:B; the end -1, or none, is the source's."""
    start, between, end = text.partition(":")
    try:
        if not between:
            raise ValueError
        return float(start), end_of(float(end)) if end else None
    except ValueError:
        raise argparse.ArgumentTypeError(
            _("must be two numbers of seconds such as 3:5.5, got {text}").format(text=text)
        ) from None


def _lego(args: argparse.Namespace) -> Request:
    numbers = _given(args, start="start")
    return Lego(**_shared(args), source=_source(args), track=_track(args), end=_end(args), **numbers)


def _extract(args: argparse.Namespace) -> Request:
    return Extract(**_shared(args), source=_source(args), track=_track(args))


def _complete(args: argparse.Namespace) -> Request:
    names = [name.strip() for name in (args.tracks or "").split(",") if name.strip()]
    for name in names:
        if name not in list(Track):
            raise InvalidRequest("tracks", f"hold only {', '.join(Track)}", name)
    return Complete(**_shared(args), source=_source(args), tracks=tuple(Track(name) for name in names))


_BUILDERS: Mapping[str, Callable[[argparse.Namespace], Request]] = {
    Task.TEXT2MUSIC: _text2music,
    Task.COVER: _cover,
    Task.REPAINT: _repaint,
    Task.LEGO: _lego,
    Task.EXTRACT: _extract,
    Task.COMPLETE: _complete,
}
_ONLY_FOR: Mapping[str, tuple[Task, ...]] = {
    "source": (Task.COVER, Task.REPAINT, Task.LEGO, Task.EXTRACT, Task.COMPLETE),
    "start": (Task.REPAINT, Task.LEGO),
    "end": (Task.REPAINT, Task.LEGO),
    "region": (Task.REPAINT,),
    "track": (Task.LEGO, Task.EXTRACT),
    "tracks": (Task.COMPLETE,),
    "cover_strength": (Task.COVER, Task.TEXT2MUSIC),
    "noise_strength": (Task.COVER,),
    "no_codes": (Task.COVER,),
    "repaint_mode": (Task.REPAINT,),
    "repaint_strength": (Task.REPAINT,),
    "codes_file": (Task.TEXT2MUSIC,),
    "duration": (Task.TEXT2MUSIC,),
}


def _refuse_unused(args: argparse.Namespace) -> None:
    """An argument of another task would be ignored without a word."""
    for name, tasks in _ONLY_FOR.items():
        if args.task not in tasks and getattr(args, name) not in (None, False):
            rule = f"be left out of task {args.task}; it belongs to {', '.join(tasks)}"
            raise InvalidRequest(name, rule, getattr(args, name))


def _source(args: argparse.Namespace) -> Path:
    if args.source is None:
        raise InvalidRequest("source", f"name an audio file for task {args.task}", None)
    return Path(args.source)


def _track(args: argparse.Namespace) -> Track:
    if args.track is None:
        raise InvalidRequest("track", f"be one of {', '.join(Track)}", None)
    return Track(args.track)


def _end(args: argparse.Namespace) -> float | None:
    return None if args.end is None else end_of(args.end)


def _levels(text: str | None) -> tuple[float, ...] | None:
    if text is None:
        return None
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError as error:
        raise InvalidRequest("timesteps", "be numbers with commas between, such as 0.9,0.5,0", text) from error


def _wholes(name: str, text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split(",")) if text.strip() else ()
    except ValueError as error:
        raise InvalidRequest(name, "be whole numbers with commas between, such as 1,2", text) from error
