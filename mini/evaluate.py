"""Measures what the bundled model does of what it is asked, against shuffled prompts and against perfect audio.

Every figure is computed three ways with the same estimators: on generated takes with their own prompt, on the same
takes with another take's prompt (the control: what chance and plain genre habits give), and on the composer's own audio
for those prompts (the ceiling of the estimators).
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from mini import data
from mini.composer import Song, caption_of, draw_song, lyrics_of, render
from mini.composer.instruments import RATE
from studio.engine.audio.measure import Measurement, measure, transient_rate
from studio.engine.engine import Engine
from studio.engine.requests import Metas, TextToMusic

MODELS = Path("data/models")


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """One piece of audio as the estimators hear it."""

    facts: Measurement
    duration: float
    low: float  # share of the energy below 120 Hz, dB: high with a kick drum
    hits: float  # how much of the energy comes in short bursts, dB: high with drums


def listen(audio: NDArray[np.float32], rate: int) -> Heard:
    """Measure one piece."""
    mono = audio.mean(0)
    return Heard(
        facts=measure(audio, rate),
        duration=audio.shape[1] / rate,
        low=low_level(mono, rate),
        hits=burst_level(mono, rate),
    )


def low_level(mono: NDArray[np.float32], rate: int) -> float:
    """Energy below 120 Hz over all energy, in dB."""
    power = np.abs(np.fft.rfft(mono)) ** 2
    return float(10 * np.log10(power[: int(120 * len(mono) / rate)].sum() / power.sum()))


def burst_level(mono: NDArray[np.float32], rate: int) -> float:
    """Energy above 2 kHz in the loudest tenth of 20 ms windows over the median window, in dB."""
    size = rate // 50
    windows = mono[: len(mono) // size * size].reshape(-1, size) * np.hanning(size)
    high = (np.abs(np.fft.rfft(windows)) ** 2)[:, int(2000 * size / rate) :].sum(1) + 1e-9
    ordered = np.sort(high)
    return float(10 * np.log10(ordered[-len(ordered) // 10 :].mean() / np.median(ordered)))


def request_of(song: Song, seconds: float, seed: int) -> TextToMusic:
    """The held-out song as a user would ask for it: a caption, and tempo and key as fields."""
    metas = Metas(bpm=song.bpm, key_scale=song.key_scale, time_signature=str(song.metre))
    caption = caption_of(song, np.random.default_rng((song.seed, 9)))
    words = lyrics_of(song, seconds)
    return TextToMusic(
        caption=caption, lyrics=words, instrumental=not words, metas=metas, duration=seconds, seeds=(seed,)
    )


FIGURES: dict[str, Callable[[Heard, Song], bool]] = {
    "BPM within 4 %": lambda heard, song: _tempo(heard, song, (1.0,)),
    "BPM within 4 %, half or double allowed": lambda heard, song: _tempo(heard, song, (0.5, 1.0, 2.0)),
    "key exact": lambda heard, song: heard.facts.key is not None and heard.facts.key.agrees(song.key_scale),
}


def _tempo(heard: Heard, song: Song, factors: Sequence[float]) -> bool:
    tempo = heard.facts.tempo
    return tempo is not None and any(abs(tempo.bpm * factor / song.bpm - 1) <= 0.04 for factor in factors)


def auc(values: Sequence[float], labels: Sequence[bool]) -> float:
    """Chance that a piece with the label scores above one without it."""
    pairs = [
        (a > b) + 0.5 * (a == b)
        for a, x in zip(values, labels, strict=True)
        if x
        for b, y in zip(values, labels, strict=True)
        if not y
    ]
    return float(np.mean(pairs)) if pairs else float("nan")


def interval(hits: Sequence[bool]) -> str:
    """Share with its 95 % Wilson interval, as percent."""
    n, p, z = len(hits), float(np.mean(hits)), 1.96
    centre = (p + z * z / 2 / n) / (1 + z * z / n)
    half = z * np.sqrt(p * (1 - p) / n + z * z / 4 / n / n) / (1 + z * z / n)
    return f"{100 * p:.0f} % ({100 * (centre - half):.0f}–{100 * (centre + half):.0f})"


def drum_pairs(engine: Engine, songs: list[Song], seconds: float) -> tuple[str, str]:
    """How often a song with drums has more transients than the same song, seed and facts with "no drums".

    The control compares two seeds of the same prompt without drums: half is chance.
    """
    more, control = [], []
    for index, song in enumerate(songs):
        bare = tuple(track for track in song.tracks if track != "drums") or ("keyboard",)
        asks = [replace(song, tracks=(*extra, *bare)) for extra in (("drums",), (), ())]
        seeds = (index, index, index + 1000)
        takes = [engine.generate(request_of(ask, seconds, seed))[0] for ask, seed in zip(asks, seeds, strict=True)]
        drums, none, other = (transient_rate(take.audio, take.sample_rate) for take in takes)
        more.append(drums > none)
        control.append(other > none)
    return interval(more), interval(control)


def evaluate(model: str, count: int, seconds: float) -> str:
    """Return the table of figures as Markdown."""
    songs = [draw_song(data.HELD_OUT + 1000 + index) for index in range(count)]
    engine = Engine.load(model, device="cpu", dirs=[MODELS])
    heard, true, took = [], [], []
    for index, song in enumerate(songs):
        started = time.perf_counter()
        take = engine.generate(request_of(song, seconds, index))[0]
        took.append(time.perf_counter() - started)
        heard.append(listen(take.audio, take.sample_rate))
        true.append(listen(render(song, seconds)[1], RATE))
    other = songs[7:] + songs[:7]
    rows = ["| figure | asked prompt | shuffled prompt | perfect audio |", "|---|---|---|---|"]
    for name, holds in FIGURES.items():
        cells = [
            interval([holds(h, s) for h, s in zip(pieces, facts, strict=True)])
            for pieces, facts in ((heard, songs), (heard, other), (true, songs))
        ]
        rows.append(f"| {name} | {' | '.join(cells)} |")
    drums, drums_other = (["drums" in song.tracks for song in list_] for list_ in (songs, other))
    measures: tuple[tuple[str, Callable[[Heard], float]], ...] = (
        ("transients a second", lambda h: h.facts.transients),
        ("burst level", lambda h: h.hits),
        ("level below 120 Hz", lambda h: h.low),
    )
    for name, value in measures:
        cells = [
            f"{auc([value(h) for h in pieces], labels):.2f}"
            for pieces, labels in ((heard, drums), (heard, drums_other), (true, drums))
        ]
        rows.append(f"| drums / no drums AUC by {name} | {' | '.join(cells)} |")
    more, control = drum_pairs(engine, songs, seconds)
    rows.append(f"| same song with drums has more transients than with no drums | {more} | {control} | – |")
    exact = [abs(h.duration - seconds) <= 0.1 for h in heard]
    rows.append(f"| duration within 0.1 s | {interval(exact)} | – | – |")
    rows.append(
        f"| seconds to make {seconds:g} s (median, {torch.get_num_threads()} threads) | {np.median(took):.2f} | – | – |"
    )
    head = f"{model}, {count} held-out prompts of {seconds:g} s, 95 % intervals in brackets."
    return head + "\n\n" + "\n".join(rows) + "\n"


def main() -> None:
    """Print the table, and write it to mini/REPORT.md when asked to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="acestep-mini-turbo")
    parser.add_argument("--count", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--json", action="store_true", help="print the table as one JSON string")
    parser.add_argument("--report", type=Path, help="also write the table to this file")
    options = parser.parse_args()
    table = evaluate(options.model, options.count, options.seconds)
    print(json.dumps(table) if options.json else table)
    if options.report:
        options.report.write_text(f"# What the mini model does of what it is asked\n\n{table}", encoding="utf-8")


if __name__ == "__main__":
    main()
