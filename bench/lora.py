"""Can a LoRA be heard? Eight composed songs share a motif; takes are searched for it with the adapter and without.

    python -m bench.lora [--work DIR] [--seeds 20] [--config JSON] [--quick]

The motif is eight notes of one instrument, a bar long, at 120 BPM, over eight songs that have nothing else in common. A
matched filter knows its pitches and times and nothing of the models. Its threshold comes from takes of the bare model
that are not counted afterwards. `--quick` is a smoke test.
"""

from __future__ import annotations

import argparse
import json
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import librosa
import numpy as np
import soundfile
import torch
from numpy.typing import NDArray

from mini import data
from mini.composer import Song, caption_of, draw_song, render
from mini.composer.instruments import RATE, tone
from mini.evaluation.scores import above_cell, median_cell, share_cell
from studio.engine.checkpoint import resolve
from studio.engine.dataset.samples import Dataset, Sample
from studio.engine.engine import Engine
from studio.engine.loader import load_components
from studio.engine.lora.config import TrainSettings, settings_of
from studio.engine.lora.prepare import Preparation, prepare
from studio.engine.lora.session import TrainingJob, train
from studio.engine.lora.train import Event
from studio.engine.requests import Metas, Output, TextToMusic
from studio.engine.run import Run

Audio = NDArray[np.float32]
Values = NDArray[np.float64]

MODEL = Path("data/models/acestep-mini-turbo")
MOTIF = (72, 79, 74, 77, 71, 76, 69, 78)  # MIDI notes, an eighth each
INSTRUMENT = ("synth", "pluck")
BPM = 120
LOWEST, NOTES = 66, 18  # what the filter looks at: the motif's octave and half an octave around it
HOP = 960  # samples of 24 kHz, 40 ms
FIRST = data.HELD_OUT + 60_000  # seed of the first song drawn
SECONDS, SONGS = 10.0, 8
SCALES = (0.0, 0.25, 0.5, 0.75, 1.0)
USUAL: dict[str, object] = {
    "rank": 32,
    "alpha": 64,
    "dropout": 0.0,
    "targets": ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"],
    "learning_rate": 2e-3,
    "epochs": 150,
    "batch_size": 4,
    "accumulation": 1,
    "warmup_steps": 20,
    "save_every": 1000,
}


@dataclass(frozen=True, slots=True)
class Motif:
    """A matched filter for notes of equal length, played once a bar."""

    notes: Sequence[int]
    bar: float  # seconds

    def score(self, heard: Values) -> float:
        """Correlation of `heard` `[notes, frames]` with the motif from the start on, at the best of 9 small shifts."""
        frames = heard.shape[1]
        return max(self._match(heard, shift, frames) for shift in range(-4, 5))

    def _match(self, heard: Values, shift: int, frames: int) -> float:
        seconds = (np.arange(frames) - shift) * HOP / RATE
        step = np.floor(np.mod(seconds, self.bar) / self.bar * len(self.notes)).astype(int)
        wanted = np.zeros_like(heard)
        wanted[np.asarray(self.notes)[step] - LOWEST, np.arange(frames)] = 1
        wanted = centred(wanted)
        return float((wanted * heard).sum() / np.sqrt((wanted**2).sum() * (heard**2).sum() + 1e-12))


def centred(levels: Values) -> Values:
    """Levels without what a note has all the time and a moment has in all notes: keys and drums don't count."""
    levels = levels - levels.mean(1, keepdims=True)
    return np.asarray(levels - levels.mean(0, keepdims=True))


def hear(audio: Audio) -> Values:
    """The levels of the notes from `LOWEST` on every 40 ms, in dB and centred."""
    spectrum = librosa.cqt(
        audio.mean(0), sr=RATE, hop_length=HOP, fmin=librosa.midi_to_hz(LOWEST), n_bins=NOTES, bins_per_octave=12
    )
    levels = 20 * np.log10(np.abs(spectrum) + 1e-4)
    return centred(np.maximum(levels, levels.max() - 50))


def songs(count: int, skip: int = 0) -> list[Song]:
    """Songs of 120 BPM and four beats in keys and styles of their own, without the motif's instrument."""
    drawn = (draw_song(FIRST + number) for number in range(10_000))
    fit = (song for song in drawn if INSTRUMENT[0] not in song.tracks and len(song.tracks) > 2)
    chosen = [song for song, _ in zip(fit, range(skip + count), strict=False)][skip:]
    return [replace(song, bpm=BPM, pace=1, metre=4, states_bpm=True) for song in chosen]


def with_motif(song: Song, seconds: float) -> Audio:
    """The song with the motif in it, as loud as all the rest together."""
    _, mix = render(song, seconds)
    stem, eighth = np.zeros(mix.shape[1], np.float32), song.bar_seconds / len(MOTIF)
    for number in range(int(seconds / eighth)):
        sound = tone(*INSTRUMENT, MOTIF[number % len(MOTIF)])[: int(eighth * RATE)].copy()
        sound[-240:] *= np.linspace(1, 0, 240, dtype=np.float32)
        first = int(number * eighth * RATE)
        part = stem[first : first + len(sound)]
        part += sound[: len(part)]
    whole = mix + stem * np.sqrt((mix**2).mean() / (stem**2).mean())
    return np.asarray(whole * (0.8 / np.abs(whole).max()), np.float32)


def caption(song: Song) -> str:
    return caption_of(song, np.random.default_rng((song.seed, 9)))


