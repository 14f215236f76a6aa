"""The engine: loads one checkpoint and makes music with it. Plain Python and torch; one thread at a time."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from studio.engine.audio.shape import Audio
from studio.engine.audio.span import Span
from studio.engine.checkpoint import resolve
from studio.engine.conditioning import Texts, embed, encode_condition, silence
from studio.engine.dataset.preparation import Preparation, Prepared, Progress
from studio.engine.dataset.samples import Dataset
from studio.engine.denoise import denoise
from studio.engine.device import name_of, release, synchronize, within_memory
from studio.engine.edits import Repaint
from studio.engine.effective import Effective, fill, settings
from studio.engine.finish import KEPT, finish
from studio.engine.listening import audio_codes
from studio.engine.loaded import CODES, CONDITION, DIT, TEXT, VAE, Loaded, bring
from studio.engine.lora.adapters import Adapters
from studio.engine.lora.prepare import prepare
from studio.engine.material import Material, Tiling, read_material, reference_latents, source_latents
from studio.engine.memory import decode_frames, encode_seconds, things_to_try
from studio.engine.requests import INSTRUMENTAL, Output, Request
from studio.engine.results import Take
from studio.engine.run import Phase, Run
from studio.engine.samplers import Noise, turn_noise
from studio.engine.score.lyrics import FinishedTake, align_lyrics, lyric_scores
from studio.engine.score.results import Alignment, LyricScores
from studio.engine.score.tokens import lyric_tokens
from studio.engine.setup import AUTO, Setup
from studio.engine.snapshot import settings_of
from studio.engine.tasks import Conditions, Repainted, chunk_mask, fit_mask, followed_latents, join_context
from studio.engine.vae import decode, tiles, whole_frames
from studio.errors import InvalidRequest, ModelNotReady


class Engine:
    """One loaded checkpoint; `spec`, `device` and `dtype` say which and how."""

    def __init__(self, loaded: Loaded) -> None:
        self.spec = loaded.spec
        self.device = str(loaded.device)
        self.dtype = name_of(loaded.parts.dtype)
        self._held: Loaded | None = loaded

    @classmethod
    def load(
        cls,
        path_or_name: str | Path,
        *,
        device: str = AUTO,
        dtype: str = AUTO,
        setup: Setup | None = None,
        dirs: Iterable[Path] = (),
        run: Run | None = None,
    ) -> Engine:
        """Load the checkpoint at a path, or the one of that name inside `dirs`.

        `setup` says more than `device` and `dtype`, and takes their place. Raises NotFound, CheckpointError,
        InvalidRequest (what this machine can't do), OutOfMemory or Cancelled.
        """
        return cls(bring(resolve(path_or_name, dirs), setup or Setup(device=device, dtype=dtype), run or Run()))

    def status(self) -> Mapping[str, object]:
        """Return what is loaded and how, JSON-ready; raises ModelNotReady after `unload`."""
        return self._loaded.status()

    @property
    def adapters(self) -> Adapters:
        """The LoRA adapters on this model: load, scale, switch, unload."""
        return self._loaded.adapters

    def generate(self, request: Request, run: Run | None = None) -> list[Take]:
        """Make one take for each seed of `request`.

        Raises InvalidRequest when this checkpoint or the device's tier can't do it, AudioError for audio that can't be
        used, ModelNotReady after `unload`, Cancelled, SilentOutput, OutOfMemory.
        """
        loaded = self._loaded
        material = read_material(request, self.spec)
        effective = fill(request, self.spec, material.seconds(self.spec))
        takes = len(request.seeds)
        loaded.check_work(takes, effective.duration)
        advice = things_to_try(loaded.attempt(takes, effective.duration))
        return within_memory(loaded.device, lambda: self._make(request, material, effective, run or Run()), advice)

    @torch.inference_mode()
    def _make(self, request: Request, material: Material, effective: Effective, run: Run) -> list[Take]:
        watch = _Stopwatch(self._loaded.device)
        run.step(Phase.PREPARING, 0, 1)
        source = self.listen(material, effective, run)
        conditions = self.encode(request, material, effective, source, run)
        noise = self.prepare_noise(request, effective)
        watch.lap("encode")
        latents = self.denoise(noise, conditions, effective, run, source=source, repainted=material.repainted)
        watch.lap("denoise")
        kept = (KEPT,) if effective.keeps_outside and material.repainted is not None else ()
        notes = (*material.notes, *conditions.notes, *kept)
        filled = settings(request, effective, self.spec, self._circumstances(), notes)
        takes = []
        for index, audio in enumerate(self.decode(latents, request.output, run)):
            finished = finish(audio, request.output, effective, material, self.spec.sound)
            watch.lap("decode")
            takes.append(
                Take(
                    audio=finished,
                    sample_rate=self.spec.sound.sample_rate,
                    seed=request.seeds[index],
                    requested=settings_of(request),
                    effective=filled,
                    timings=watch.timings(),
                    trace=self._trace(request, effective, conditions, latents, index),
                )
            )
        return takes

    def _circumstances(self) -> Mapping[str, object]:
        """How the model was kept and what was on it, for the take's effective settings."""
        status = self._loaded.status()
        kept = ("device", "dtype", "attention", "compiled", "offload_to_cpu", "offload_dit_to_cpu", "quantization")
        return {key: status[key] for key in (*kept, "use_lora", "adapters")}

    def _trace(
        self, request: Request, effective: Effective, conditions: Conditions, latents: Tensor, index: int
    ) -> FinishedTake | None:
        """Keep what lyric times are computed from; instrumental takes have no lyrics to time."""
        if not effective.lyrics.strip() or effective.lyrics == INSTRUMENTAL:
            return None
        states, context = (part[min(index, len(part) - 1)][None] for part in (conditions.states, conditions.context))
        return FinishedTake(
            latents=latents[index],
            states=states,
            context=context,
            lyrics=lyric_tokens(self._loaded.parts.tokenizer, effective.lyrics, request.vocal_language),
            seconds=effective.duration,
            steps=effective.how.steps,
        )

    def to_codes(self, source: Path, run: Run | None = None, *, cut: bool = False) -> tuple[int, ...]:
        """Return the 5 Hz codes of an audio file; raises as `listening.audio_codes`, and OutOfMemory or Cancelled."""
        loaded, advice = self._loaded, things_to_try(self._loaded.attempt())
        tiling = self._tiling(run or Run())
        return within_memory(loaded.device, lambda: audio_codes(loaded, source, tiling, cut=cut), advice)

    def prepare_songs(self, dataset: Dataset, folder: Path, how: Preparation, progress: Progress) -> Prepared:
        """Write the tensors that training this model on a dataset reads; see `lora.prepare.prepare`.

        Raises InvalidRequest when no song is labeled, StorageError, OutOfMemory, and what `progress` raises to stop.
        """
        loaded, spec = self._loaded, self.spec

        def work() -> Prepared:
            return prepare(dataset, folder, loaded.parts, spec.sound, spec.name, how, progress, loaded.using)

        return within_memory(loaded.device, work, things_to_try(loaded.attempt()))

    def time_lyrics(self, take: Take) -> Alignment:
        """Return when each line of a take of this engine is sung (LRC).

        Raises InvalidRequest for a take without lyrics, CheckpointError when no attention head follows lyrics.
        """
        parts = self._loaded.parts
        with self._loaded.using(DIT):
            return align_lyrics(parts.transformer, parts.tokenizer, _traced(take))

    def score_lyrics(self, take: Take) -> LyricScores:
        """Return how well a take of this engine follows its lyrics; raises as `time_lyrics` does."""
        parts = self._loaded.parts
        with self._loaded.using(DIT):
            return lyric_scores(parts.transformer, parts.tokenizer, _traced(take))

    def listen(self, material: Material, effective: Effective, run: Run) -> Tensor | None:
        """Return the source's latents `[1, T, C]`; None for a request without a source."""
        with self._loaded.using(VAE):
            return source_latents(self._loaded.parts, self.spec, material, effective.frames, self._tiling(run))

    def encode(
        self, request: Request, material: Material, effective: Effective, source: Tensor | None, run: Run
    ) -> Conditions:
        """Return what steers the DiT, once for the whole batch unless each take follows a reference of its own."""
        loaded, parts = self._loaded, self._loaded.parts
        with loaded.using(VAE):
            references = reference_latents(parts, self.spec, material, self._tiling(run))
        with loaded.using(TEXT):
            texts = embed(parts.tokenizer, parts.text_encoder, [effective.prompt(request)])
            plain = self._plain_texts(request, effective, texts)
        calm = silence(parts.condition_encoder, effective.frames, parts.device)
        with loaded.using(*CODES):
            followed = followed_latents(parts, request, source, effective.quantized, calm)
        mask = chunk_mask(request, material.span, calm)
        if isinstance(request, Repaint) and material.repainted is not None:
            followed = torch.where(mask[..., None] > 0, calm, followed)
        with loaded.using(CONDITION):
            later = None if plain is None else self._conditions(plain, references, join_context(calm, mask))
            return self._conditions(texts, references, join_context(followed, mask), later)

    def _tiling(self, run: Run) -> Tiling:
        """Encode as much at once as memory allows; each tile is reported, as their number is not known before."""
        seconds = encode_seconds(self._loaded.memory())
        return Tiling(whole_frames(self.spec.sound, seconds), lambda tile: run.step(Phase.PREPARING, tile, tile + 1))

    def _plain_texts(self, request: Request, effective: Effective, texts: Texts) -> Texts | None:
        """Embed the prompt of the last steps, as long as the first one, when there is another."""
        if effective.how.switch is None:
            return None
        parts = self._loaded.parts
        return embed(parts.tokenizer, parts.text_encoder, [effective.later_prompt(request)], texts.caption.shape[1])

    def _conditions(
        self, texts: Texts, references: Tensor, context: Tensor, later: Conditions | None = None
    ) -> Conditions:
        encoder = self._loaded.parts.condition_encoder
        takes = references.shape[0]
        order = torch.arange(takes, device=references.device)
        return Conditions(
            states=encode_condition(encoder, texts.repeated(takes), references, order),
            context=context,
            null=encoder.null_condition_emb.detach().clone(),  # the encoder may take its own away
            later=later,
            notes=texts.notes,
        )

    def prepare_noise(self, request: Request, effective: Effective) -> StartingNoise:
        """Return the batch's noise, the same for a seed whatever the batch."""
        noise = self._noise(request.seeds, effective.frames)
        start = noise.draw()
        if retake := request.sampling.retake:
            other = self._noise(retake.seeds, effective.frames).draw()
            start = turn_noise(start, other, retake.variance)
        return StartingNoise(start, noise)

    def _noise(self, seeds: Iterable[int], frames: int) -> Noise:
        parts = self._loaded.parts
        return Noise(tuple(seeds), frames, self.spec.sound.latent_channels, parts.device, parts.dtype)

    def denoise(
        self,
        noise: StartingNoise,
        conditions: Conditions,
        effective: Effective,
        run: Run,
        *,
        source: Tensor | None = None,
        repainted: Span | None = None,
    ) -> Tensor:
        """Return finished latents `[B, T, C]`, float32."""
        start, level = None, effective.start_level
        if source is not None and level < 1:
            start = level * noise.start + (1 - level) * source.float()
        kept = None
        if source is not None and repainted is not None and effective.keeps_outside:
            inside = torch.from_numpy(repainted.mask()).to(source.device)
            kept = Repainted(clean=source.float(), inside=fit_mask(inside, effective.frames))
        with self._loaded.using(DIT):
            return denoise(
                self._loaded.parts.transformer,
                noise.start,
                conditions,
                effective.how,
                run,
                start=start,
                fresh=noise.fresh,
                repainted=kept,
                compiled=self._loaded.setup.compile,
            )

    def decode(self, latents: Tensor, output: Output, run: Run) -> Iterator[Audio]:
        """Yield the decoded audio `[channels, T * hop_length]` of each take."""
        vae, sound = self._loaded.parts.vae, self.spec.sound
        chunk = decode_frames(self._loaded.memory())
        each = len(tiles(latents.shape[1], chunk))
        for index, one in enumerate(latents * output.latent_rescale + output.latent_shift):

            def before_tile(number: int, first: int = index * each) -> None:
                run.step(Phase.DECODING, first + number, each * latents.shape[0])

            with self._loaded.using(VAE):
                audio = decode(vae, sound, one, chunk, before_tile)
            yield audio

    def unload(self) -> None:
        """Free the model's memory; the engine can't be used afterwards."""
        if self._held is not None:
            device, self._held = self._held.device, None
            release(device)

    @property
    def _loaded(self) -> Loaded:
        if self._held is None:
            raise ModelNotReady("the model was unloaded")
        return self._held


class StartingNoise(NamedTuple):
    """The noise a run starts from and where the SDE draws more."""

    start: Tensor  # [B, T, C], float32
    fresh: Noise


def _traced(take: Take) -> FinishedTake:
    if take.trace is None:
        raise InvalidRequest("lyrics", "not be empty to be timed or scored", take.requested.get("lyrics"))
    return take.trace


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
