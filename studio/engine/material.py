"""What a run starts from besides words: a source, its repainted regions, and the reference whose timbre it follows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch import Tensor

from studio.engine.audio.reference import REFERENCE_SECONDS, reference_windows
from studio.engine.audio.shape import Audio, is_silent
from studio.engine.audio.source import prepare_source
from studio.engine.audio.span import Span, no_range, span_of
from studio.engine.conditioning import silence
from studio.engine.edits import Lego, Repaint, SourceRequest
from studio.engine.model_spec import ModelSpec
from studio.engine.requests import Request
from studio.engine.tasks import fit
from studio.engine.vae import encode

if TYPE_CHECKING:  # takes eight seconds to import; only loader.py does
    from studio.engine.loader import Components

POSTERIOR_SEED = 0  # the autoencoder's own noise; the same for every run, so that a take depends on its seed alone


class Tiling(NamedTuple):
    """How audio is encoded: so many frames at once, and who hears the number of each tile before its turn."""

    frames: int
    before: Callable[[int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """The audio of one request in the checkpoint's rate and channels."""

    source: Audio | None = None  # [channels, span.samples], extended by what a repaint adds
    span: Span | None = None
    references: tuple[Audio, ...] = ()  # one for all takes or one a take
    notes: tuple[str, ...] = ()

    def seconds(self, spec: ModelSpec) -> float | None:
        """Length of the extended source; None without one."""
        return None if self.span is None else self.span.samples / spec.sound.sample_rate

    @property
    def repainted(self) -> Span | None:
        """The regions to make anew, when they are a part of the source only."""
        if self.span is None or self.span.empty or self.span.mask().all():
            return None
        return self.span


def read_material(request: Request, spec: ModelSpec) -> Material:
    """Read and check the audio a request names.

    Raises AudioError for a file that can't be used, InvalidRequest for regions that the source has no place for.
    """
    notes: tuple[str, ...] = ()
    source, span = None, None
    if isinstance(request, SourceRequest):
        heard = prepare_source(request.source, spec.sound, limit=spec.max_duration)
        samples = heard.audio.shape[1]
        if isinstance(request, Repaint | Lego):
            span = span_of(samples, request.regions, spec.sound, most=spec.max_duration)
        else:
            span = no_range(samples, spec.sound)
        source, notes = span.extend(heard.audio, spec.sound), heard.notes
    references: list[Audio] = []
    if request.reference is not None:
        heard = prepare_source(request.reference, spec.sound)
        for seed in request.seeds:
            references.append(reference_windows(heard, spec.sound, np.random.default_rng(seed)))
        if all(np.array_equal(references[0], other) for other in references[1:]):
            del references[1:]
        notes = (*notes, *heard.notes)
    return Material(source=source, span=span, references=tuple(references), notes=notes)


def source_latents(
    parts: Components, spec: ModelSpec, material: Material, frames: int, tiling: Tiling
) -> Tensor | None:
    """Return the source's latents `[1, frames, C]` in the model's type, None without a source.

    Silence is the checkpoint's own silence, not what the autoencoder makes of zeros (engine.md 4.3).
    """
    if material.source is None:
        return None
    calm = silence(parts.condition_encoder, frames, parts.device)
    if is_silent(material.source):
        return calm
    return fit(_encoded(parts, spec, material.source, tiling), frames, calm)


def reference_latents(parts: Components, spec: ModelSpec, material: Material, tiling: Tiling) -> Tensor:
    """Return what the timbre encoder listens to, `[1 or takes, 750, C]`: without a reference it is silence."""
    if not material.references:
        return silence(parts.condition_encoder, spec.sound.frames(REFERENCE_SECONDS), parts.device)
    return torch.cat([_encoded(parts, spec, audio, tiling) for audio in material.references])


def _encoded(parts: Components, spec: ModelSpec, audio: Audio, tiling: Tiling) -> Tensor:
    generator = torch.Generator().manual_seed(POSTERIOR_SEED)
    latents = encode(parts.vae, spec.sound, audio, tiling.frames, generator, tiling.before)
    return latents[None].to(parts.device, parts.dtype)
