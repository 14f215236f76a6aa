"""What the model is trained on: for each of its functions the prompt of the engine and the answer we want.

Every prompt is made by `studio.engine.lm.prompts` and every block of facts by `studio.engine.lm.metadata`, so the model
reads in training what it will read in use. Loss is taken on answers only, with weights that say what matters.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from mini.composer import Song
from mini.composer.song import TRACKS
from mini.composer.words import PACES
from mini.lm import texts
from studio.engine.lm import prompts
from studio.engine.lm.codes import CODES_PER_SECOND
from studio.engine.lm.metadata import Facts, facts_yaml
from studio.engine.lm.vocabulary import Vocabulary
from studio.engine.requests import INSTRUMENTAL

FIELD_WEIGHTS = {"bpm": 4.0, "caption": 0.7, "duration": 1.0, "keyscale": 4.0, "language": 1.0, "timesignature": 2.0}
HEARD_WEIGHTS = FIELD_WEIGHTS | {"bpm": 8.0, "keyscale": 8.0}  # of facts that must be heard in codes
WORDS_WEIGHT, CODE_WEIGHT, FRAME_WEIGHT = 0.3, 1.0, 0.1
FORGOTTEN = 0.1  # share of the code sequences that learn the prompt guidance moves away from
FOREIGN = 0.15  # share of the sung text examples in another language than English
UNSPOKEN = 0.5  # share of the heard examples that stop after the facts, or leave the caption out
FAR = 0.3  # share of the code sequences with a gap in their positions, as if they were pieces of a longer song
FARTHEST = 3000  # tokens
PACE_WORDS = tuple(word for words in PACES for word in words if "-" not in word and " " not in word)
_NEXT_FIELD = re.compile(r"\n(?=[a-z]+:)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """Where in a sequence codes stand, whose song it is, and when in it the first one begins (seconds)."""

    first: int
    count: int
    song: Song
    start: float
    told: bool = False  # whether tempo, key and metre stand before the codes


@dataclass(slots=True)
class Text:
    """Token ids, and how much the prediction of each one counts."""

    ids: list[int] = field(default_factory=list)
    weights: list[float] = field(default_factory=list)
    heard: Heard | None = None
    copied: list[tuple[int, int]] = field(default_factory=list)  # where a caption's next word stands in the prompt
    caption: int = 0  # where the caption of the answer begins
    gap: tuple[int, int] = (0, 0)  # positions from this token on are that much later

    def add(self, ids: Sequence[int], weight: float) -> None:
        """Append tokens."""
        self.ids += ids
        self.weights += [weight] * len(ids)

    @property
    def positions(self) -> NDArray[np.int64]:
        """Position of each token."""
        places = np.arange(len(self.ids))
        return places + self.gap[1] * (places >= self.gap[0])


@dataclass(frozen=True, slots=True)
class Clip:
    """Codes from somewhere in a song."""

    song: Song
    codes: tuple[int, ...]
    start: float  # seconds

    @property
    def seconds(self) -> float:
        """How long it lasts."""
        return len(self.codes) / CODES_PER_SECOND


def plan_text(vocabulary: Vocabulary, song: Song, rng: np.random.Generator, clip: Clip | None = None) -> Text:
    """Caption and lyrics, then facts and, with a clip, its codes."""
    seconds = _length(rng, clip)
    language = texts.language_of(song, rng, 0.0 if clip else FOREIGN)
    lyrics = texts.words_of(song, min(seconds, 60.0), language, rng)
    caption = texts.user_caption(song, rng) if rng.random() < 0.8 else texts.wish_of(song, rng, language)
    flats = bool(rng.random() < 0.25)
    rewritten = texts.rewritten(caption, song, rng) if clip is None or rng.random() < 0.5 else None
    facts = texts.facts_of(song, seconds, rewritten, language, flats=flats)
    if clip and rng.random() < 0.15:  # a user who lets the model choose nothing
        facts = Facts(bpm=facts.bpm, keyscale=facts.keyscale)
    text = Text()
    prompt = prompts.plan_prompt(caption, lyrics)
    text.add(vocabulary.encode(prompt), 0.0)
    # Of a song with codes the codes are the lesson; its facts are taught by the many texts without any.
    weights = {name: (0.1 if clip else 1.0) * weight for name, weight in FIELD_WEIGHTS.items()}
    _add_facts(text, vocabulary, facts, weights, genres=False)
    _mark_copy(text, vocabulary, prompt)
    if clip:
        _add_codes(text, vocabulary, clip, rng, ends=seconds == int(clip.seconds))
    return text


def contrast_texts(vocabulary: Vocabulary, clip: Clip, rng: np.random.Generator) -> tuple[Text, Text]:
    """A plan of a clip, and the same codes after a caption that is wrong about the drums only."""
    seed, song = int(rng.integers(2**31)), clip.song
    tracks = tuple(track for track in TRACKS if (track in song.tracks) != (track == "drums"))
    right = plan_text(vocabulary, song, np.random.default_rng(seed), clip)
    other = replace(clip, song=replace(song, tracks=tracks or (*song.tracks, "bass")))
    wrong = plan_text(vocabulary, other.song, np.random.default_rng(seed), other)
    return right, wrong


def copy_text(vocabulary: Vocabulary, song: Song, rng: np.random.Generator) -> Text:
    """A caption of any words and the same caption again: what a user says is kept, known or not."""
    caption = texts.any_words(song, rng)
    make = prompts.plan_prompt if rng.random() < 0.7 else prompts.format_prompt
    text = Text()
    prompt = make(caption, INSTRUMENTAL)
    text.add(vocabulary.encode(prompt), 0.0)
    facts = Facts(bpm=song.bpm, caption=caption)
    _add_facts(text, vocabulary, facts, {"bpm": 2.0 if str(song.bpm) in caption else 0.0, "caption": 1.0}, genres=False)
    _mark_copy(text, vocabulary, prompt)
    return text


def forgotten_text(vocabulary: Vocabulary, clip: Clip, rng: np.random.Generator) -> Text:
    """Codes after no prompt at all."""
    text = Text()
    text.add(vocabulary.encode(prompts.codes_without("")), 0.0)
    _codes_after(text, vocabulary, clip, rng, ends=True)
    return text


def understand_text(vocabulary: Vocabulary, clip: Clip, rng: np.random.Generator) -> Text:
    """Codes, then what they are; the words can't be heard in them, so they count little."""
    song, text = clip.song, Text()
    language = texts.language_of(song, rng, 0.0)
    text.add(vocabulary.encode(prompts.understand_prompt(clip.codes)), 0.0)
    text.heard = Heard(
        first=text.ids.index(vocabulary.first_code + clip.codes[0]),
        count=len(clip.codes),
        song=song,
        start=clip.start,
    )
    shorter = rng.random() < UNSPOKEN
    caption = None if shorter and rng.random() < 0.5 else texts.full_caption(song, rng)
    facts = texts.facts_of(song, clip.seconds, caption, language)
    _add_facts(text, vocabulary, facts, HEARD_WEIGHTS, genres=True)
    if not shorter:
        _add_lyrics(text, vocabulary, texts.words_of(song, clip.seconds, language, rng))
    return text


