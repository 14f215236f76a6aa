"""What every part works with: the models, the held-out songs, what a user would ask for, and perfect audio."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TypeVar

import numpy as np
import soxr
from numpy.typing import NDArray

from mini import data
from mini.composer import Song, caption_of, draw_song, lyrics_of, render
from mini.composer.kit import RATE
from mini.evaluation.hearing import Heard, listen
from mini.evaluation.instruments import trained
from studio.engine.audio.io import read_audio, write_audio
from studio.engine.engine import Engine
from studio.engine.requests import AudioFormat, Metas, Output, Request, Task, TextToMusic
from studio.engine.sampling import Guidance

Audio = NDArray[np.float32]
Values = NDArray[np.float64]
Item = TypeVar("Item")

MODELS = Path("data/models")
FIRST = data.HELD_OUT + 1000  # seed of the first song asked for
PLAIN = Output(normalize=False)  # stems and edits are compared with what they are made of, level and all


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """How much is measured and on what."""

    count: int = 50
    seconds: float = 10.0
    models: Path = MODELS
    turbo: str = "acestep-mini-turbo"
    base: str = "acestep-mini-base"
    device: str = "cpu"
    guidance: float | None = None  # scale of the base model; None takes its family's default
    folder: Path  # for the sources of edits

    def some(self, share: float) -> int:
        """A share of `count`, at least two."""
        return max(2, round(self.count * share))


@dataclass(slots=True)
class Player:
    """One loaded model and how long its takes took."""

    engine: Engine
    guidance: Guidance
    took: list[float] = field(default_factory=list)  # seconds

    @property
    def offers(self) -> tuple[Task, ...]:
        """The tasks this checkpoint says it was trained for."""
        return self.engine.spec.defaults.tasks

    @property
    def about(self) -> str:
        """Its name, steps and guidance."""
        defaults = self.engine.spec.defaults
        scale = self.guidance.scale or defaults.guidance_scale
        guided = f"guidance {scale:g}" if defaults.guided else "no guidance"
        return f"{self.engine.spec.name}, {defaults.steps} steps, {guided}"

    def play(self, request: Request) -> Audio:
        """The first take of `request` `[2, samples]` at 24 kHz."""
        started = time.perf_counter()
        take = self.engine.generate(request)[0]
        self.took.append(time.perf_counter() - started)
        return at_rate(take.audio, take.sample_rate)


@lru_cache(maxsize=2)
def player(name: str, setting: Setting) -> Player:
    """Load a model, once a process."""
    engine = Engine.load(name, device=setting.device, dirs=[setting.models])
    guided = engine.spec.defaults.guided
    return Player(engine, Guidance(scale=setting.guidance if guided else None))


def at_rate(audio: Audio, rate: int) -> Audio:
    """Stereo `audio` at the composer's rate."""
    if rate == RATE:
        return audio
    resampled: Audio = soxr.resample(audio.T, rate, RATE).T
    return np.ascontiguousarray(resampled)


def held_out(count: int, skip: int = 0) -> list[Song]:
    """Songs that no training ever sees; parts that must not share songs skip different numbers of them."""
    return [draw_song(FIRST + skip + number) for number in range(count)]


def caption_for(song: Song) -> str:
    """The one wording the evaluation uses for a song."""
    return caption_of(song, np.random.default_rng((song.seed, 9)))


def metas_of(song: Song) -> Metas:
    """Tempo, key and metre as fields."""
    return Metas(bpm=song.bpm, key_scale=song.key_scale, time_signature=str(song.metre))


def request_of(song: Song, seconds: float, seed: int, guidance: Guidance | None = None) -> TextToMusic:
    """The song as a user would ask for it: a caption, its words, and tempo, key and metre as fields."""
    words = lyrics_of(song, seconds)
    return TextToMusic(
        caption=caption_for(song),
        lyrics=words,
        instrumental=not words,
        metas=metas_of(song),
        duration=seconds,
        guidance=guidance or Guidance(),
        seeds=(seed,),
    )


@lru_cache(maxsize=8)
def rendered(song: Song, seconds: float) -> tuple[dict[str, Audio], Audio]:
    """The composer's own stems and mix; a song is often needed twice in a row, but ten seconds take ten megabytes."""
    return render(song, seconds)


@lru_cache(maxsize=1024)
def perfect(song: Song, seconds: float) -> tuple[Heard, Values]:
    """What the estimators say of the composer's own audio: measures and instrument scores."""
    mix = rendered(song, seconds)[1]
    return listen(mix), trained().scores(mix)


def as_file(audio: Audio, name: str, setting: Setting) -> tuple[Path, Audio]:
    """Write a source for an edit; gives its path and the samples the engine will read."""
    path = setting.folder / f"{name}.wav"
    write_audio(path, audio, RATE, AudioFormat.WAV)
    return path, read_audio(path)[0]


def turned(items: Iterable[Item], by: int = 7) -> list[Item]:
    """The items in an order in which nobody keeps his place: whose prompt a control uses."""
    order = list(items)
    by = by % len(order) or 1
    return order[by:] + order[:by]
