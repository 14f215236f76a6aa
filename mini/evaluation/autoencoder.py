"""The autoencoder: what of a song is left after a way through the latents?"""

from __future__ import annotations

import numpy as np

from mini.evaluation import scores
from mini.evaluation.hearing import Heard, listen, mel_distance
from mini.evaluation.instruments import presence, through_autoencoder, trained
from mini.evaluation.material import Setting, held_out, perfect, rendered, turned
from mini.evaluation.table import Row, Section


def figures(setting: Setting) -> list[Section]:
    """Mel distance, and whether tempo and key are heard as before."""
    songs = held_out(setting.count)
    before = [rendered(song, setting.seconds)[1] for song in songs]
    after = [through_autoencoder(audio) for audio in before]
    first = [perfect(song, setting.seconds)[0] for song in songs]
    second = [listen(audio) for audio in after]
    gaps = [mel_distance(one, two) for one, two in zip(before, after, strict=True)]
    strangers = [mel_distance(one, two) for one, two in zip(turned(before), after, strict=True)]
    rows = [Row("mel distance, median", *(scores.median_cell(g, 1, " dB") for g in (gaps, strangers)), "0 dB")]
    pairs = (list(zip(first, second, strict=True)), list(zip(turned(first), second, strict=True)))
    tempo = (scores.share_cell([_same_tempo(*pair) for pair in each]) for each in pairs)
    key = (scores.share_cell([_same_key(*pair) for pair in each]) for each in pairs)
    rows.append(Row("tempo estimate unchanged (4 %, half and double are changes)", *tempo))
    rows.append(Row("key estimate unchanged", *key))
    who = np.array([trained().scores(audio) for audio in after])
    labels = np.array([presence(song.tracks) for song in songs])
    clear = np.array([perfect(song, setting.seconds)[1] for song in songs])
    views = ((who, labels), (who, np.array(turned(labels))), (clear, labels))
    rows.append(Row("instruments present, mean AUC", *(scores.mean_auc_cell(*view) for view in views)))
    return [
        Section(
            title="Autoencoder",
            about=f"{len(songs)} songs by the composer against their decoded latents; control: another song.",
            rows=tuple(rows),
        )
    ]


def _same_tempo(before: Heard, after: Heard) -> bool:
    return before.facts.tempo is not None and after.plays(before.facts.tempo.bpm, 1.0)


def _same_key(before: Heard, after: Heard) -> bool:
    return before.facts.key is not None and after.is_in(before.facts.key.scale)
