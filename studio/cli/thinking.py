"""The arguments that say which language model helps and how, shared by `studio generate` and `studio lm`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from studio.cli.text import _
from studio.config import Settings
from studio.engine.lm.backend import BackendName
from studio.engine.lm.prompts import NO_INPUT
from studio.engine.lm.requests import Draw, Guidance
from studio.engine.run import Run
from studio.engine.thinking import Thinking
from studio.errors import InvalidRequest

if TYPE_CHECKING:  # needs torch, which only running a model does
    from studio.engine.lm.planner import Planner

AUTO = "auto"
_DRAW = Draw()
_UNUSED = (  # of `studio generate` without --think
    "lm lm_backend lm_fallback no_lm_codes no_cot_metas no_cot_caption no_cot_language formatted lm_one_by_one "
    "lm_chunk_size lm_debug lm_temperature lm_top_k lm_top_p lm_repetition_penalty lm_cfg_scale lm_negative_prompt"
).split()


def add_think_arguments(group: argparse._ArgumentGroup) -> None:
    """Add --think and everything that goes with it."""
    group.add_argument("--think", action="store_true", help=_("let the 5 Hz language model plan the song first"))
    group.add_argument("--lm", metavar="NAME", help=_("language model, a name or a folder (default: the first found)"))
    add_model_arguments(group, prefix="--lm-")
    group.add_argument("--no-lm-codes", action="store_true", help=_("plan facts and caption, no audio codes"))
    group.add_argument("--no-cot-metas", action="store_true", help=_("choose no facts, caption or language"))
    group.add_argument("--no-cot-caption", action="store_true", help=_("leave the caption as it is"))
    group.add_argument("--no-cot-language", action="store_true", help=_("leave the language open"))
    group.add_argument("--formatted", action="store_true", help=_("the texts come from `studio lm format` already"))
    add_batch_arguments(group)
    add_sampling_arguments(group, prefix="--lm-", guided=True)


def add_model_arguments(group: argparse._ArgumentGroup, *, prefix: str = "--") -> None:
    """Add what says how the language model runs."""
    group.add_argument(
        f"{prefix}backend", dest="lm_backend", choices=[*BackendName], help=_("how it runs (default: the settings')")
    )
    group.add_argument(
        "--lm-fallback", action="store_true", help=_("use pt where the backend asked for can't be used, and say so")
    )


def add_batch_arguments(group: argparse._ArgumentGroup) -> None:
    """Add what says how many takes are written at once."""
    group.add_argument("--lm-one-by-one", action="store_true", help=_("finish one take before the next is begun"))
    group.add_argument("--lm-chunk-size", type=int, metavar="N", help=_("takes at once, 1 to 32 (default 8)"))


def add_sampling_arguments(group: argparse._ArgumentGroup, *, prefix: str = "--", guided: bool = False) -> None:
    """Add how tokens are drawn; `guided` adds guidance and its negative prompt."""

    def number(name: str, kind: type[int] | type[float], metavar: str, words: str) -> None:
        group.add_argument(
            f"{prefix}{name}", dest=f"lm_{name.replace('-', '_')}", type=kind, metavar=metavar, help=words
        )

    number("temperature", float, "X", _("0 to 2; 0 always takes the likeliest (default 0.85)"))
    number("top-k", int, "N", _("draw from the likeliest N only; 0 is off"))
    number("top-p", float, "X", _("draw from the likeliest share only; 1 is off (default 0.9)"))
    number("repetition-penalty", float, "X", _("above 1 makes repetition less likely"))
    if guided:
        number("cfg-scale", float, "X", _("how strongly codes follow the prompt; 1 is off (default 2)"))
        group.add_argument(
            f"{prefix}negative-prompt", dest="lm_negative_prompt", metavar="TEXT", help=_("what codes move away from")
        )
    group.add_argument("--lm-debug", action="store_true", help=_("keep a line for every token, in --json"))


def thinking_from(args: argparse.Namespace) -> Thinking | None:
    """Return what is asked of the language model, None without --think; an argument it would ignore is refused."""
    if args.think:
        return Thinking(
            codes=not args.no_lm_codes,
            metas=not args.no_cot_metas,
            caption=not args.no_cot_caption,
            language=not args.no_cot_language,
            formatted=args.formatted,
            draw=draw_from(args),
            guidance=guidance_from(args),
            parallel=not args.lm_one_by_one,
            chunk_size=8 if args.lm_chunk_size is None else args.lm_chunk_size,
            debug=args.lm_debug,
        )
    for name in _UNUSED:
        if getattr(args, name) not in (None, False):
            raise InvalidRequest(name, "come with --think", getattr(args, name))
    return None


def draw_from(args: argparse.Namespace) -> Draw:
    """Return how tokens are drawn; InvalidRequest names the first rule that is broken."""
    return Draw(
        temperature=_DRAW.temperature if args.lm_temperature is None else args.lm_temperature,
        top_k=_DRAW.top_k if args.lm_top_k is None else args.lm_top_k,
        top_p=_DRAW.top_p if args.lm_top_p is None else args.lm_top_p,
        repetition_penalty=(
            _DRAW.repetition_penalty if args.lm_repetition_penalty is None else args.lm_repetition_penalty
        ),
    )


def guidance_from(args: argparse.Namespace) -> Guidance:
    """Return how strongly codes follow the prompt."""
    return Guidance(
        scale=2.0 if args.lm_cfg_scale is None else args.lm_cfg_scale,
        negative_prompt=NO_INPUT if args.lm_negative_prompt is None else args.lm_negative_prompt,
    )


def load_lm(args: argparse.Namespace, settings: Settings, run: Run) -> Planner:
    """Load the language model of the arguments, else of the settings, else the first found, and torch with it."""
    from studio.engine.lm.checkpoint import choose_lm, resolve_lm

    dirs: list[Path] = [settings.models_dir, settings.checkpoints_dir]
    name = args.lm or settings.lm
    folder = resolve_lm(choose_lm(dirs) if name in ("", AUTO) else name, dirs)
    from studio.engine.lm.planner import Planner  # here, after what is quickly refused

    return Planner.load(
        folder,
        backend=args.lm_backend or settings.lm_backend,
        device=settings.device,
        fallback=args.lm_fallback or settings.lm_fallback == "on",
        url=settings.lm_url,
        api_key=settings.lm_api_key,
        run=run,
    )
