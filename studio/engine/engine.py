"""The engine: loads one checkpoint and makes music with it. Plain Python and torch; one thread at a time."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from studio.engine.audio.shape import Audio, level
from studio.engine.checkpoint import resolve
from studio.engine.conditioning import REFERENCE_SECONDS, embed, encode_condition, silence
from studio.engine.denoise import denoise
from studio.engine.device import AUTO, choose_device, choose_dtype, name_of, release, synchronize, within_memory
from studio.engine.effective import Effective, fill, settings
from studio.engine.model_spec import ModelSpec
from studio.engine.prompts import Prompt
from studio.engine.requests import TextToMusic, settings_of
from studio.engine.results import Take
from studio.engine.run import Phase, Run
from studio.engine.samplers import draw_noise
from studio.engine.schedule import noise_levels
from studio.engine.tasks import Conditions, text2music_context
from studio.engine.vae import chunk_frames, decode, tiles
from studio.errors import ModelNotReady

if TYPE_CHECKING:  # takes eight seconds to import; `load` does
    from studio.engine.loader import Components

_LESS_WORK = "a smaller batch, a shorter duration or a smaller checkpoint"
_SMALLER_MODEL = "a smaller checkpoint, closing other programs that use this device, or device cpu"


class Engine:
    """One loaded checkpoint; `spec`, `device` and `dtype` say which and how."""

    def __init__(self, spec: ModelSpec, components: Components) -> None:
        self.spec = spec
        self.device = str(components.device)
        self.dtype = name_of(components.dtype)
        self._components: Components | None = components

    @classmethod
    def load(
        cls,
        path_or_name: str | Path,
        *,
        device: str = AUTO,
        dtype: str = AUTO,
        dirs: Iterable[Path] = (),
        run: Run | None = None,
    ) -> Engine:
        """Load the checkpoint at a path, or the one of that name inside `dirs`.

        Raises NotFound, CheckpointError, InvalidRequest (no such device or dtype), OutOfMemory or Cancelled.
        """
        place = choose_device(device)
        kind = choose_dtype(dtype, place)
        info = resolve(path_or_name, dirs)
        from studio.engine.loader import load_components  # here, because it costs eight seconds

        def work() -> Components:
            return load_components(info, device=place, dtype=kind, run=run or Run())

        return cls(info.spec, within_memory(place, work, _SMALLER_MODEL))

    def generate(self, request: TextToMusic, run: Run | None = None) -> list[Take]:
        """Make one take for each seed of `request`.

        Raises InvalidRequest when this checkpoint can't do it, ModelNotReady after `unload`, Cancelled, SilentOutput,
        OutOfMemory.
        """
        effective = fill(request, self.spec)
        place = self._loaded.device
        return within_memory(place, lambda: self._make(request, effective, run or Run()), _LESS_WORK)

    @torch.inference_mode()
    def _make(self, request: TextToMusic, effective: Effective, run: Run) -> list[Take]:
        watch = _Stopwatch(self._loaded.device)
        run.step(Phase.PREPARING, 0, 1)
        conditions = self.encode(effective.prompt(request), effective.frames)
        noise = self.prepare_noise(request.seeds, effective.frames)
        watch.lap("encode")
        latents = self.denoise(noise, conditions, effective, run)
        watch.lap("denoise")
        filled = settings(request, effective, self.spec, self.device, self.dtype, conditions.notes)
        takes = []
        for seed, audio in zip(request.seeds, self.decode(latents, effective.duration, run), strict=True):
            watch.lap("decode")
            takes.append(
                Take(
                    audio=audio,
                    sample_rate=self.spec.sound.sample_rate,
                    seed=seed,
                    requested=settings_of(request),
                    effective=filled,
                    timings=watch.timings(),
                )
            )
        return takes

    def encode(self, prompt: Prompt, frames: int) -> Conditions:
        """Return what steers the DiT through `frames` latent frames, once for the whole batch."""
        parts = self._loaded
        texts = embed(parts.tokenizer, parts.text_encoder, [prompt])
        reference = silence(parts.condition_encoder, self.spec.sound.frames(REFERENCE_SECONDS))
        order = torch.zeros(1, dtype=torch.int64, device=parts.device)
        return Conditions(
            states=encode_condition(parts.condition_encoder, texts, reference, order),
            context=text2music_context(silence(parts.condition_encoder, frames)),
            null=parts.condition_encoder.null_condition_emb,
            notes=texts.notes,
        )

    def prepare_noise(self, seeds: Iterable[int], frames: int) -> Tensor:
        """Return starting noise `[B, frames, C]`, float32, the same for a seed whatever the batch."""
        parts = self._loaded
        return draw_noise(tuple(seeds), frames, self.spec.sound.latent_channels, parts.device, parts.dtype)

    def denoise(self, noise: Tensor, conditions: Conditions, effective: Effective, run: Run) -> Tensor:
        """Return finished latents `[B, T, C]`, float32."""
        levels = noise_levels(effective.steps, effective.shift)
        return denoise(self._loaded.transformer, noise, conditions, levels, effective.guidance_scale, run)

    def decode(self, latents: Tensor, duration: float, run: Run) -> Iterator[Audio]:
        """Yield the levelled audio `[channels, samples]` of each take, at most `duration` seconds long."""
        vae, sound = self._loaded.vae, self.spec.sound
        chunk = chunk_frames(self._loaded.device)
        each = len(tiles(latents.shape[1], chunk))
        for index, one in enumerate(latents):

            def before_tile(number: int, first: int = index * each) -> None:
                run.step(Phase.DECODING, first + number, each * latents.shape[0])

            audio = decode(vae, sound, one, chunk, before_tile)
            yield level(audio[:, : sound.samples(duration)])

    def unload(self) -> None:
        """Free the model's memory; the engine can't be used afterwards."""
        if self._components is not None:
            device, self._components = self._components.device, None
            release(device)

    @property
    def _loaded(self) -> Components:
        if self._components is None:
            raise ModelNotReady("the model was unloaded")
        return self._components


class _Stopwatch:
    """Seconds by step; a lap waits until the device has finished."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._started = self._last = time.perf_counter()
        self._laps: dict[str, float] = {}

    def lap(self, name: str) -> None:
        """Store the seconds since the last lap under `name`."""
        synchronize(self._device)
        now = time.perf_counter()
        self._laps[name], self._last = now - self._last, now

    def timings(self) -> dict[str, float]:
        """Return the laps, and the seconds since the start as `total`."""
        return {**self._laps, "total": self._last - self._started}
