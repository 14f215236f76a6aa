"""`studio train`: an adapter from prepared songs, with one JSON object a line on stdout."""

from __future__ import annotations

import argparse
import signal
import sys
from dataclasses import fields
from pathlib import Path

from studio.cli.dataset import line
from studio.cli.launching import launch
from studio.cli.text import Commands, _
from studio.config import load_settings
from studio.errors import InvalidRequest

_NUMBERS = {
    "rank": int,
    "alpha": int,
    "dropout": float,
    "learning_rate": float,
    "epochs": int,
    "batch_size": int,
    "accumulation": int,
    "warmup_steps": int,
    "weight_decay": float,
    "clip_norm": float,
    "shift": float,
    "condition_dropout": float,
    "ema": float,
    "validation": float,
    "factor": int,
    "save_every": int,
    "save_steps": int,
    "sample_every": int,
    "sample_seconds": float,
    "sample_seed": int,
    "keep": int,
    "crop_frames": int,
    "seed": int,
}
_CHOICES = {
    "adapter": ("lora", "lokr", "loha"),
    "attention": ("both", "self", "cross"),
    "optimizer": ("adamw", "adamw8bit", "adafactor"),
    "decay": ("cosine", "linear", "constant"),
    "timesteps": ("discrete", "logit_normal", "uniform"),
}


def add_to(commands: Commands[argparse.ArgumentParser]) -> None:
    """Add train to the command line."""
    parser = commands.add_parser("train", help=_("train an adapter; Ctrl-C finishes the update and saves"))
    parser.add_argument("tensors", type=Path, metavar="FOLDER", help=_("what `studio dataset preprocess` wrote"))
    parser.add_argument("--model", required=True, metavar="NAME")
    parser.add_argument("--out", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--config", type=Path, metavar="JSON", help=_("training settings; arguments win over it"))
    parser.add_argument("--resume", metavar="FOLDER", help=_("a checkpoint's folder, or latest"))
    parser.add_argument(
        "--processes", type=int, default=1, metavar="N", help=_("each on a GPU of its own, with a batch of its own")
    )
    parser.add_argument("--device", default="auto", metavar="D")
    parser.add_argument("--dtype", default="auto", metavar="T")
    group = parser.add_argument_group(_("training"))
    for name, kind in _NUMBERS.items():
        group.add_argument(f"--{name.replace('_', '-')}", type=kind, metavar="N")
    for name, choices in _CHOICES.items():
        group.add_argument(f"--{name}", choices=choices)
    group.add_argument("--targets", metavar="a,b", help=_("q_proj, k_proj, v_proj, o_proj, gate_proj and so on"))
    group.add_argument("--checkpointing", action="store_true", default=None, help=_("slower, with less memory"))
    group.add_argument("--decompose-both", action="store_true", default=None, help=_("LoKr: a smaller adapter"))
    group.add_argument("--weight-decompose", action="store_true", default=None, help=_("LoRA: as DoRA"))
    group.add_argument(
        "--prompt", action="append", dest="prompts", metavar="TEXT", help=_("a take of it while training")
    )
    group.add_argument("--sample-lyrics", metavar="TEXT")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Train until the end or a signal; 0 either way, for what is there is saved and the last line says which."""
    from torch.distributed import is_torchelastic_launched

    from studio.engine.checkpoint import resolve
    from studio.engine.lora.board import Board
    from studio.engine.lora.config import TrainSettings, read_settings, settings_of
    from studio.engine.lora.layout import checkpoints
    from studio.engine.lora.session import TrainingJob, train

    row = read_settings(args.config) if args.config else {}
    given = {item.name: getattr(args, item.name) for item in fields(TrainSettings)}
    if args.targets is not None:
        given["targets"] = [name.strip() for name in args.targets.split(",")]
    settings = settings_of(row | {name: value for name, value in given.items() if value is not None})
    resume = Path(args.resume) if args.resume else None
    if args.resume == "latest":
        found = checkpoints(args.out)
        if not found:
            raise InvalidRequest("resume", f"be left out; {args.out} holds no checkpoint yet", args.resume)
        resume = found[-1]
    if args.processes < 1:
        raise InvalidRequest("processes", "be at least 1", args.processes)
    if args.processes > 1 and not is_torchelastic_launched():
        return launch(args.processes, sys.argv[1:])
    places = load_settings()
    job = TrainingJob(
        checkpoint=resolve(args.model, (places.models_dir, places.checkpoints_dir)),
        tensors=args.tensors,
        out=args.out,
        settings=settings,
        resume=resume,
        device=args.device,
        dtype=args.dtype,
    )
    asked: list[int] = []
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda received, _frame: asked.append(received))
    with Board(args.out) as board:

        def tell(event: dict[str, object]) -> None:
            line(**event)
            board.hear(event)

        train(job, tell, lambda: bool(asked))
    return 0
