"""The engine: loads one checkpoint and makes music with it. Plain Python and torch; one thread at a time."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from studio.engine.audio.shape import Audio
from studio.engine.audio.span import Span
from studio.engine.checkpoint import resolve
from studio.engine.conditioning import Texts, embed, encode_condition, silence
from studio.engine.denoise import denoise
from studio.engine.device import AUTO, choose_device, choose_dtype, name_of, release, synchronize, within_memory
from studio.engine.edits import Lego, Repaint
from studio.engine.effective import Effective, fill, settings
from studio.engine.finish import finish
from studio.engine.material import Material, read_material, reference_latents, source_latents
from studio.engine.model_spec import ModelSpec
from studio.engine.requests import INSTRUMENTAL, Output, Request, TextToMusic
from studio.engine.results import Take
from studio.engine.run import Phase, Run
from studio.engine.samplers import Noise, turn_noise
from studio.engine.score.lyrics import FinishedTake, align_lyrics, lyric_scores
from studio.engine.score.results import Alignment, LyricScores
from studio.engine.score.tokens import lyric_tokens
from studio.engine.snapshot import settings_of
from studio.engine.tasks import Conditions, Repainted, cover_hints, decode_codes, fit, fit_mask, join_context
from studio.engine.vae import chunk_frames, decode, tiles
from studio.errors import InvalidRequest, ModelNotReady

if TYPE_CHECKING:  # takes eight seconds to import; `load` does
    from studio.engine.loader import Components

_LESS_WORK = "a smaller batch, a shorter duration or a smaller checkpoint"
_SMALLER_MODEL = "a smaller checkpoint, closing other programs that use this device, or device cpu"


class Engine:
    """One loaded checkpoint; `spec`, `device` and `dtype` say which and how."""

    def __init__(self, spec: ModelSpec, components: Components, *, compiled: bool = False) -> None:
        self.spec = spec
        self.compiled = compiled
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
        compiled: bool = False,
        dirs: Iterable[Path] = (),
        run: Run | None = None,
    ) -> Engine:
        """Load the checkpoint at a path, or the one of that name inside `dirs`.

        `compiled` runs the DiT's layers through torch.compile, which makes the first generation of a length slow.

        Raises NotFound, CheckpointError, InvalidRequest (no such device or dtype), OutOfMemory or Cancelled.
        """
        place = choose_device(device)
        kind = choose_dtype(dtype, place)
        info = resolve(path_or_name, dirs)
        from studio.engine.loader import load_components  # here, because it costs eight seconds

        def work() -> Components:
            return load_components(info.path, info.spec, device=place, dtype=kind, run=run or Run())

        return cls(info.spec, within_memory(place, work, _SMALLER_MODEL), compiled=compiled)

    def generate(self, request: Request, run: Run | None = None) -> list[Take]:
        """Make one take for each seed of `request`.

        Raises InvalidRequest when this checkpoint can't do it, AudioError for audio that can't be used, ModelNotReady
        after `unload`, Cancelled, SilentOutput, OutOfMemory.
        """
        material = read_material(request, self.spec)
        effective = fill(request, self.spec, material.seconds(self.spec))
        place = self._loaded.device
        return within_memory(place, lambda: self._make(request, material, effective, run or Run()), _LESS_WORK)

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
        notes = (*material.notes, *conditions.notes)
        filled = settings(request, effective, self.spec, self.device, self.dtype, notes)
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
            lyrics=lyric_tokens(self._loaded.tokenizer, effective.lyrics, request.vocal_language),
            seconds=effective.duration,
            steps=effective.how.steps,
        )

    def time_lyrics(self, take: Take) -> Alignment:
        """Return when each line of a take of this engine is sung (LRC).

        Raises InvalidRequest for a take without lyrics, CheckpointError when no attention head follows lyrics.
        """
        parts = self._loaded
        return align_lyrics(parts.transformer, parts.tokenizer, _traced(take))

    def score_lyrics(self, take: Take) -> LyricScores:
        """Return how well a take of this engine follows its lyrics; raises as `time_lyrics` does."""
        parts = self._loaded
        return lyric_scores(parts.transformer, parts.tokenizer, _traced(take))

    def listen(self, material: Material, effective: Effective, run: Run) -> Tensor | None:
        """Return the source's latents `[1, T, C]`; None for a request without a source."""
        return source_latents(self._loaded, self.spec, material, effective.frames, _encoding(run))

    def encode(
        self, request: Request, material: Material, effective: Effective, source: Tensor | None, run: Run
    ) -> Conditions:
        """Return what steers the DiT, once for the whole batch unless each take follows a reference of its own."""
        parts = self._loaded
        references = reference_latents(parts, self.spec, material, _encoding(run))
        codes = request.audio_codes if isinstance(request, TextToMusic) else ()
        followed = self._followed(source, effective, codes)
        texts = embed(parts.tokenizer, parts.text_encoder, [effective.prompt(request)])
        calm = silence(parts.condition_encoder, effective.frames)
        span = material.span if isinstance(request, Repaint | Lego) else None
        mask = calm.new_ones(calm.shape[:2])
        if span is not None:
            mask = fit_mask(torch.from_numpy(span.mask()).to(calm), effective.frames)
        if isinstance(request, Repaint) and span is not None and not span.empty:
            followed = torch.where(mask[..., None] > 0, calm, followed)
        later = None
        if effective.how.switch is not None:
            plain = embed(
                parts.tokenizer, parts.text_encoder, [effective.later_prompt(request)], texts.caption.shape[1]
            )
            later = self._conditions(plain, references, join_context(calm, mask))
        return self._conditions(texts, references, join_context(followed, mask), later)

    def _followed(self, source: Tensor | None, effective: Effective, codes: Sequence[int]) -> Tensor:
        """Source latents `[1, T, C]` as the task wants the DiT to see them (engine.md 5.3)."""
        parts = self._loaded
        calm = silence(parts.condition_encoder, effective.frames)
        tokenizer, detokenizer = parts.audio_tokenizer, parts.audio_token_detokenizer
        if tokenizer is None or detokenizer is None:  # then effective.py refuses codes and quantised covers
            return calm if source is None else source
        if codes:
            wanted = torch.tensor([list(codes)], device=parts.device)
            return fit(decode_codes(tokenizer, detokenizer, wanted), effective.frames, calm)
        if source is None:
            return calm
        return cover_hints(tokenizer, detokenizer, source, calm) if effective.quantized else source

    def _conditions(
        self, texts: Texts, references: Tensor, context: Tensor, later: Conditions | None = None
    ) -> Conditions:
        encoder = self._loaded.condition_encoder
        takes = references.shape[0]
        return Conditions(
            states=encode_condition(
                encoder, texts.repeated(takes), references, torch.arange(takes, device=references.device)
            ),
            context=context,
            null=encoder.null_condition_emb,
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
        parts = self._loaded
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
        return denoise(
            self._loaded.transformer,
            noise.start,
            conditions,
            effective.how,
            run,
            start=start,
            fresh=noise.fresh,
            repainted=kept,
            compiled=self.compiled,
        )

    def decode(self, latents: Tensor, output: Output, run: Run) -> Iterator[Audio]:
        """Yield the decoded audio `[channels, T * hop_length]` of each take."""
        vae, sound = self._loaded.vae, self.spec.sound
        chunk = chunk_frames(self._loaded.device)
        each = len(tiles(latents.shape[1], chunk))
        for index, one in enumerate(latents * output.latent_rescale + output.latent_shift):

            def before_tile(number: int, first: int = index * each) -> None:
                run.step(Phase.DECODING, first + number, each * latents.shape[0])

            yield decode(vae, sound, one, chunk, before_tile)

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


class StartingNoise(NamedTuple):
    """The noise a run starts from and where the SDE draws more."""

    start: Tensor  # [B, T, C], float32
    fresh: Noise


def _traced(take: Take) -> FinishedTake:
    if take.trace is None:
        raise InvalidRequest("lyrics", "not be empty to be timed or scored", take.requested.get("lyrics"))
    return take.trace


def _encoding(run: Run) -> Callable[[int], None]:
    """Report each tile of audio that is about to be encoded; their number is not known before."""
    return lambda tile: run.step(Phase.PREPARING, tile, tile + 1)


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
