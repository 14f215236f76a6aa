"""Cover: is the source's structure kept, above what the same caption gives anyway?

Nobody is told tempo or key: with them a fresh take starts on the same beat in the same tempo, and its onsets agree with
the source's nearly as well as the source's own after the autoencoder do (correlation .74 and .83 over two songs).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from mini.composer import Song, lyrics_of
from mini.evaluation import scores
from mini.evaluation.hearing import chroma_likeness, listen, onset_likeness
from mini.evaluation.instruments import presence, through_autoencoder, trained
from mini.evaluation.material import (
    Audio,
    Player,
    Setting,
    as_file,
    caption_for,
    held_out,
    player,
    rendered,
    request_of,
    turned,
)
from mini.evaluation.table import Row, Section, skipped
from studio.engine.edits import Cover
from studio.engine.requests import Metas, Task

LIKENESS = (("onset", onset_likeness), ("chroma", chroma_likeness))


def figures(setting: Setting) -> list[Section]:
    """Covers with the source's own caption, and in another song's style."""
    band = player(setting.turbo, setting)
    if Task.COVER not in band.offers:
        return [skipped(f"Cover: {band.about}")]
    songs = held_out(setting.some(0.4), skip=2000)
    sources = [rendered(song, setting.seconds)[1] for song in songs]
    own = [_cover(setting, band, k, sources[k], song) for k, song in enumerate(songs)]
    fresh = [
        band.play(replace(request_of(song, setting.seconds, k + 1000, band.guidance), metas=Metas()))
        for k, song in enumerate(songs)
    ]
    other = turned(songs, 3)
    restyled = [_cover(setting, band, k, source, other[k]) for k, source in enumerate(sources)]
    rows = []
    for name, likeness in LIKENESS:
        told = {
            kind: [likeness(take, source) for take, source in zip(takes, sources, strict=True)]
            for kind, takes in (
                ("own", own),
                ("fresh", fresh),
                ("restyled", restyled),
                ("astray", turned(own, 1)),
                ("bound", [through_autoencoder(source) for source in sources]),
            )
        }
        for kind, words in (("own", "own caption"), ("restyled", "another song's caption")):
            above = [scores.above_cell(told[k], told["fresh"]) for k in (kind, "astray", "bound")]
            rows.append(Row(f"{name} correlation with the source above that of fresh takes, {words}, AUC", *above))
        medians = [scores.median_cell(told[kind], 2) for kind in ("own", "fresh", "bound")]
        rows.append(Row(f"{name} correlation with the source, median (control: fresh takes)", *medians))
    rows += [*_facts(songs, own, fresh, sources), _style(restyled, songs, other)]
    return [
        Section(
            title=f"Cover: {band.about}",
            about=(
                f"{len(songs)} songs by the composer; only a caption and words are given, so tempo and key must come "
                "from the source. A fresh take has the same caption. In an AUC the control is the cover of another "
                "song, the ceiling the source through the autoencoder."
            ),
            rows=tuple(rows),
        )
    ]


def _cover(setting: Setting, band: Player, seed: int, source: Audio, wanted: Song) -> Audio:
    path, _ = as_file(source, f"cover{seed}", setting)
    words = lyrics_of(wanted, setting.seconds)
    request = Cover(
        source=path,
        caption=caption_for(wanted),
        lyrics=words,
        instrumental=not words,
        guidance=band.guidance,
        seeds=(seed,),
    )
    return band.play(request)


def _facts(songs: list[Song], own: list[Audio], fresh: list[Audio], sources: list[Audio]) -> list[Row]:
    """Tempo and key of the source, heard in covers, fresh takes and the source itself."""
    heard = [[listen(take) for take in takes] for takes in (own, fresh, sources)]
    tempo = [[one.plays(song.bpm, 0.5, 1.0, 2.0) for one, song in zip(each, songs, strict=True)] for each in heard]
    key = [[one.is_in(song.key_scale) for one, song in zip(each, songs, strict=True)] for each in heard]
    return [
        Row(f"the source's {name} (control: fresh takes)", *map(scores.share_cell, hits))
        for name, hits in (("BPM within 4 %, half or double allowed", tempo), ("key", key))
    ]


def _style(restyled: list[Audio], songs: list[Song], other: list[Song]) -> Row:
    """Whether the instruments of the caption play, or those of the source."""
    who = np.array([trained().scores(take) for take in restyled])
    views = [np.array([presence(song.tracks) for song in asked]) for asked in (other, songs)]
    cells = [scores.mean_auc_cell(who, labels) for labels in views]
    return Row("instruments of another song's caption, mean AUC (control: of the source)", *cells)
