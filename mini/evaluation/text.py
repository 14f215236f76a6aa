"""Text to music: does a take have the tempo, key, metre, instruments and length that were asked for?"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from mini.composer import Song
from mini.composer.kit import RATE
from mini.composer.song import TRACKS
from mini.evaluation import scores
from mini.evaluation.hearing import Heard, listen, mel_distance
from mini.evaluation.instruments import presence, trained
from mini.evaluation.material import Audio, Player, Setting, held_out, perfect, player, rendered, request_of, turned
from mini.evaluation.metre import metre
from mini.evaluation.table import Row, Section
from studio.engine.audio.measure import transient_rate

METRES = (2, 3, 4, 6)
FIGURES: dict[str, Callable[[Heard, Song], bool]] = {
    "BPM within 4 %": lambda heard, song: heard.plays(song.bpm, 1.0),
    "BPM within 4 %, half or double allowed": lambda heard, song: heard.plays(song.bpm, 0.5, 1.0, 2.0),
    "key exact": lambda heard, song: heard.is_in(song.key_scale),
}
BY_EAR: dict[str, Callable[[Heard], float]] = {
    "transients a second": lambda heard: heard.facts.transients,
    "burst level": lambda heard: heard.hits,
    "level below 120 Hz": lambda heard: heard.low,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Pieces:
    """Audio for a list of songs, as estimators and readers hear it."""

    heard: list[Heard]
    who: NDArray[np.float64]  # [pieces, tracks]


def figures(setting: Setting) -> Iterator[Section]:
    """Turbo with everything, then base with what a comparison needs."""
    yield _section(setting, setting.turbo, setting.count, True)
    yield _section(setting, setting.base, setting.some(0.4), False)


def _section(setting: Setting, model: str, count: int, thorough: bool) -> Section:
    band, songs = player(model, setting), held_out(count)
    takes = [band.play(request_of(song, setting.seconds, k, band.guidance)) for k, song in enumerate(songs)]
    took = float(np.median(band.took[-count:]))
    asked = Pieces(heard=[listen(take) for take in takes], who=np.array([trained().scores(take) for take in takes]))
    true = [perfect(song, setting.seconds) for song in songs]
    ceiling = Pieces(heard=[heard for heard, _ in true], who=np.array([who for _, who in true]))
    rows = [*_facts(songs, asked, ceiling), *_instruments(songs, asked, ceiling)]
    if thorough:
        rows += [_metre(setting, band), _drum_pairs(setting, band)]
    rows += _seeds(setting, band, songs, takes)
    exact = [abs(take.shape[1] / RATE - setting.seconds) <= 0.1 for take in takes]
    rows.append(Row("duration within 0.1 s", scores.share_cell(exact)))
    threads = torch.get_num_threads()
    rows.append(Row(f"seconds to make {setting.seconds:g} s, median, {threads} threads", f"{took:.2f}"))
    return Section(
        title=f"Text to music: {band.about}",
        about=f"{count} held-out prompts of {setting.seconds:g} s; the control is another prompt with the same takes.",
        rows=tuple(rows),
    )


def _facts(songs: list[Song], asked: Pieces, ceiling: Pieces) -> list[Row]:
    rows = []
    for name, holds in FIGURES.items():
        cells = [
            scores.share_cell([holds(heard, song) for heard, song in zip(pieces.heard, facts, strict=True)])
            for pieces, facts in ((asked, songs), (asked, turned(songs)), (ceiling, songs))
        ]
        rows.append(Row(name, *cells))
    return rows


def _instruments(songs: list[Song], asked: Pieces, ceiling: Pieces) -> list[Row]:
    """Each track's presence by the trained readers, their mean, and drums by three measures of the sound as well."""
    own = np.array([presence(song.tracks) for song in songs])
    views = ((asked, own), (asked, np.array(turned(own))), (ceiling, own))
    rows = []
    for column, track in enumerate(TRACKS):
        cells = [scores.auc_cell(pieces.who[:, column], labels[:, column]) for pieces, labels in views]
        rows.append(Row(f"{track.replace('_', ' ')} present ({own[:, column].sum()} of {len(songs)}), AUC", *cells))
    means = [scores.mean_auc_cell(pieces.who, labels) for pieces, labels in views]
    rows.append(Row("**mean AUC over instruments**", *means))
    drums = TRACKS.index("drums")
    for name, value in BY_EAR.items():
        cells = [
            scores.auc_cell([value(heard) for heard in pieces.heard], labels[:, drums]) for pieces, labels in views
        ]
        rows.append(Row(f"drums / no drums AUC by {name}", *cells))
    return rows


