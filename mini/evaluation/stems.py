"""Extract, lego and complete: tracks taken out of a mix, added to one, and arranged around one, against true stems."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from mini.composer import Song, lyrics_of
from mini.composer.arrange import lead_of
from mini.composer.song import TRACKS
from mini.data import audible
from mini.evaluation import scores
from mini.evaluation.hearing import bands, chroma_likeness, onset_likeness, signal_ratio
from mini.evaluation.instruments import through_autoencoder, trained
from mini.evaluation.material import (
    PLAIN,
    Audio,
    Player,
    Setting,
    as_file,
    caption_for,
    held_out,
    metas_of,
    player,
    rendered,
    turned,
)
from mini.evaluation.table import Row, Section, skipped
from studio.engine.edits import Complete, Extract, Lego
from studio.engine.requests import Task, Track

KINDS = ("drums", "bass", "lead")
GUIDANCE = 3.0  # unless the caller sets one; the scale of text to music pushes stems too far from the mix
BANDS = 24  # about the critical bands of hearing; in narrower ones noise alone is never twice the same
LIKENESS = (("onset", onset_likeness), ("chroma", chroma_likeness))
Ratio = Callable[[Audio, Audio], float]


def full_bands(count: int, skip: int) -> list[Song]:
    """Held-out songs in which drums, bass and somebody else with the tune play, and can be heard."""
    songs: list[Song] = []
    while len(songs) < count:
        song = held_out(1, skip)[0]
        skip += 1
        if {"drums", "bass"} <= set(song.tracks) and track_of(song, "lead") not in ("", "drums", "bass"):
            songs.append(song)
    return songs


def track_of(song: Song, kind: str) -> str:
    """The track that is this song's drums, bass or lead."""
    return lead_of(song) if kind == "lead" else kind


def band_ratio(estimate: Audio, true: Audio) -> float:
    """Scale-invariant ratio of signal to distortion of mel band magnitudes, dB; phases count nothing."""
    return signal_ratio(bands(estimate, BANDS), bands(true, BANDS))


def wave_ratio(estimate: Audio, true: Audio) -> float:
    """SI-SDR in dB."""
    return signal_ratio(estimate.astype(np.float64), true.astype(np.float64))


