"""Measures the mini language model: are facts legal, kept, plausible; does it hear tempo and key; do its codes obey it.

Beside each figure stands the same with another song's truth (the control); real codes give what the
sound estimators reach at best. `decoder` is the one place where codes become sound: the detokenizer's
latents through the spectral autoencoder, without a DiT.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from mini import data
from mini.composer import Song, draw_song
from mini.evaluate import auc, interval
from mini.lm.bank import Bank, load_bank
from mini.lm.export import NAME
from mini.lm.texts import key_of, user_caption, words_of
from studio.engine.audio.measure import measure, transient_rate
from studio.engine.lm import prompts
from studio.engine.lm.backend import Job
from studio.engine.lm.grammar import GrammarSpec, Mode
from studio.engine.lm.metadata import FIELDS, Facts
from studio.engine.lm.planner import Planner
from studio.engine.lm.requests import Draw, Guidance, PlanRequest
from studio.engine.lm.results import parse_answer
from studio.engine.requests import (
    KEY_SCALES,
    LANGUAGES,
    MAX_BPM,
    MAX_DURATION,
    MIN_BPM,
    MIN_DURATION,
    TIME_SIGNATURES,
    Metas,
)
from studio.engine.run import Phase, Run
from studio.engine.spectral import SpectralAutoencoder

Sound = tuple[NDArray[np.float32], int]  # [2, samples] and Hz
Decoder = Callable[[Sequence[int]], Sound]
AT_ONCE = 16  # texts
GREEDY = Draw(temperature=0.0)


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the report."""

    figure: str
    own: str
    control: str = "–"


def decoder_of(bank: Bank) -> Decoder:
    """Sound of codes by the detokenizer alone; an engine with the audio tokenizer can take its place."""
    vae = SpectralAutoencoder()
    vae.latent_mean, vae.latent_std = torch.from_numpy(bank.mean), torch.from_numpy(bank.spread)

    def decode(codes: Sequence[int]) -> Sound:
        latents = torch.from_numpy(np.concatenate([bank.chunks[code] for code in codes]))
        with torch.no_grad():
            audio = vae.decode(latents.T[None]).sample[0]
        return audio.numpy(), vae.config.sampling_rate

    return decode


def understood(planner: Planner, rows: Sequence[Sequence[int]], draw: Draw = GREEDY) -> list[Facts]:
    """What the model says of codes: the facts of `Planner.understand`, many at once and without the words."""
    vocabulary, facts = planner.backend.vocabulary, list[Facts]()
    spec = GrammarSpec(mode=Mode.FACTS, fields=FIELDS)
    for first in range(0, len(rows), AT_ONCE):
        jobs = [
            Job(
                prompt=tuple(vocabulary.encode(prompts.understand_prompt(map(int, codes)))),
                grammar=spec,
                draw=draw,
                seed=first + index,
                stream="facts",
                limit=700,
            )
            for index, codes in enumerate(rows[first : first + AT_ONCE])
        ]
        written = planner.backend.write(jobs, Run(), Phase.THINKING)
        facts += [parse_answer(vocabulary, text.tokens).facts for text in written]
    return facts


def hearing_rows(planner: Planner, bank: Bank, count: int) -> list[Row]:
    """Tempo, key and metre of held-out songs from their real codes."""
    rows = np.flatnonzero(bank.held_out & bank.unchanged)[:count]
    songs = [bank.song(row) for row in rows]
    facts = understood(planner, [bank.codes[row] for row in rows])
    others = songs[7:] + songs[:7]
    tests: dict[str, Callable[[Facts, Song], bool]] = {
        "understand: BPM within 4 %": lambda said, song: _near(said.bpm, song.bpm, (1.0,)),
        "understand: BPM within 4 %, half or double allowed": lambda said, song: _near(
            said.bpm, song.bpm, (0.5, 1.0, 2.0)
        ),
        "understand: key exact": lambda said, song: said.keyscale == key_of(song),
        "understand: metre": lambda said, song: said.timesignature == str(song.metre),
        "understand: style": lambda said, song: said.genres == song.genre,
        "understand: says no drums when there are none, drums when there are": lambda said, song: (
            _says_drums(said.caption or "") == ("drums" in song.tracks)
        ),
    }
    return [
        Row(name, *(interval([holds(f, s) for f, s in zip(facts, truth, strict=True)]) for truth in (songs, others)))
        for name, holds in tests.items()
    ]


def plan_rows(planner: Planner, decode: Decoder, count: int, seconds: float) -> list[Row]:
    """Plans from captions alone: legal, plausible, and with codes that sound like their own facts."""
    songs = [draw_song(data.HELD_OUT + 3000 + index) for index in range(count)]
    takes, captions = [], []
    for index, song in enumerate(songs):
        rng = np.random.default_rng((song.seed, 31))
        captions.append(user_caption(song, rng))
        words = words_of(song, seconds, "en" if "vocals" in song.tracks else "unknown", rng)
        request = PlanRequest(
            caption=captions[-1], lyrics=words, seeds=(index,), duration=seconds, guidance=Guidance(scale=2.0)
        )
        takes.append(planner.plan(request).takes[0])
    facts = [take.facts for take in takes]
    sounds = [decode(take.codes) for take in takes]
    heard = [measure(*sound) for sound in sounds]
    hits = [transient_rate(*sound) for sound in sounds]
    drums = [_says_drums(caption) for caption in captions]
    paces = [_pace(song.bpm) for song in songs]
    turn = [(index + 7) % count for index in range(count)]
    tempo = [bool(h.tempo and f.bpm and h.tempo.agrees(f.bpm)) for h, f in zip(heard, facts, strict=True)]
    other = [
        bool(h.tempo and facts[t].bpm and h.tempo.agrees(facts[t].bpm or 0)) for h, t in zip(heard, turn, strict=True)
    ]
    key = [bool(h.key and f.keyscale and h.key.agrees(f.keyscale)) for h, f in zip(heard, facts, strict=True)]
    key_other = [bool(h.key and h.key.agrees(facts[t].keyscale or "")) for h, t in zip(heard, turn, strict=True)]
    return [
        Row("plan: every fact legal", interval([_legal(one) for one in facts])),
        Row(
            "plan: BPM of the caption's pace (slow, medium, fast)",
            interval([_pace(f.bpm or 0) == pace for f, pace in zip(facts, paces, strict=True)]),
            interval([_pace(f.bpm or 0) == paces[t] for f, t in zip(facts, turn, strict=True)]),
        ),
        Row("plan: codes as long as asked", interval([len(take.codes) == int(seconds * 5) for take in takes])),
        Row("plan: tempo of the codes is the plan's, half or double allowed", interval(tempo), interval(other)),
        Row("plan: key of the codes is the plan's", interval(key), interval(key_other)),
        Row(
            "plan: transients tell captions with drums, AUC",
            f"{auc(hits, drums):.2f}",
            f"{auc(hits, [drums[t] for t in turn]):.2f}",
        ),
    ]


