"""The audio tokenizer: what of a song is left after a way through twelve bits every 200 ms?

Codes bound what a cover can follow and what a language model can hear or say.
"""

from __future__ import annotations

import numpy as np
import torch

from mini.codes import GROUP, Codec, read_codec
from mini.composer import Song
from mini.composer.kit import RATE
from mini.evaluation import scores
from mini.evaluation.hearing import chroma_likeness, listen, onset_likeness
from mini.evaluation.instruments import through_autoencoder
from mini.evaluation.material import Audio, Setting, held_out, rendered, turned
from mini.evaluation.table import Row, Section
from studio.engine.audio.measure import transient_rate
from studio.engine.spectral import SpectralAutoencoder


@torch.no_grad()
def codes_of(codec: Codec, audio: Audio) -> list[int]:
    """The codes of `audio` `[2, samples]` at 24 kHz."""
    raw = SpectralAutoencoder().encode(torch.from_numpy(audio)[None]).latent_dist.mode().transpose(1, 2)
    raw = raw[:, : raw.shape[1] // GROUP * GROUP]
    return [int(code) for code in codec.codes(codec.standardise(raw))[0]]


@torch.no_grad()
def sound_of(codec: Codec, codes: list[int]) -> Audio:
    """What codes sound like without a DiT: the detokenizer's latents through the autoencoder."""
    quantised = codec.tokenizer.quantizer.get_output_from_indices(torch.tensor(codes)[None, :, None])
    raw = codec.detokenizer(quantised) * codec.spread + codec.mean
    audio: Audio = SpectralAutoencoder().decode(raw.transpose(1, 2)).sample[0].numpy()
    return audio


def figures(setting: Setting) -> list[Section]:
    """Tempo, key, onsets and chords of decoded codes."""
    return [section(read_codec(setting.models / setting.base), held_out(setting.some(0.6)), setting.seconds)]


def section(codec: Codec, songs: list[Song], seconds: float) -> Section:
    """The figures of one codec over some songs."""
    sources = [rendered(song, seconds)[1] for song in songs]
    coded = [sound_of(codec, codes_of(codec, source)) for source in sources]
    bound = [through_autoencoder(source) for source in sources]
    heard, best = [listen(take) for take in coded], [listen(take) for take in bound]
    rows = []
    for name, holds in (
        ("BPM within 4 %, half or double allowed", lambda h, s: h.plays(s.bpm, 0.5, 1.0, 2.0)),
        ("key exact", lambda h, s: h.is_in(s.key_scale)),
    ):
        views = ((heard, songs), (heard, turned(songs)), (best, songs))
        cells = (scores.share_cell([holds(h, s) for h, s in zip(*view, strict=True)]) for view in views)
        rows.append(Row(f"the song's {name}", *cells))
    for name, likeness in (("onset", onset_likeness), ("chroma", chroma_likeness)):
        pairs = ((coded, sources), (turned(coded), sources), (bound, sources))
        told = ([likeness(one, two) for one, two in zip(*pair, strict=True)] for pair in pairs)
        rows.append(Row(f"{name} correlation with the song, median", *(scores.median_cell(one, 2) for one in told)))
    drums = ["drums" in song.tracks for song in songs]
    rates = [[transient_rate(take, RATE) for take in takes] for takes in (coded, bound)]
    cells = [
        scores.auc_cell(rates[0], drums),
        scores.auc_cell(rates[0], turned(drums)),
        scores.auc_cell(rates[1], drums),
    ]
    rows.append(Row("transients a second tell songs with drums, AUC", *cells))
    used = np.unique(np.concatenate([codes_of(codec, source) for source in sources])).size
    return Section(
        title=f"Audio tokenizer: {len(songs)} songs as codes",
        about=(
            "Five codes a second, decoded by the detokenizer and the autoencoder, without a DiT; control: another "
            f"song; ceiling: the autoencoder alone. {used} of the 4,096 codes occur."
        ),
        rows=tuple(rows),
    )