def create_text(vocabulary: Vocabulary, song: Song, rng: np.random.Generator) -> Text:
    """A wish, then a whole song."""
    language, text = texts.language_of(song, rng, FOREIGN), Text()
    seconds = float(rng.choice([20, 30, 45, 60]))
    instrumental = "vocals" not in song.tracks
    wish = texts.wish_of(song, rng, language) if rng.random() < 0.95 else ""
    text.add(vocabulary.encode(prompts.create_prompt(wish, instrumental)), 0.0)
    caption = texts.rewritten(wish, song, rng) if wish else texts.full_caption(song, rng)
    facts = texts.facts_of(song, seconds, caption, language)
    _add_facts(text, vocabulary, facts, FIELD_WEIGHTS, genres=True)
    _add_lyrics(text, vocabulary, texts.words_of(song, seconds, language, rng))
    return text


def format_text(vocabulary: Vocabulary, song: Song, rng: np.random.Generator) -> Text:
    """A caption and bare words, then the same with every fact and with section tags."""
    language, text = texts.language_of(song, rng, FOREIGN), Text()
    seconds = float(rng.choice([15, 20, 30]))
    lyrics = texts.words_of(song, seconds, language, rng)
    given = texts.untagged(lyrics) if rng.random() < 0.6 else lyrics
    caption = texts.user_caption(song, rng) if rng.random() < 0.6 else texts.wish_of(song, rng, language)
    prompt = prompts.format_prompt(caption, given)
    text.add(vocabulary.encode(prompt), 0.0)
    written = texts.rewritten(caption, song, rng)
    facts = texts.facts_of(song, seconds, written, language, flats=bool(rng.random() < 0.25))
    _add_facts(text, vocabulary, facts, FIELD_WEIGHTS, genres=True)
    _mark_copy(text, vocabulary, prompt)
    _add_lyrics(text, vocabulary, lyrics)
    return text