def figures(setting: Setting) -> Iterator[Section]:
    """The three tasks of base checkpoints, each skipped when it is not offered."""
    setting = replace(setting, guidance=setting.guidance or GUIDANCE)
    band = player(setting.base, setting)
    parts = ((Task.EXTRACT, _extract), (Task.LEGO, _lego), (Task.COMPLETE, _complete))
    for task, part in parts:
        yield part(setting, band) if task in band.offers else skipped(f"{task.capitalize()}: {band.about}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Extracted:
    """A track taken out of the mix of its song, and what that is compared with."""

    song: Song
    track: str
    take: Audio
    other: Audio  # the take of another track of the song
    mix: Audio
    true: Audio


def _extract(setting: Setting, band: Player) -> Section:
    return extract(setting, band, setting.some(0.24), KINDS)


def extract(setting: Setting, band: Player, count: int, kinds: Sequence[str]) -> Section:
    """Gains over the mixture of each of `kinds`, tracks and "lead", in `count` songs; of those in which it plays."""
    songs = full_bands(count, skip=3000)
    cases = [case for song in songs for case in extracted(song, kinds, setting, band)]
    measures: tuple[tuple[str, Ratio], ...] = (("band magnitudes", band_ratio), ("SI-SDR", wave_ratio))
    playing = {kind: [case for case in cases if case.track == track_of(case.song, kind)] for kind in kinds}
    rows = [_gain_row(kind, name, ratio, some) for name, ratio in measures for kind, some in playing.items() if some]
    return Section(
        title=f"Extract: {band.about}",
        about=(
            f"{len(songs)} songs. The control is the take of another track of the song, the ceiling the true stem "
            "through the autoencoder. It keeps no phases, so the figure that counts is the scale-invariant signal to "
            "distortion ratio of 24 mel band magnitudes every 40 ms; SI-SDR stands beside it to show what that costs."
        ),
        rows=tuple(rows),
    )


def extracted(song: Song, kinds: Sequence[str], setting: Setting, band: Player) -> list[Extracted]:
    """One track after the other, those of `kinds` that can be heard in the song; its seed is the takes'."""
    stems, mix = rendered(song, setting.seconds)
    heard = audible(stems, mix)
    tracks = [track for track in dict.fromkeys(track_of(song, kind) for kind in kinds) if track in heard]
    path, _ = as_file(mix, f"extract{song.seed}", setting)
    takes = [
        band.play(Extract(source=path, track=Track(track), guidance=band.guidance, output=PLAIN, seeds=(song.seed,)))
        for track in tracks
    ]
    return [
        Extracted(song=song, track=track, take=take, other=other, mix=mix, true=stems[track])
        for track, take, other in zip(tracks, takes, turned(takes, 1), strict=True)
    ]


def _gain_row(kind: str, measure: str, ratio: Ratio, cases: Sequence[Extracted]) -> Row:
    gains: list[list[float]] = [[], [], []]
    for case in cases:
        before = ratio(case.mix, case.true)
        for column, estimate in zip(gains, (case.take, case.other, through_autoencoder(case.true)), strict=True):
            column.append(ratio(estimate, case.true) - before)
    often = "" if kind in KINDS else f" ({len(cases)} songs)"
    cells = (scores.median_cell(column, 1, " dB") for column in gains)
    return Row(f"extract {kind}{often}: gain over the mixture, {measure}, median", *cells)


def _lego(setting: Setting, band: Player) -> Section:
    songs = full_bands(setting.some(0.16), skip=4000)
    tracks = [track_of(song, KINDS[number % 3]) for number, song in enumerate(songs)]
    takes, true = [], []
    for number, (song, track) in enumerate(zip(songs, tracks, strict=True)):
        stems, mix = rendered(song, setting.seconds)
        path, _ = as_file(mix - stems[track], f"lego{number}", setting)
        words = lyrics_of(song, setting.seconds)
        request = Lego(
            source=path,
            track=Track(track),
            caption=caption_for(song),
            lyrics=words,
            instrumental=not words,
            metas=metas_of(song),
            guidance=band.guidance,
            output=PLAIN,
            seeds=(number,),
        )
        takes.append(band.play(request))
        true.append(stems[track])
    who = [np.array([trained().scores(piece) for piece in pieces]) for pieces in (takes, true)]
    named = [_named(reading, tracks) for reading in who]
    rows = [Row("the track asked for is heard above takes asked for others, share", named[0], "50 %", named[1])]
    rows += _fits(takes, true, "own true stem above another song's")
    return Section(
        title=f"Lego: {band.about}",
        about=f"{len(songs)} songs without drums, bass or lead in turn; what is added is compared with what was there.",
        rows=tuple(rows),
    )


def _named(who: scores.Values, tracks: Sequence[str]) -> str:
    """How often a take scores higher on its own track than a take of another track does."""
    hits = [
        bool(who[one, TRACKS.index(track)] > who[two, TRACKS.index(track)])
        for one, track in enumerate(tracks)
        for two, other in enumerate(tracks)
        if other != track
    ]
    return f"{100 * float(np.mean(hits)):.0f} %" if hits else scores.NOTHING


def _fits(takes: list[Audio], true: list[Audio], what: str) -> list[Row]:
    """Whether takes move like the truth of their own song rather than like another song's."""
    rows = []
    bound = [through_autoencoder(piece) for piece in true]
    for name, likeness in LIKENESS:
        cells = []
        for pieces in (takes, turned(takes, 1), bound):
            own = [likeness(piece, truth) for piece, truth in zip(pieces, true, strict=True)]
            strange = [likeness(piece, truth) for piece, truth in zip(pieces, turned(true, 2), strict=True)]
            cells.append(scores.above_cell(own, strange))
        rows.append(Row(f"{name} correlation with {what}, AUC", *cells))
    return rows


def _complete(setting: Setting, band: Player) -> Section:
    songs = full_bands(setting.some(0.16), skip=5000)
    takes, mixes, given = [], [], []
    for number, song in enumerate(songs):
        stems, mix = rendered(song, setting.seconds)
        kept = track_of(song, KINDS[number % 3])
        path, _ = as_file(stems[kept], f"complete{number}", setting)
        words = lyrics_of(song, setting.seconds)
        request = Complete(
            source=path,
            tracks=tuple(Track(track) for track in song.tracks if track != kept),
            caption=caption_for(song),
            lyrics=words,
            instrumental=not words,
            metas=metas_of(song),
            guidance=band.guidance,
            seeds=(number,),
        )
        takes.append(band.play(request))
        mixes.append(mix)
        given.append(stems[kept])
    asked = np.array([[track in song.tracks for track in TRACKS] for song in songs])
    readings = [np.array([trained().scores(piece) for piece in pieces]) for pieces in (takes, mixes)]
    cells = [
        scores.mean_auc_cell(who, labels)
        for who, labels in ((readings[0], asked), (readings[0], np.array(turned(asked, 1))), (readings[1], asked))
    ]
    rows = [Row("instruments of the arrangement, mean AUC (control: of another song)", *cells)]
    rows += _fits(takes, mixes, "own true mix above another song's")
    rows += _fits(takes, given, "the track that was given above another song's")
    return Section(
        title=f"Complete: {band.about}",
        about=f"{len(songs)} songs of which one track is given and all others are asked for.",
        rows=tuple(rows),
    )
