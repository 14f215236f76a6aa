"""Repaint: does the inside follow the new prompt, and is the outside the source, sample for sample?"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from mini.composer import Song, lyrics_of
from mini.composer.kit import RATE
from mini.composer.song import TRACKS
from mini.evaluation import scores
from mini.evaluation.hearing import burst_level, key_lean, onset_likeness
from mini.evaluation.instruments import trained
from mini.evaluation.material import (
    Audio,
    Player,
    Setting,
    as_file,
    caption_for,
    held_out,
    metas_of,
    player,
    rendered,
)
from mini.evaluation.table import Row, Section, skipped
from studio.engine.edits import Repaint
from studio.engine.requests import Task

START, END = 0.3, 0.8  # of the source
FADE = 0.05  # seconds outside the span that may be crossfaded (`studio.engine.edits.Repaint`)


def figures(setting: Setting) -> list[Section]:
    """Drums added to songs without, and another key, inside half of a piece."""
    band = player(setting.turbo, setting)
    if Task.REPAINT not in band.offers:
        return [skipped(f"Repaint: {band.about}")]
    songs = held_out(setting.some(0.4), skip=1000)
    outside: list[float] = []
    rows = [*_drums(setting, band, songs, outside), _key(setting, band, songs, outside)]
    rows.append(
        Row(
            f"largest difference outside the span and {1000 * FADE:g} ms beside it, of {len(outside)} takes",
            f"{max(outside):g}",
            ceiling="0",
        )
    )
    return [
        Section(
            title=f"Repaint: {band.about}",
            about=(
                f"{len(songs)} songs by the composer; {START * setting.seconds:g} s to {END * setting.seconds:g} s of "
                f"{setting.seconds:g} s are made anew with a changed prompt, the control with the source's own prompt. "
                "Figures are of that span alone; an AUC compares it with the same span of the source."
            ),
            rows=tuple(rows),
        )
    ]


def _repaint(setting: Setting, band: Player, source: Audio, wanted: Song, seed: int, outside: list[float]) -> Audio:
    """The span made anew `[2, samples]`; notes how far the rest is from the source."""
    path, read = as_file(source, f"repaint{seed}", setting)
    start, end = START * setting.seconds, END * setting.seconds
    words = lyrics_of(wanted, setting.seconds)
    request = Repaint(
        source=path,
        start=start,
        end=end,
        caption=caption_for(wanted),
        lyrics=words,
        instrumental=not words,
        metas=metas_of(wanted),
        guidance=band.guidance,
        seeds=(seed,),
    )
    take = band.play(request)
    before, after = int((start - FADE) * RATE), int(np.ceil((end + FADE) * RATE))
    gaps = np.abs(take - read)
    outside.append(float(max(gaps[:, :before].max(), gaps[:, after:].max())))
    return take[:, int(start * RATE) : int(end * RATE)]


def _inside(audio: Audio, setting: Setting) -> Audio:
    return audio[:, int(START * setting.seconds * RATE) : int(END * setting.seconds * RATE)]


def _drums(setting: Setting, band: Player, songs: list[Song], outside: list[float]) -> list[Row]:
    """Songs without drums; drums are asked for inside."""
    spans: dict[str, list[Audio]] = {"source": [], "asked": [], "control": [], "perfect": []}
    for seed, song in enumerate(songs):
        bare = replace(song, tracks=tuple(t for t in song.tracks if t not in ("drums", "percussion")) or ("keyboard",))
        full = replace(bare, tracks=("drums", *bare.tracks))
        source = rendered(bare, setting.seconds)[1]
        spans["source"].append(_inside(source, setting))
        spans["asked"].append(_repaint(setting, band, source, full, seed, outside))
        spans["control"].append(_repaint(setting, band, source, bare, seed, outside))
        spans["perfect"].append(_inside(rendered(full, setting.seconds)[1], setting))
    column, rows = TRACKS.index("drums"), []
    for name, value in (
        ("the drum reader", lambda span: float(trained().scores(span)[column])),
        ("burst level", lambda span: burst_level(span.mean(0))),
    ):
        told = {kind: [value(span) for span in pieces] for kind, pieces in spans.items()}
        cells = [scores.above_cell(told[kind], told["source"]) for kind in ("asked", "control", "perfect")]
        rows.append(Row(f"drums added inside, AUC by {name}", *cells))
    likeness = [
        [onset_likeness(one, two) for one, two in zip(spans[kind], spans["source"], strict=True)]
        for kind in ("asked", "control", "perfect")
    ]
    rows.append(Row("onset correlation with what was there, median", *(scores.median_cell(v, 2) for v in likeness)))
    return rows


def _key(setting: Setting, band: Player, songs: list[Song], outside: list[float]) -> Row:
    """The farthest key of the same mode is asked for inside."""
    lean: dict[str, list[float]] = {"source": [], "asked": [], "control": [], "perfect": []}
    for seed, song in enumerate(songs):
        moved = replace(song, tonic=(song.tonic + 6) % 12)
        source = rendered(song, setting.seconds)[1]
        keys = (moved.tonic, moved.minor), (song.tonic, song.minor)
        lean["source"].append(key_lean(_inside(source, setting), *keys))
        lean["asked"].append(key_lean(_repaint(setting, band, source, moved, seed, outside), *keys))
        lean["control"].append(key_lean(_repaint(setting, band, source, song, seed, outside), *keys))
        lean["perfect"].append(key_lean(_inside(rendered(moved, setting.seconds)[1], setting), *keys))
    cells = [scores.above_cell(lean[kind], lean["source"]) for kind in ("asked", "control", "perfect")]
    return Row("key changed by a tritone inside, AUC by Krumhansl correlations", *cells)