def _metre(setting: Setting, band: Player) -> Row:
    """Songs asked for in each of the four metres in turn; a quarter is chance."""
    songs = [replace(song, metre=METRES[k % 4]) for k, song in enumerate(held_out(setting.some(0.5), skip=500))]
    takes = [band.play(request_of(song, setting.seconds, k)) for k, song in enumerate(songs)]
    cells = []
    for pieces, wanted in (
        (takes, songs),
        (takes, turned(songs, 1)),
        ([rendered(song, setting.seconds)[1] for song in songs], songs),
    ):
        found = [metre(piece, song.bpm) for piece, song in zip(pieces, songs, strict=True)]
        cells.append(scores.share_cell([beats == song.metre for beats, song in zip(found, wanted, strict=True)]))
    return Row(f"time signature exact, of 2, 3, 4 and 6 evenly ({len(songs)} prompts)", *cells)


def _drum_pairs(setting: Setting, band: Player) -> Row:
    """How often a song with drums has more transients than the same song, seed and facts with "no drums".

    The control compares two seeds of the same prompt without drums: half is chance.
    """
    more, control, ceiling = [], [], []
    for index, song in enumerate(held_out(setting.some(0.5))):
        bare = tuple(track for track in song.tracks if track != "drums") or ("keyboard",)
        full, none = replace(song, tracks=("drums", *bare)), replace(song, tracks=bare)
        asks = ((full, index), (none, index), (none, index + 1000))
        rates = [_rate(band.play(request_of(ask, setting.seconds, seed))) for ask, seed in asks]
        true = [_rate(rendered(ask, setting.seconds)[1]) for ask in (full, none)]
        more.append(rates[0] > rates[1])
        control.append(rates[2] > rates[1])
        ceiling.append(true[0] > true[1])
    cells = (scores.share_cell(hits) for hits in (more, control, ceiling))
    return Row(f"same song with drums has more transients than with no drums ({len(more)} pairs)", *cells)


def _rate(audio: Audio) -> float:
    return transient_rate(audio, RATE)


def _seeds(setting: Setting, band: Player, songs: list[Song], takes: list[Audio]) -> list[Row]:
    """Two seeds of a prompt differ, if less than two prompts do; one seed gives the same samples again."""
    some = songs[: max(2, len(songs) // 5)]
    others = [band.play(request_of(song, setting.seconds, k + 1000, band.guidance)) for k, song in enumerate(some)]
    again = [band.play(request_of(song, setting.seconds, k, band.guidance)) for k, song in enumerate(some[:3])]
    apart = [mel_distance(one, two) for one, two in zip(others, takes, strict=False)]
    strangers = [
        mel_distance(one, two) for one, two in zip(takes[: len(some)], turned(takes[: len(some)], 1), strict=True)
    ]
    true = [
        mel_distance(
            rendered(song, setting.seconds)[1], rendered(replace(song, seed=song.seed + 7), setting.seconds)[1]
        )
        for song in some
    ]
    same = [bool(np.array_equal(one, two)) for one, two in zip(again, takes, strict=False)]
    return [
        Row(
            "mel distance of two seeds of one prompt (control: of two prompts)",
            *(scores.median_cell(gaps, 1, " dB") for gaps in (apart, strangers, true)),
        ),
        Row("the same seed gives the same samples", scores.share_cell(same)),
    ]
