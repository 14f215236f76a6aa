"""Trains an adapter: stopped after any update and resumed, a run ends as if it had never been stopped.

Nothing random is carried from one micro-batch to the next: order, noise, levels and dropout follow from the seed and
the number of the micro-batch, so weights, optimiser, average and two counters are the whole state.
"""

from __future__ import annotations

import hashlib
import math
import random
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from pickle import UnpicklingError

import torch
from torch import Tensor

from studio.engine.device import peak_memory
from studio.engine.lora.config import FREE, Optimizer, TrainSettings
from studio.engine.lora.examples import Example, collate, order
from studio.engine.lora.layout import CHECKPOINTS, FINAL, STATE, checkpoints
from studio.engine.lora.loss import FlowLoss
from studio.engine.lora.network import Trainable, is_finite, replace_folder
from studio.engine.lora.portable import learnt
from studio.engine.lora.samples import Event, Sampler
from studio.engine.lora.team import Team
from studio.errors import CheckpointError, InvalidRequest

_SMOOTHING = 0.1  # weight of the newest loss


class Ending(StrEnum):
    """How a run came to its end."""

    COMPLETED = "completed"
    STOPPED = "stopped"


@dataclass(slots=True)
class Position:
    """How far a run is."""

    epoch: int = 0  # finished ones
    update: int = 0  # in the epoch
    step: int = 0  # updates in all
    smoothed: float = 0.0