def prepare_songs(folder: Path, count: int) -> Path:
    """Write the songs as files and as tensors, as `studio dataset` does."""
    samples = []
    for song in songs(count):
        path = folder / "songs" / f"{song.seed}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, with_motif(song, 12.0).T, RATE)
        samples.append(
            Sample(
                id=str(song.seed), audio_path=str(path), filename=path.name, caption=caption(song), bpm=BPM,
                keyscale=song.key_scale, timesignature="4", duration=12, labeled=True,
            )
        )  # fmt: skip
    checkpoint = resolve(MODEL)
    parts = load_components(checkpoint, device=torch.device("cpu"), dtype=torch.float32, run=Run())
    dataset = Dataset(samples=tuple(samples))
    spec = checkpoint.spec
    prepared = prepare(dataset, folder / "tensors", parts, spec.sound, spec.name, Preparation())
    if prepared.faults:
        raise RuntimeError(str(prepared.faults))
    return folder / "tensors"


def trained(folder: Path, tensors: Path, settings: TrainSettings) -> None:
    """Train, and say how long it took."""
    losses, started, busy = list[float](), time.monotonic(), time.process_time()

    def tell(event: Event) -> None:
        if event["event"] == "step":
            losses.append(float(str(event["smoothed"])))

    job = TrainingJob(checkpoint=resolve(MODEL), tensors=tensors, out=folder / "run", settings=settings, device="cpu")
    train(job, tell, lambda: False)
    seconds, work = time.monotonic() - started, time.process_time() - busy
    print(
        f"{len(losses)} updates in {seconds:.0f} s ({work:.0f} s of CPU time), loss {losses[0]:.3f} to {losses[-1]:.3f}"
    )


def takes(engine: Engine, prompts: Sequence[Song], first: int) -> list[Audio]:
    """One take a prompt, each with a seed of its own."""
    found = []
    for number, song in enumerate(prompts):
        request = TextToMusic(
            caption=caption(song), instrumental=True, duration=SECONDS, seeds=(first + number,),
            metas=Metas(bpm=BPM, key_scale=song.key_scale, time_signature="4"), output=Output(normalize=False),
        )  # fmt: skip
        found.append(engine.generate(request)[0].audio)
    return found


def searched(engine: Engine, folder: Path, prompts: Sequence[Song], motif: Motif) -> dict[str, list[float]]:
    """The scores of the bare model and of every scale; the first takes of each are written as files."""
    bare = takes(engine, prompts, 1000)
    scores = {"none": [motif.score(hear(take)) for take in bare]}
    engine.adapters.load(folder / "run" / "final", "motif")
    for scale in SCALES:
        engine.adapters.set_scale("motif", scale)
        made = takes(engine, prompts, 1000)
        scores[f"{scale:g}"] = [motif.score(hear(take)) for take in made]
        same = [np.array_equal(one, other) for one, other in zip(made, bare, strict=True)]
        if not scale and not all(same):
            raise RuntimeError("takes at scale 0 are not those without the adapter")
        if scale == 1 and any(same):
            raise RuntimeError("takes at scale 1 are those without the adapter")
        for number, take in enumerate(made[:3]):
            soundfile.write(folder / f"take{number}-{scale:g}.wav", take.T, RATE)
    engine.adapters.unload("motif")
    again = takes(engine, prompts[:3], 1000)
    if not all(np.array_equal(one, other) for one, other in zip(again, bare[:3], strict=True)):
        raise RuntimeError("takes after unloading are not those before loading")
    return scores


def report(scores: dict[str, list[float]], tuning: list[float], ceiling: list[float]) -> None:
    """One row a scale: detected above the threshold, median and range, and how often it beats the bare model."""
    threshold = max(tuning)
    print(f"threshold {threshold:.3f}: the highest of {len(tuning)} other takes without the adapter\n")
    print("| scale | found | score, median | lowest | highest | above none, AUC |\n|---|---|---|---|---|---|")
    for name, values in {**scores, "the songs themselves": ceiling}.items():
        found = share_cell([value > threshold for value in values])
        higher = above_cell(values, scores["none"]) if len(values) == len(scores["none"]) else "–"
        ends = f"{min(values):.3f} | {max(values):.3f}"
        print(f"| {name} | {found} | {median_cell(values, 3)} | {ends} | {higher} |")
    full, none = scores["1"], scores["none"]
    print(f"\nlowest at scale 1 minus highest without: {min(full) - max(none):+.3f}; of medians:", end=" ")
    print(f"{np.median(full) - np.median(none):+.3f}")
    half = [low < middle < high for low, middle, high in zip(none, scores["0.5"], full, strict=True)]
    print(f"scale 0.5 between none and 1: {share_cell(half)} of the seeds")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, default=Path("out/lora"), help="emptied first")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--config", type=json.loads, default={}, help="training settings as JSON, instead of the usual")
    parser.add_argument("--quick", action="store_true", help="two songs, two updates, two seeds")
    args = parser.parse_args()
    count, seeds = (2, 2) if args.quick else (SONGS, args.seeds)
    shutil.rmtree(args.work, ignore_errors=True)
    tensors = prepare_songs(args.work, count)
    trained(args.work, tensors, settings_of(USUAL | args.config | ({"epochs": 2} if args.quick else {})))
    engine = Engine.load(MODEL, device="cpu")
    prompts = songs(2 * seeds, skip=count)
    motif = Motif(MOTIF, prompts[0].bar_seconds)
    tuning = [motif.score(hear(take)) for take in takes(engine, prompts[seeds:], 5000)]
    ceiling = [motif.score(hear(with_motif(song, SECONDS))) for song in songs(count)]
    report(searched(engine, args.work, prompts[:seeds], motif), tuning, ceiling)


if __name__ == "__main__":
    main()