def kept_row(planner: Planner, count: int) -> Row:
    """Whether every value a user set comes back unchanged."""
    kept = []
    for index in range(count):
        song = draw_song(data.HELD_OUT + 5000 + index)
        rng = np.random.default_rng((song.seed, 32))
        language = str(rng.choice(LANGUAGES[:-1]))
        key = str(rng.choice(KEY_SCALES))
        metas = Metas(bpm=int(rng.integers(MIN_BPM, MAX_BPM + 1)), key_scale=key, time_signature=str(song.metre))
        request = PlanRequest(
            caption=user_caption(song, rng), metas=metas, vocal_language=language, seeds=(index,), make_codes=False
        )
        facts = planner.plan(request).takes[0].facts
        said = (facts.bpm, facts.keyscale, facts.timesignature, facts.language)
        kept.append(said == (metas.bpm, key, metas.time_signature, language))
    return Row("plan: the user's BPM, key, metre and language kept", interval(kept))


def ceiling_rows(bank: Bank, decode: Decoder, count: int, seconds: float) -> list[Row]:
    """The same estimators on real songs' codes: what the audio tokenizer and the estimators leave of the truth."""
    rows = np.flatnonzero(bank.held_out & bank.unchanged)[:count]
    songs = [bank.song(row) for row in rows]
    sounds = [decode(bank.codes[row][: int(seconds * 5)].tolist()) for row in rows]
    heard = [measure(*sound) for sound in sounds]
    tempo = [bool(h.tempo and h.tempo.agrees(s.bpm)) for h, s in zip(heard, songs, strict=True)]
    key = [bool(h.key and h.key.agrees(key_of(s))) for h, s in zip(heard, songs, strict=True)]
    hits = [transient_rate(*sound) for sound in sounds]
    return [
        Row("real codes: tempo heard, half or double allowed", interval(tempo)),
        Row("real codes: key heard", interval(key)),
        Row("real codes: transients tell drums, AUC", f"{auc(hits, ['drums' in s.tracks for s in songs]):.2f}"),
    ]


def _near(bpm: int | None, truth: int, factors: Sequence[float]) -> bool:
    return bpm is not None and any(abs(bpm * factor / truth - 1) <= 0.04 for factor in factors)


def _pace(bpm: int) -> int:
    return 0 if bpm < 88 else 1 if bpm < 122 else 2


def _says_drums(caption: str) -> bool:
    """Whether a caption speaks of drums and doesn't deny them."""
    low = caption.lower()
    denied = any(word in low for word in ("no drums", "without drums", "drumless"))
    return "drum" in low and not denied


def _legal(facts: Facts) -> bool:
    return (
        facts.bpm is not None
        and MIN_BPM <= facts.bpm <= MAX_BPM
        and bool(facts.caption)
        and facts.duration is not None
        and MIN_DURATION <= facts.duration <= MAX_DURATION
        and facts.keyscale in KEY_SCALES
        and facts.language in LANGUAGES
        and facts.timesignature in TIME_SIGNATURES
    )


def evaluate(folder: Path, count: int, plans: int, seconds: float) -> str:
    """Return the table of figures as Markdown."""
    started, bank = time.time(), load_bank()
    planner, decode = Planner.load(folder, device="cpu"), decoder_of(bank)
    rows = hearing_rows(planner, bank, count)
    rows += plan_rows(planner, decode, plans, seconds)
    rows.append(kept_row(planner, plans))
    rows += ceiling_rows(bank, decode, plans, seconds)
    lines = [f"| {row.figure} | {row.own} | {row.control} |" for row in rows]
    head = f"{planner.name}: {count} held-out songs of 24 s to understand, {plans} plans of {seconds:g} s"
    table = ["| figure | own | another song's |", "|---|---|---|", *lines]
    return f"{head}; 95 % intervals in brackets; {time.time() - started:.0f} s.\n\n" + "\n".join(table) + "\n"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, default=Path("data/models") / NAME)
    parser.add_argument("--count", type=int, default=100, help="songs to understand")
    parser.add_argument("--plans", type=int, default=40)
    parser.add_argument("--seconds", type=float, default=12.0)
    parser.add_argument("--report", type=Path, help="also write the table to this file")
    options = parser.parse_args()
    torch.set_num_threads(1)
    table = evaluate(options.model, options.count, options.plans, options.seconds)
    print(table)
    if options.report:
        options.report.write_text(
            f"# What the mini language model does of what it is asked\n\n{table}", encoding="utf-8"
        )


if __name__ == "__main__":
    main()
