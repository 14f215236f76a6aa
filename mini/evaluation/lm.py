"""The 5 Hz language model: are its facts legal, kept and plausible; does it hear; do its codes obey its own facts?

Codes of held-out songs are made on the spot by the audio tokenizer of the base model, and codes become sound by its
detokenizer and the autoencoder, without a DiT.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from mini.codes import Codec, read_codec
from mini.composer import Song, draw_song
from mini.composer.kit import RATE
from mini.composer.song import TRACKS
from mini.evaluation import scores
from mini.evaluation.hearing import Heard, listen
from mini.evaluation.instruments import presence, trained
from mini.evaluation.material import FIRST, Audio, Setting, held_out, rendered, turned
from mini.evaluation.table import Row, Section, skipped
from mini.evaluation.tokenizer import codes_of, sound_of
from mini.lm.texts import key_of, user_caption, words_of
from studio.engine.audio.measure import transient_rate
from studio.engine.lm import prompts
from studio.engine.lm.backend import Job
from studio.engine.lm.grammar import GrammarSpec, Mode
from studio.engine.lm.metadata import FIELDS, Facts
from studio.engine.lm.planner import Planner
from studio.engine.lm.requests import Draw, Guidance, PlanRequest
from studio.engine.lm.results import TakePlan, parse_answer
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

CHECKPOINT = "acestep-5Hz-lm-mini"
HEARD_SECONDS = 24.0  # of a song to understand
AT_ONCE = 16  # texts
FOREIGN = (  # captions no composer of ours would write, and what of them may not be lost
    "slow sad piano ballad",
    "techno, 140 bpm",
    "a lullaby for my grandmother, no drums",
    "angry punk with shouting, 178 BPM",
    "soundtrack of a chess tournament on the moon",
    "Baroque harpsichord fugue",
    "drum and bass, 174 bpm, rolling reese bass",
    "bagpipes over a gentle rain",
    "cheerful ukulele jingle for a toothpaste advert",
    "doom metal at 66 bpm without singing",
)


def figures(setting: Setting) -> list[Section]:
    """Everything the language model does, but for words."""
    title, folder = f"Language model: {CHECKPOINT}", setting.models / CHECKPOINT
    if not folder.is_dir():
        return [skipped(title, f"no checkpoint in {setting.models}")]
    planner, codec = Planner.load(folder, device=setting.device), read_codec(setting.models / setting.base)
    plans = setting.count
    rows = [
        *_hearing(planner, codec, setting.count),
        *_plans(planner, codec, plans, setting.seconds),
        *_drum_pairs(planner, codec, setting.some(0.5), setting.seconds),
        _kept(planner, setting.some(0.4)),
        *_captions(planner, setting.some(0.4)),
    ]
    return [
        Section(
            title=title,
            about=(
                f"{setting.count} held-out songs of {HEARD_SECONDS:g} s to understand, greedily; {plans} plans of "
                f"{setting.seconds:g} s from captions, guidance 2; the control is another song's truth, the ceiling "
                "the same estimators on the codes of real songs."
            ),
            rows=tuple(rows),
        )
    ]


def understood(planner: Planner, rows: Sequence[Sequence[int]]) -> list[Facts]:
    """What the model says of codes: the facts of `Planner.understand`, many at once and without the words."""
    vocabulary, facts = planner.backend.vocabulary, list[Facts]()
    for first in range(0, len(rows), AT_ONCE):
        jobs = [
            Job(
                prompt=tuple(vocabulary.encode(prompts.understand_prompt(codes))),
                grammar=GrammarSpec(mode=Mode.FACTS, fields=FIELDS),
                draw=Draw(temperature=0.0),
                seed=first + index,
                stream="facts",
                limit=700,
            )
            for index, codes in enumerate(rows[first : first + AT_ONCE])
        ]
        written = planner.backend.write(jobs, Run(), Phase.THINKING)
        facts += [parse_answer(vocabulary, text.tokens).facts for text in written]
    return facts


def _hearing(planner: Planner, codec: Codec, count: int) -> list[Row]:
    """Tempo, key, metre and style of held-out songs from their codes."""
    songs = held_out(count, skip=6000)
    facts = understood(planner, [codes_of(codec, rendered(song, HEARD_SECONDS)[1]) for song in songs])
    tests: dict[str, Callable[[Facts, Song], bool]] = {
        "BPM within 4 %": lambda said, song: _near(said.bpm, song.bpm, (1.0,)),
        "BPM within 4 %, half or double allowed": lambda said, song: _near(said.bpm, song.bpm, (0.5, 1.0, 2.0)),
        "key exact": lambda said, song: said.keyscale == key_of(song),
        "metre": lambda said, song: said.timesignature == str(song.metre),
        "style": lambda said, song: said.genres == song.genre,
        "says no drums when there are none, drums when there are": lambda said, song: (
            _says_drums(said.caption or "") == ("drums" in song.tracks)
        ),
    }
    rows = []
    for name, holds in tests.items():
        cells = [
            scores.share_cell([holds(f, s) for f, s in zip(facts, truth, strict=True)])
            for truth in (songs, turned(songs))
        ]
        rows.append(Row(f"understand: {name}", *cells))
    return rows


def _plans(planner: Planner, codec: Codec, count: int, seconds: float) -> list[Row]:
    """Plans from captions alone: legal, plausible, and with codes that sound like their own facts."""
    songs = [draw_song(FIRST + 8000 + index) for index in range(count)]
    captions = [user_caption(song, np.random.default_rng((song.seed, 31))) for song in songs]
    takes = [_plan(planner, caption, song, seconds) for caption, song in zip(captions, songs, strict=True)]
    facts = [take.facts for take in takes]
    sounds = [sound_of(codec, list(take.codes)) for take in takes]
    real = [sound_of(codec, codes_of(codec, rendered(song, seconds)[1])) for song in songs]
    heard, best = [listen(sound) for sound in sounds], [listen(sound) for sound in real]
    legal = scores.share_cell([_legal(one) for one in facts])
    long = scores.share_cell([len(take.codes) == int(seconds * 5) for take in takes])
    rows = [Row("plan: every fact legal", legal), Row("plan: codes as long as asked", long)]
    paces = [song.pace for song in songs]
    views = (paces, turned(paces))
    cells = [scores.share_cell([_pace(f.bpm or 0) == p for f, p in zip(facts, view, strict=True)]) for view in views]
    rows.append(Row("plan: BPM of the caption's pace (slow, medium, fast)", *cells))
    own = [(f.bpm or 0, f.keyscale or "") for f in facts]
    true = [(song.bpm, song.key_scale) for song in songs]
    for name, holds in (("tempo", _in_tempo), ("key", _in_key)):
        pairs = ((heard, own), (heard, turned(own)), (best, true))
        cells = [scores.share_cell([holds(h, *o) for h, o in zip(*pair, strict=True)]) for pair in pairs]
        half = ", half or double allowed" if name == "tempo" else ""
        rows.append(Row(f"plan: {name} of the codes is the plan's{half}", *cells))
    drums = [_says_drums(caption) for caption in captions]
    rates = [[transient_rate(sound, RATE) for sound in each] for each in (sounds, real)]
    cells = [
        scores.auc_cell(rates[0], drums),
        scores.auc_cell(rates[0], turned(drums)),
        scores.auc_cell(rates[1], drums),
    ]
    rows.append(Row("plan: transients of the codes tell captions with drums, AUC", *cells))
    who = [np.array([trained().scores(sound) for sound in each]) for each in (sounds, real)]
    heard_drums = [list(each[:, TRACKS.index("drums")]) for each in who]
    cells = [
        scores.auc_cell(heard_drums[0], drums),
        scores.auc_cell(heard_drums[0], turned(drums)),
        scores.auc_cell(heard_drums[1], drums),
    ]
    rows.append(Row("plan: drums heard in the codes tell captions with drums, AUC", *cells))
    labels = np.array([presence(song.tracks) for song in songs])
    cells = [
        scores.mean_auc_cell(*view) for view in ((who[0], labels), (who[0], np.array(turned(labels))), (who[1], labels))
    ]
    rows.append(Row("plan: instruments of the caption in the codes, mean AUC", *cells))
    return rows


def _drum_pairs(planner: Planner, codec: Codec, count: int, seconds: float) -> list[Row]:
    """How often a song's codes have more drums than those of the same song and seed with "no drums".

    The control compares two seeds of the plan without drums: half is chance.
    """
    takes, true = list[list[Audio]](), list[list[Audio]]()
    for song in (draw_song(FIRST + 8500 + index) for index in range(count)):
        bare = tuple(track for track in song.tracks if track != "drums") or ("keyboard",)
        full, none = replace(song, tracks=("drums", *bare)), replace(song, tracks=bare)
        band = ", ".join(track.replace("_", " ") for track in bare)
        asks = ((f"{band}, drums", full, 0), (f"{band}, no drums", none, 0), (f"{band}, no drums", none, 1000))
        plans = [_plan(planner, f"{song.genre}, {ask}", one, seconds, later) for ask, one, later in asks]
        takes.append([sound_of(codec, list(plan.codes)) for plan in plans])
        true.append([sound_of(codec, codes_of(codec, rendered(one, seconds)[1])) for one in (full, none)])
    drums = TRACKS.index("drums")
    measures: tuple[tuple[str, Callable[[Audio], float]], ...] = (
        ("transients", lambda sound: transient_rate(sound, RATE)),
        ("drums heard", lambda sound: float(trained().scores(sound)[drums])),
    )
    rows = []
    for name, measure in measures:
        told = [[measure(sound) for sound in each] for each in takes]
        best = [[measure(sound) for sound in each] for each in true]
        hits = ([a > b for a, b, _ in told], [c > b for _, b, c in told], [a > b for a, b in best])
        title = f"plan: more {name} in the codes with drums than with no drums, same song and seed ({count} pairs)"
        rows.append(Row(title, *(scores.share_cell(each) for each in hits)))
    return rows


def _plan(planner: Planner, caption: str, song: Song, seconds: float, later: int = 0) -> TakePlan:
    words = words_of(song, seconds, "en" if "vocals" in song.tracks else "unknown", np.random.default_rng(song.seed))
    asked = PlanRequest(
        caption=caption, lyrics=words, seeds=(song.seed + later,), duration=seconds, guidance=Guidance(scale=2.0)
    )
    return planner.plan(asked).takes[0]


def _kept(planner: Planner, count: int) -> Row:
    """Whether every value a user set comes back unchanged."""
    kept = []
    for song in (draw_song(FIRST + 9000 + index) for index in range(count)):
        rng = np.random.default_rng((song.seed, 32))
        language, key = str(rng.choice(LANGUAGES[:-1])), str(rng.choice(KEY_SCALES))
        metas = Metas(bpm=int(rng.integers(MIN_BPM, MAX_BPM + 1)), key_scale=key, time_signature=str(song.metre))
        request = PlanRequest(
            caption=user_caption(song, rng), metas=metas, vocal_language=language, seeds=(song.seed,), make_codes=False
        )
        facts = planner.plan(request).takes[0].facts
        said = (facts.bpm, facts.keyscale, facts.timesignature, facts.language)
        kept.append(said == (metas.bpm, key, metas.time_signature, language))
    return Row("plan: the user's BPM, key, metre and language kept", scores.share_cell(kept))


def _captions(planner: Planner, count: int) -> list[Row]:
    """What of the user's words is in the rewritten caption, and whether a tempo in them becomes the plan's."""
    known = [user_caption(song, np.random.default_rng((song.seed, 33))) for song in held_out(count, skip=7000)]
    rows, told = [], list[bool]()
    for name, captions in (("the composer's captions", known), (f"{len(FOREIGN)} foreign captions", list(FOREIGN))):
        facts = [
            planner.plan(PlanRequest(caption=caption, lyrics="[Instrumental]", seeds=(index,), make_codes=False))
            .takes[0]
            .facts
            for index, caption in enumerate(captions)
        ]
        written = [fact.caption or "" for fact in facts]
        shares = [
            [_words_kept(caption, text) for caption, text in zip(view, written, strict=True)]
            for view in (captions, turned(captions))
        ]
        rows.append(
            Row(
                f"plan: share of the words of {name} kept, mean", *(f"{100 * np.mean(share):.0f} %" for share in shares)
            )
        )
        for caption, fact in zip(captions, facts, strict=True):
            if said := re.search(r"(\d{2,3}) ?(?:bpm|BPM)", caption):
                told.append(fact.bpm == int(said[1]))
    rows.append(Row("plan: a tempo in the caption is the plan's BPM", scores.share_cell(told)))
    return rows


def _words_kept(caption: str, text: str) -> float:
    words = re.findall(r"\w+", caption.lower())
    there = set(re.findall(r"\w+", text.lower()))
    return float(np.mean([word in there for word in words]))


def _in_tempo(heard: Heard, bpm: int, _: str) -> bool:
    return bpm > 0 and heard.plays(bpm, 0.5, 1.0, 2.0)


def _in_key(heard: Heard, _: int, key: str) -> bool:
    return key != "" and heard.is_in(key)


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
