"""The autoencoder: what of a song is left after a way through the latents?"""

from __future__ import annotations

from mini.evaluation import scores
from mini.evaluation.hearing import listen, mel_distance
from mini.evaluation.instruments import through_autoencoder
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
    rows = [
        Row("mel log-spectral distance, median", *(scores.median_cell(g, 1, " dB") for g in (gaps, strangers)), "0 dB")
    ]
    views = [(one, two) for one, two in zip(first, second, strict=True)]
    astray = list(zip(turned(first), second, strict=True))
    tempo, key = (
        [[holds(one.facts, two) for one, two in pairs] for pairs in (views, astray)]
        for holds in (
            lambda facts, heard: facts.tempo is not None and heard.plays(facts.tempo.bpm, 1.0),
            lambda facts, heard: facts.key is not None and heard.is_in(facts.key.scale),
        )
    )
    rows.append(Row("tempo estimate unchanged (4 %, half and double are changes)", *map(scores.share_cell, tempo)))
    rows.append(Row("key estimate unchanged", *map(scores.share_cell, key)))
    return [
        Section(
            title="Autoencoder",
            about=f"{len(songs)} songs by the composer against their decoded latents; control: another song.",
            rows=tuple(rows),
        )
    ]
