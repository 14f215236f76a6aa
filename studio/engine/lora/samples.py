"""Takes of fixed prompts and seeds while an adapter is trained, beside those of the bare model.

samples/index.json      what was asked, and the takes: epoch, prompt, file
samples/base_0.flac     prompt 0 without the adapter, made once
samples/epoch_10_0.flac
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from studio.engine.audio.io import write_audio
from studio.engine.dataset.files import write_json
from studio.engine.engine import Engine
from studio.engine.lora.network import Trainable
from studio.engine.requests import AudioFormat, TextToMusic
from studio.errors import CheckpointError, OutOfMemory, SilentOutput

SAMPLES, INDEX = "samples", "index.json"
BASE_EPOCH = 0
Event = dict[str, object]


@dataclass(frozen=True, slots=True)
class Wish:
    """One take that is to be made; epoch 0 is the bare model's."""

    epoch: int
    prompt: int

    @property
    def file(self) -> str:
        """Its name in the folder of samples."""
        return f"{f'epoch_{self.epoch}' if self.epoch else 'base'}_{self.prompt}.flac"


class Sampler:
    """Makes the takes of one run with the model that is being trained."""

    def __init__(self, engine: Engine, network: Trainable, out: Path) -> None:
        """`engine` plays the same DiT that `network` trains; takes made with other prompts or seeds are left out."""
        self._engine, self._network, self._folder = engine, network, out / SAMPLES
        self._settings = network.settings
        self._takes = _known(self._folder, self._asked())

    def make(self, epoch: int, step: int, tell: Callable[[Event], None], stopping: Callable[[], bool]) -> None:
        """Make what is due after `epoch` epochs and is not there; `tell` hears of each take, or why there is none."""
        for wish in self._due(epoch):
            if stopping():
                return
            row: Event = {"epoch": wish.epoch, "step": step if wish.epoch else 0, "prompt": wish.prompt}
            row |= self._play(wish)
            self._takes.append(row)
            write_json(self._folder / INDEX, self._asked() | {"takes": self._takes})
            path = {"path": str(self._folder / wish.file)} if "file" in row else {}
            tell({"event": "sample", "base": not wish.epoch} | row | path)

    def _due(self, epoch: int) -> list[Wish]:
        every, prompts = self._settings.sample_every, range(len(self._settings.prompts))
        if not every:
            return []
        epochs = [BASE_EPOCH]
        if epoch and (epoch % every == 0 or epoch == self._settings.epochs):
            epochs.append(epoch)
        made = {(row["epoch"], row["prompt"]) for row in self._takes}
        return [Wish(one, prompt) for one in epochs for prompt in prompts if (one, prompt) not in made]

    def _play(self, wish: Wish) -> Event:
        settings = self._settings
        request = TextToMusic(
            caption=settings.prompts[wish.prompt],
            lyrics=settings.sample_lyrics,
            instrumental=not settings.sample_lyrics.strip(),
            duration=settings.sample_seconds,
            seeds=(settings.sample_seed,),
        )
        self._network.use(training=False)
        try:
            with self._network.bare() if not wish.epoch else _as_it_is():
                take = self._engine.generate(request)[0]
        except (SilentOutput, OutOfMemory) as error:  # a take that fails is no reason to lose the training
            return {"fault": str(error)}
        self._folder.mkdir(parents=True, exist_ok=True)
        partial = self._folder / f".partial_{wish.file}"
        write_audio(partial, take.audio, take.sample_rate, AudioFormat.FLAC)
        partial.replace(self._folder / wish.file)
        return {"file": wish.file}

    def _asked(self) -> Event:
        settings = self._settings
        return {
            "prompts": list(settings.prompts),
            "lyrics": settings.sample_lyrics,
            "seconds": settings.sample_seconds,
            "seed": settings.sample_seed,
        }


@contextmanager
def _as_it_is() -> Iterator[None]:
    yield


def _known(folder: Path, asked: Event) -> list[Event]:
    """The takes of an earlier part of the run that were asked for as now."""
    try:
        content = json.loads((folder / INDEX).read_text(encoding="utf-8"))
        takes = list(content.pop("takes"))
    except FileNotFoundError:
        return []
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError(f"{folder / INDEX} is damaged: {error}") from error
    return takes if content == asked else []