class Training:
    """One run over prepared songs."""

    def __init__(
        self,
        network: Trainable,
        loss: FlowLoss,
        examples: Sequence[Example],
        out: Path,
        *,
        model: str,
        team: Team,
        sampler: Sampler | None = None,
    ) -> None:
        """Start from nothing; `model` is the name of the base, `sampler` makes takes after epochs.

        The batch size is that of each process in the `team`, which counts as one process with a larger batch.
        """
        self.settings = network.settings
        self._network, self._loss, self._out, self._model = network, loss, out, model
        self._team, self._device, self._sampler = team, team.device, sampler
        self._batch = self.settings.batch_size * team.count
        self._train, self._held = _split(examples, self.settings)
        self._names = [f"{example.name} {example.frames}" for example in examples]
        self._optimizer = _optimizer(self.settings, list(network.weights.values()))
        decay = self.settings.ema
        self._average = {name: weight.detach().clone() for name, weight in network.weights.items()} if decay else None
        self.at = Position()

    @property
    def updates(self) -> int:
        """Updates in an epoch."""
        batches = -(-len(self._train) // self._batch)
        return -(-batches // self.settings.accumulation)

    @property
    def total(self) -> int:
        """Updates in the whole run."""
        return self.updates * self.settings.epochs

    def run(self, tell: Callable[[Event], None], stopping: Callable[[], bool]) -> Ending:
        """Train to the end, or until `stopping` after an update; either way a checkpoint and an adapter are saved."""
        self._tell_validation(tell)
        self._sample(tell, stopping)
        started, first = time.monotonic(), self.at.step
        while self.at.epoch < self.settings.epochs:
            batches = order([one.frames for one in self._train], self._batch, self.settings.seed, self.at.epoch)
            size = self.settings.accumulation
            while self.at.update < self.updates:
                if self._team.any(stopping()):
                    self._keep(f"step_{self.at.step}", tell)
                    return Ending.STOPPED
                event = self.update(batches[self.at.update * size : (self.at.update + 1) * size])
                pace = (time.monotonic() - started) / (self.at.step - first)
                tell(event | {"seconds_left": round(pace * (self.total - self.at.step), 1)})
                if self.settings.save_steps and self.at.step % self.settings.save_steps == 0:
                    self._keep(f"step_{self.at.step}", tell)
            self.at.epoch, self.at.update = self.at.epoch + 1, 0
            self._tell_validation(tell)
            if self.at.epoch % self.settings.save_every == 0 or self.at.epoch == self.settings.epochs:
                self._keep(f"epoch_{self.at.epoch}", tell)
            self._sample(tell, stopping)
        check_adapter(self.weights)
        if self._team.leads:
            self._finish(tell)
        return Ending.COMPLETED

    def _finish(self, tell: Callable[[Event], None]) -> None:
        folder = self._out / FINAL
        partial = folder.with_name(f".{FINAL}.partial")
        self._network.save(partial / "adapter", self.weights, self._model)
        replace_folder(partial, folder)
        tell({"event": "saved", "path": str(folder)})

    def _keep(self, name: str, tell: Callable[[Event], None]) -> None:
        if self._team.leads:
            tell({"event": "saved", "path": str(self.save(name))})

    @property
    def weights(self) -> Mapping[str, Tensor]:
        """The adapter's weights that are to be used: the average where there is one."""
        return self._average or self._network.weights

    def save(self, name: str) -> Path:
        """Write a checkpoint: an adapter to use and the state to go on from; old ones beyond `keep` are removed."""
        folder = self._out / CHECKPOINTS / name
        partial = folder.with_name(f".{name}.partial")
        shutil.rmtree(partial, ignore_errors=True)
        self._network.save(partial / "adapter", self.weights, self._model)
        state = {
            "epoch": self.at.epoch,
            "global_step": self.at.step,
            "update": self.at.update,
            "smoothed": self.at.smoothed,
            "optimizer_state_dict": self._optimizer.state_dict(),
            "weights": {key: value.detach() for key, value in self._network.weights.items()},
            "average": self._average,
            "settings": self._fixed(),
            "data": self._names,
            "model": self._model,
        }
        torch.save(state, partial / STATE)
        replace_folder(partial, folder)
        for old in checkpoints(self._out)[: -self.settings.keep]:
            shutil.rmtree(old)
        return folder

    def resume(self, folder: Path) -> None:
        """Go on from a checkpoint.

        Raises InvalidRequest when settings, songs or model differ, CheckpointError when it is damaged.
        """
        try:
            state = torch.load(folder / STATE, map_location="cpu", weights_only=True)
        except (OSError, RuntimeError, EOFError, UnpicklingError) as error:
            raise CheckpointError(f"{folder / STATE} can't be read: {error}") from error
        for name, mine in {"model": self._model, "data": self._names, "settings": self._fixed()}.items():
            if state.get(name) != mine:
                raise InvalidRequest("resume", f"be a run with the same {name} ({mine})", state.get(name))
        if set(state["weights"]) != set(self._network.weights):
            raise CheckpointError(f"{folder / STATE} holds other layers than this run trains")
        with torch.no_grad():
            for name, weight in self._network.weights.items():
                weight.copy_(state["weights"][name])
            for name, average in (self._average or {}).items():
                average.copy_(state["average"][name])
        self._optimizer.load_state_dict(state["optimizer_state_dict"])
        self.at = Position(state["epoch"], state["update"], state["global_step"], state["smoothed"])
        if self.at.update >= self.updates:
            self.at.epoch, self.at.update = self.at.epoch + 1, 0

    def validation_loss(self) -> float | None:
        """Return the loss of the held-out songs with the same noise every time; None without any."""
        if not self._held:
            return None
        self._network.use(training=False)
        total = 0.0
        with torch.no_grad(), self._averaged():
            for number, example in enumerate(self._held):
                batch = collate([example], self.settings.crop_frames).to(self._device)
                for level in range(8):
                    generator = torch.Generator().manual_seed(_seed(self.settings.seed, "held", number, level))
                    total += float(self._loss(batch, generator, dropping=False)) / 8
        return total / len(self._held)

    def update(self, batches: Sequence[Sequence[int]]) -> Event:
        """Do one update over micro-batches of songs, by their places; the loss told is their mean."""
        settings, losses, place = self.settings, list[float](), self._team.place
        weights = list(self._network.weights.values())
        self._network.use(training=True)
        self._optimizer.zero_grad(set_to_none=True)
        for number, places in enumerate(batches):
            seed = _seed(settings.seed, self.at.step, number)
            if place >= len(places):
                continue  # the last batch of an epoch may be too small for all
            torch.manual_seed(_seed(seed, place) if place else seed)  # dropout's
            chance = random.Random(seed)
            batch = collate([self._train[one] for one in places], settings.crop_frames, chance).to(self._device)
            loss = self._loss(batch, torch.Generator().manual_seed(seed), rows=self._team.rows)
            (loss / len(batches)).backward()  # type: ignore[no-untyped-call]  # torch's own
            losses.append(float(loss.detach()))
        mean = self._team.add_up(weights, sum(losses) / len(batches))
        norm = float(torch.nn.utils.clip_grad_norm_(weights, settings.clip_norm))
        rate = settings.rate(self.at.step, self.total)
        skipped = not math.isfinite(norm)
        if not skipped:
            for group in self._optimizer.param_groups:
                group["lr"] = rate
            self._optimizer.step()
            self._follow()
            self.at.smoothed = (
                mean if not self.at.smoothed else self.at.smoothed + _SMOOTHING * (mean - self.at.smoothed)
            )
        self.at.update, self.at.step = self.at.update + 1, self.at.step + 1
        return {
            "event": "step",
            "epoch": self.at.epoch + 1,
            "epochs": settings.epochs,
            "step": self.at.step,
            "steps": self.total,
            "loss": mean,
            "smoothed": self.at.smoothed,
            "learning_rate": rate,
            "grad_norm": norm,
            "skipped": skipped,
            "vram_gb": peak_memory(self._device),
        }

    def _fixed(self) -> dict[str, object]:
        """The settings a resumed run must share; with other epochs the learning rate decays to another end."""
        row = self.settings.as_row() | {"batch_size": self._batch}
        return {key: value for key, value in row.items() if key not in FREE}

    @torch.no_grad()
    def _follow(self) -> None:
        for name, average in (self._average or {}).items():
            average.lerp_(self._network.weights[name], 1 - self.settings.ema)

    def _averaged(self) -> _Swapped:
        return _Swapped(self._network.weights, self._average or {})

    def _tell_validation(self, tell: Callable[[Event], None]) -> None:
        loss = self.validation_loss() if self._team.leads else None
        if loss is not None:
            tell({"event": "validation", "epoch": self.at.epoch, "step": self.at.step, "loss": loss})

    def _sample(self, tell: Callable[[Event], None], stopping: Callable[[], bool]) -> None:
        """Make the takes that are due; they change nothing of what comes after, for that follows from its own seeds."""
        if self._sampler is not None and not self.at.update:
            with self._averaged():
                self._sampler.make(self.at.epoch, self.at.step, tell, stopping)


class _Swapped:
    """Has other weights in place inside a block."""

    def __init__(self, weights: Mapping[str, Tensor], others: Mapping[str, Tensor]) -> None:
        self._weights, self._others = weights, others
        self._own: dict[str, Tensor] = {}

    def __enter__(self) -> None:
        for name, other in self._others.items():
            self._own[name] = self._weights[name].data
            self._weights[name].data = other

    def __exit__(self, *_error: object) -> None:
        for name, own in self._own.items():
            self._weights[name].data = own


def check_adapter(weights: Mapping[str, Tensor]) -> None:
    """Raise CheckpointError when an adapter holds numbers that are none, or changes nothing."""
    if not is_finite(weights):
        raise CheckpointError("the trained weights are not finite; try a lower learning rate")
    if not learnt(weights):
        raise CheckpointError("the trained weights are all zero: nothing was learnt")


def _seed(*parts: object) -> int:
    return int(hashlib.sha256(" ".join(map(str, parts)).encode()).hexdigest()[:15], 16)


def _split(examples: Sequence[Example], settings: TrainSettings) -> tuple[list[Example], list[Example]]:
    """Training songs and held-out ones; at least one stays for each when any are held out."""
    count = max(1, int(len(examples) * settings.validation)) if settings.validation else 0
    if count >= len(examples):
        raise InvalidRequest("validation", f"leave songs to train on; there are {len(examples)}", settings.validation)
    places = list(range(len(examples)))
    random.Random(settings.seed).shuffle(places)
    held = set(places[:count])
    return [one for place, one in enumerate(examples) if place not in held], [examples[place] for place in sorted(held)]


def _optimizer(settings: TrainSettings, weights: list[torch.nn.Parameter]) -> torch.optim.Optimizer:
    """Make the optimiser; a library that is missing is an error, never another optimiser."""
    rate, decay = settings.learning_rate, settings.weight_decay
    if settings.optimizer is Optimizer.ADAFACTOR:
        return torch.optim.Adafactor(weights, lr=rate, weight_decay=decay)
    if settings.optimizer is Optimizer.ADAMW8BIT:
        from torchao.optim import AdamW8bit

        return AdamW8bit(weights, lr=rate, weight_decay=decay)  # type: ignore[no-any-return]
    return torch.optim.AdamW(weights, lr=rate, weight_decay=decay)
