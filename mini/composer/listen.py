"""Listens to the composer with numbers: can tempo, key and instruments be heard, and how fast does it play?

`python -m mini.composer.listen --out DIR` also writes twenty seconds of every genre as wav files.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mini.composer import Song, draw_song, render
from mini.composer.kit import RATE
from mini.composer.mixing import HIGH
from mini.composer.song import GENRES, TRACKS
from studio.engine.audio.measure import measure

FIRST = 30_000_000  # seed of the first song listened to
Values = NDArray[np.float64]


def ceilings(count: int, seconds: float) -> Iterator[str]:
    """How often the studio's own estimators find the tempo and the key of the composer's songs."""
    rows: dict[str, list[float]] = {"BPM within 4 %, half or double allowed": [], "BPM within 4 %": [], "key exact": []}
    shares, busy = [], 0.0
    for seed in range(FIRST, FIRST + count):
        song, started = draw_song(seed), time.process_time()
        stems, mix = render(song, seconds)
        busy += time.process_time() - started
        heard = measure(mix, RATE)
        rows["BPM within 4 %, half or double allowed"].append(bool(heard.tempo and heard.tempo.agrees(song.bpm)))
        rows["BPM within 4 %"].append(bool(heard.tempo and abs(heard.tempo.bpm / song.bpm - 1) <= 0.04))
        rows["key exact"].append(bool(heard.key and heard.key.agrees(song.key_scale)))
        if "drums" in stems:
            shares.append(_high_energy(stems["drums"]) / _high_energy(mix))
    for name, hits in rows.items():
        yield f"{name}: {100 * np.mean(hits):.0f} % of {count} songs of {seconds:g} s"
    low, middle, high = np.percentile(shares, [10, 50, 90])
    yield f"drums' share of the energy above {HIGH:.0f} Hz: median {middle:.2f}, 80 % between {low:.2f} and {high:.2f}"
    yield f"rendering: {count * seconds / busy:.0f} times real time on one core"


def _high_energy(sound: NDArray[np.float32]) -> float:
    spectrum = np.abs(np.fft.rfft(sound.mean(0))) ** 2
    return float(spectrum[int(HIGH * sound.shape[1] / RATE) :].sum())


def genres(out: Path | None) -> Iterator[str]:
    """One row for each genre: what was asked, what is heard, and the level."""
    yield "| genre | seed | tracks | BPM asked, heard | key asked, heard | centroid | crest | loudness |"
    yield "|---|---|---|---|---|---|---|---|"
    for name in GENRES:
        song = _typical(name)
        mix = render(song, 20.0)[1]
        heard = measure(mix, RATE)
        power = np.abs(np.fft.rfft(mix.mean(0)))
        centroid = float((power * np.fft.rfftfreq(mix.shape[1], 1 / RATE)).sum() / power.sum())
        crest = 20 * np.log10(np.abs(mix).max() / np.sqrt(np.mean(mix**2)))
        tempo, key = heard.tempo.bpm if heard.tempo else 0.0, heard.key.scale if heard.key else "–"
        yield (
            f"| {name} | {song.seed} | {', '.join(song.tracks)} | {song.bpm}, {tempo:.1f} | {song.key_scale}, {key} "
            f"| {centroid:.0f} Hz | {crest:.1f} dB | {heard.loudness or -70:.1f} LUFS |"
        )
        if out:
            import soundfile

            out.mkdir(parents=True, exist_ok=True)
            soundfile.write(out / f"{name.replace(' ', '_')}.wav", mix.T, RATE)


def _typical(name: str) -> Song:
    """A song of the genre with a band of usual size, singing if it can, in the genre's first metre."""
    songs = [song for song in map(draw_song, range(400)) if song.genre == name]
    metre = GENRES[name].metres[0]
    return max(songs, key=lambda song: (song.metre == metre, 4 <= len(song.tracks) <= 8, "vocals" in song.tracks))


def told_apart(count: int) -> Iterator[str]:
    """How well a linear reader of latent statistics knows each track (area under the curve, five folds by song).

    It reads the stem, the stem decoded and encoded again, and the mix.
    """
    stems: list[tuple[int, str, Values, Values]] = []
    mixes, present = [], []
    for number in range(count):
        song = draw_song(FIRST + 1000 + number)
        parts, mix = render(song, 10.0)
        mixes.append(_statistics(mix)[0])
        present.append([track in song.tracks for track in TRACKS])
        for track, stem in parts.items():
            level = np.float32(0.13 / max(float(np.sqrt(np.mean(stem**2))), 1e-4))  # loudness must not tell
            stems.append((number, track, *_statistics(stem * level)))
    owners, folds = np.array([row[1] for row in stems]), np.array([row[0] for row in stems])
    once, twice = np.array([row[2] for row in stems]), np.array([row[3] for row in stems])
    yield "| track | stems | AUC of the stem | decoded | in the mix |"
    yield "|---|---|---|---|---|"
    for index, track in enumerate(TRACKS):
        is_track, in_mix = owners == track, np.array(present)[:, index]
        scores = (_auc(once, is_track, folds), _auc(twice, is_track, folds))
        mixed = _auc(np.array(mixes), in_mix, np.arange(count))
        yield f"| {track} | {is_track.sum()} | {scores[0]:.3f} | {scores[1]:.3f} | {mixed:.3f} |"


def _statistics(audio: NDArray[np.float32]) -> tuple[Values, Values]:
    """Statistics over time of the latents of `audio` `[2, S]`, and of those of its decoding."""
    import torch

    from studio.engine.spectral import SpectralAutoencoder

    vae = SpectralAutoencoder()
    with torch.no_grad():
        latents = vae.encode(torch.from_numpy(audio)[None]).latent_dist.mode()
        again = vae.encode(vae.decode(latents).sample).latent_dist.mode()
    rows = []
    for values in (latents[0].double().numpy(), again[0].double().numpy()):
        moves = np.diff(values, axis=1).std(1)
        rows.append(np.concatenate([values.mean(1), values.std(1), moves, np.percentile(values, 90, axis=1)]))
    return rows[0], rows[1]


def _auc(values: Values, labels: NDArray[np.bool_], folds: NDArray[np.int64]) -> float:
    """Area under the curve of ridge regression, each fifth of the songs judged by a fit to the others."""
    scores = np.zeros(len(labels))
    for fold in range(5):
        test = folds % 5 == fold
        mean, spread = values[~test].mean(0), values[~test].std(0) + 1e-6
        fit, held = ((part - mean) / spread for part in (values[~test], values[test]))
        wanted = labels[~test] - labels[~test].mean()
        weights = np.linalg.solve(fit.T @ fit + 100 * np.eye(fit.shape[1]), fit.T @ wanted)
        scores[test] = held @ weights
    ranks = scores.argsort().argsort() + 1.0
    positive = int(labels.sum())
    return float((ranks[labels].sum() - positive * (positive + 1) / 2) / (positive * (len(labels) - positive)))


def main() -> None:
    """Print all figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--stems", type=int, default=200, help="songs whose instruments are told apart; 0 to skip")
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    for line in ceilings(options.count, options.seconds):
        print(line, flush=True)
    for line in genres(options.out):
        print(line, flush=True)
    if options.stems:
        for line in told_apart(options.stems):
            print(line, flush=True)


if __name__ == "__main__":
    main()
