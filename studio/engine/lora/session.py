"""One training run from a checkpoint's folder to an adapter's, with the record of what went into it."""

from __future__ import annotations

import gc
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from studio.engine.checkpoint import Checkpoint
from studio.engine.dataset.files import write_json
from studio.engine.device import choose_device, choose_dtype, name_of
from studio.engine.engine import Engine
from studio.engine.loaded import hold
from studio.engine.lora.card import card_of
from studio.engine.lora.config import TrainSettings
from studio.engine.lora.examples import Example, read_examples
from studio.engine.lora.layout import CARD, FINAL, checkpoints
from studio.engine.lora.loss import FlowLoss, describe
from studio.engine.lora.network import Trainable
from studio.engine.lora.samples import Event, Sampler
from studio.engine.lora.team import Team
from studio.engine.lora.train import Ending, Training
from studio.engine.memory import MemoryPlan
from studio.engine.run import Run
from studio.engine.setup import Setup
from studio.errors import InvalidRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingJob:
    """What is trained on what, and where to."""

    checkpoint: Checkpoint
    tensors: Path
    out: Path
    settings: TrainSettings
    resume: Path | None = None
    device: str = "auto"
    dtype: str = "auto"


def train(job: TrainingJob, tell: Callable[[Event], None], stopping: Callable[[], bool]) -> Ending:
    """Do the job; `tell` hears every update, `stopping` is asked after each.

    Raises InvalidRequest (also when `out` holds another run), CheckpointError, NotFound.
    """
    if job.resume is None and (checkpoints(job.out) or (job.out / FINAL).exists()):
        raise InvalidRequest("out", "be a new folder, or be resumed: it holds a run already", str(job.out))
    examples, team = read_examples(job.tensors), Team(choose_device(job.device))
    training, card = _training(job, examples, team)
    if job.resume is not None:
        training.resume(job.resume)
    if team.leads:
        write_json(job.out / CARD, card)
    told = tell if team.leads else _silent
    counts = {"songs": len(examples), "steps": training.total, "at": training.at.step, "processes": team.count}
    told({"event": "started", **counts, "settings": card["settings"]})
    ending = training.run(told, stopping)
    told({"event": "ended", "status": ending.value, "step": training.at.step, "out": str(job.out)})
    team.leave()
    return ending


def _silent(_event: Event) -> None:
    """What the processes beside the first one tell."""


def _training(job: TrainingJob, examples: list[Example], team: Team) -> tuple[Training, Event]:
    from studio.engine.loader import load_components  # here, because it costs eight seconds

    device = team.device
    dtype = choose_dtype(job.dtype, device)
    if dtype is torch.float16:
        raise InvalidRequest("dtype", "be bfloat16 or float32 for training; float16 overflows", name_of(dtype))
    parts = load_components(job.checkpoint, device=device, dtype=dtype, run=Run(), home=torch.device("cpu"))
    dit, null = parts.transformer, parts.condition_encoder.null_condition_emb.detach().clone()
    spec = job.checkpoint.spec
    engine = None
    if job.settings.sample_every and team.leads:
        plan = MemoryPlan(offload=device.type != "cpu", offload_dit=False, int8=False)
        engine = Engine(hold(spec, parts, Setup(device=job.device, dtype=job.dtype), plan))
    else:
        torch.nn.Module.to(dit, device)  # diffusers' own method has lost its types
    del parts
    gc.collect()  # the other parts are not trained
    _check_widths(examples, dit.config["audio_acoustic_hidden_dim"], null.shape[-1])
    torch.manual_seed(job.settings.seed)
    network = Trainable(dit, job.settings)
    loss = FlowLoss(network, null, spec.defaults)
    sampler = Sampler(engine, network, job.out) if engine else None
    training = Training(network, loss, examples, job.out, model=spec.name, team=team, sampler=sampler)
    card: Event = {
        "settings": describe(loss, job.settings) | {"warmup_steps": job.settings.warmup(training.total)},
        "parameters": sum(weight.numel() for weight in network.weights.values()),
        "processes": team.count,
        **card_of(job.checkpoint, job.tensors, examples, {"device": str(device), "dtype": name_of(dtype)}),
    }
    return training, card


def _check_widths(examples: list[Example], latents: int, states: int) -> None:
    for example in examples:
        got = (example.latents.shape[1], example.states.shape[1])
        if got != (latents, states):
            rule = (
                f"be prepared with a model of this kind (latents {latents} wide, conditions {states}): {example.name}"
            )
            raise InvalidRequest("tensors", rule, list(got))