def _length(rng: np.random.Generator, clip: Clip | None) -> float:
    if clip is None or rng.random() < 0.3:
        return float(rng.choice([15, 20, 30, 45, 60, 90, 120, 180]))
    return float(int(clip.seconds))


def _add_facts(text: Text, vocabulary: Vocabulary, facts: Facts, weights: dict[str, float], *, genres: bool) -> None:
    """Append the block of facts, one field after the other."""
    told = {name: value for name, value in facts.known().items() if genres or name != "genres"}
    text.add(vocabulary.encode(f"{prompts.THINK}\n"), FRAME_WEIGHT)
    for line in _NEXT_FIELD.split(facts_yaml(told)):
        name = line.partition(":")[0]
        start = len(vocabulary.encode(f"{name}:"))
        ids = vocabulary.encode(line + "\n")
        text.add(ids[:start], FRAME_WEIGHT)
        if name == "caption":
            text.caption = len(text.ids)
        text.add(ids[start:], weights.get(name, 1.0))
        text.weights[-1] = max(FRAME_WEIGHT, text.weights[-1] * (name == "caption"))  # only captions choose their end
    text.add([vocabulary.special.think_end], FRAME_WEIGHT)


def _mark_copy(text: Text, vocabulary: Vocabulary, prompt: str) -> None:
    """Note for each token before one of the rewritten caption where that one stands in the prompt.

    Folded lines put line ends and spaces between the words, and the first word of a line has no space before it.
    """
    head, mark, _ = prompt.partition("# Caption\n")
    there, place = len(vocabulary.encode(head + mark)), text.caption
    pieces = [vocabulary.decode([token]) for token in text.ids]
    words = [piece.strip() for piece in pieces]
    answer = words.index(prompts.THINK)
    for name in ("bpm", "keyscale"):  # a number or a key that the caption says
        if name in words[answer:]:
            said = words.index(name, answer) + 2
            heard = [words[said], *(PACE_WORDS if name == "bpm" else ())]  # the number itself, else a word for it
            if found := next((word for word in heard if word in words[there:answer]), ""):
                text.copied.append((said - 1, words.index(found, there)))
    if text.caption and words[there] != words[place]:  # without a space before it a word may be cut otherwise
        there += 1 + next((n for n, piece in enumerate(pieces[there + 1 :]) if piece[:1].isspace()), 0)
        place += 1 + next((n for n, piece in enumerate(pieces[place + 1 :]) if piece[:1].isspace()), 0)
    while 0 < place < len(words):
        if not words[there]:
            there += 1
        elif not words[place]:
            place += 1
        elif words[place] == words[there]:
            text.copied.append((place - 1, there))
            place, there = place + 1, there + 1
        else:
            return


def _add_codes(text: Text, vocabulary: Vocabulary, clip: Clip, rng: np.random.Generator, *, ends: bool) -> None:
    text.add(vocabulary.encode("\n\n"), 0.0)
    _codes_after(text, vocabulary, clip, rng, ends=ends, told=True)


def _codes_after(
    text: Text, vocabulary: Vocabulary, clip: Clip, rng: np.random.Generator, *, ends: bool, told: bool = False
) -> None:
    first = len(text.ids)
    text.add(vocabulary.code_ids(clip.codes), CODE_WEIGHT)
    if told:
        text.heard = Heard(first=first, count=len(clip.codes), song=clip.song, start=clip.start, told=True)
    if ends:
        text.add([vocabulary.special.end], FRAME_WEIGHT)
    if rng.random() < FAR:
        at = first + int(rng.integers(0, len(clip.codes)))
        text.gap = (at, int(np.exp(rng.uniform(0, np.log(FARTHEST)))))


def _add_lyrics(text: Text, vocabulary: Vocabulary, lyrics: str) -> None:
    text.add(vocabulary.encode(f"\n\n# Lyric\n{lyrics}"), WORDS_WEIGHT)
    text.add([vocabulary.special.end], WORDS_WEIGHT)
