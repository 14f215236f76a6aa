"""The words around a song as users and the model write them: captions, wishes, lyrics and facts."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from mini.composer import Song, caption_of, lyrics_of
from mini.composer.song import NOTES
from mini.composer.tempo import CLOCKS
from mini.composer.words import INSTRUMENTS, MOODS, NEUTRAL, PACES, STYLES, key_text, tempo_text
from mini.lm.languages import LINES, NAMES
from studio.engine.lm.metadata import Facts
from studio.engine.lm.requests import UNKNOWN
from studio.engine.requests import INSTRUMENTAL, MAX_CAPTION

FLATS = {"C#": "Db", "D#": "Eb", "F#": "Gb", "G#": "Ab", "A#": "Bb"}
WORDINGS = 4  # the fullest of so many captions is what the model answers with
WISHES = (
    "{mood} {style} song",
    "a {pace} {style} track",
    "{style}",
    "{pace} {mood} music",
    "make me a {mood} {style} song with {band}",
    "{style} with {band}",
    "something {mood} and {pace}",
    "I want a {pace} {style} song",
    "{mood} song about the night",
    "{pace} {band}",
)
MOST_WORDS = 170  # characters a caption is filled up to
SECTIONS = ("Verse", "Chorus", "Verse", "Bridge")
_LINES = tuple(line for lines in LINES.values() for line in lines)


def transposed(song: Song, semitones: int) -> Song:
    """The same facts in another key."""
    return replace(song, tonic=(song.tonic + semitones) % 12)


def at_tempo(song: Song, steps: int) -> Song:
    """The same facts, faster by steps of the tempo grid."""
    if not steps:
        return song
    bpm = round(song.played_bpm * 2 ** (steps / CLOCKS))
    return replace(song, bpm=bpm, pace=0 if bpm < 88 else 1 if bpm < 122 else 2)


def key_of(song: Song, flats: bool = False) -> str:
    """The key by its sharp name, or by its flat one where it has one."""
    note = NOTES[song.tonic]
    return f"{FLATS.get(note, note) if flats else note} {'minor' if song.minor else 'major'}"


def user_caption(song: Song, rng: np.random.Generator) -> str:
    """What a user asks for; some state tempo or key."""
    caption = caption_of(song, rng)
    if rng.random() < 0.25:
        caption += tempo_text(song, rng)
    if rng.random() < 0.25:
        caption += key_text(song, rng)
    return caption[: MAX_CAPTION - 1]


def full_caption(song: Song, rng: np.random.Generator) -> str:
    """What the model makes of it: a sentence that names nearly all players and says when there are no drums."""
    caption = max((caption_of(song, rng) for _ in range(WORDINGS)), key=len)
    if "drums" not in song.tracks and "drum" not in caption:
        caption += ", no drums"
    return caption[:1].upper() + caption[1:] + "."


def rewritten(caption: str, song: Song, rng: np.random.Generator) -> str:
    """What the model makes of a caption: the user's own words first, then what they leave open."""
    low, more = caption.lower(), list[str]()
    if "drums" not in song.tracks and "drum" not in low:
        more.append("no drums")
    for track in song.tracks:
        words = INSTRUMENTS[track]
        if len(more) < 3 and not any(word.removeprefix("a ") in low for word in words) and rng.random() < 0.5:
            more.append(_pick(words, rng))
    if not any(word in low for word in PACES[song.pace]):
        more.append(_pick(PACES[song.pace], rng))
    rng.shuffle(more)
    room = MAX_CAPTION - 1
    for words in more:
        if len(caption) + len(words) + 2 < min(room, MOST_WORDS):
            caption += f", {words}"
    return caption[:room]


def any_words(song: Song, rng: np.random.Generator) -> str:
    """A caption nobody could guess: words of captions, lyrics and no language at all, some with the tempo."""
    pool = f"{caption_of(song, rng)} {wish_of(song, rng, UNKNOWN)} {_pick(_LINES, rng)} {_pick(_LINES, rng)}".split()
    letters = "abcdefghijklmnopqrstuvwxyz"
    for _ in range(int(rng.integers(0, 6))):
        pool.append("".join(rng.choice(list(letters), int(rng.integers(2, 8)))))
    words = [str(word) for word in rng.permutation(pool)[: int(rng.integers(3, 16))]]
    caption = " ".join(words).strip(" ,:;.\"'#-[]&*!|>%@`?{}")
    if rng.random() < 0.4:
        caption += tempo_text(song, rng)
    return caption[: MAX_CAPTION - 1] or "music"


def wish_of(song: Song, rng: np.random.Generator, language: str) -> str:
    """A short wish as in Simple mode."""
    tracks = [track for track in song.tracks if rng.random() < 0.4] or [song.tracks[0]]
    wish = _pick(WISHES, rng).format(
        mood=_pick(MOODS[int(song.minor)] if rng.random() < 0.7 else NEUTRAL, rng),
        pace=_pick(PACES[song.pace], rng),
        style=_pick(STYLES[song.genre], rng),
        band=" and ".join(_pick(INSTRUMENTS[track], rng) for track in tracks[:2]),
    )
    if language in NAMES and (language != "en" or rng.random() < 0.2):
        wish += _pick((" in {}", ", sung in {}", ", {} lyrics", ", {} vocals"), rng).format(NAMES[language])
    if rng.random() < 0.15:
        wish += tempo_text(song, rng)
    if rng.random() < 0.15:
        wish += key_text(song, rng)
    return wish


def words_of(song: Song, seconds: float, language: str, rng: np.random.Generator) -> str:
    """The lyrics with section tags in `language`, or the mark of a song without any."""
    if "vocals" not in song.tracks:
        return INSTRUMENTAL
    if language == "en":
        return lyrics_of(song, seconds)
    sections = [SECTIONS[index % 4] for index in range(max(1, int(seconds // 12)))]
    return "\n\n".join(
        "\n".join([f"[{name}]", *(str(line) for line in rng.choice(LINES[language], 4, replace=False))])
        for name in sections
    )


def untagged(lyrics: str) -> str:
    """Lyrics as people paste them: no section tags, no empty lines."""
    return "\n".join(line for line in lyrics.split("\n") if line and not line.startswith("["))


def language_of(song: Song, rng: np.random.Generator, others: float) -> str:
    """English for most songs with vocals, another language for a share of `others`."""
    if "vocals" not in song.tracks:
        return UNKNOWN
    return str(rng.choice(list(LINES))) if rng.random() < others else "en"


def facts_of(song: Song, seconds: float, caption: str | None, language: str, *, flats: bool = False) -> Facts:
    """All facts of a piece of `seconds`, genres included."""
    return Facts(
        bpm=song.bpm,
        caption=caption,
        duration=int(seconds),
        genres=song.genre,
        keyscale=key_of(song, flats),
        language=language,
        timesignature=str(song.metre),
    )


def _pick(choices: tuple[str, ...], rng: np.random.Generator) -> str:
    return choices[int(rng.integers(len(choices)))]
