"""Captions and lyrics for a song, in many wordings."""

from __future__ import annotations

import numpy as np

from mini.composer.song import Song

STYLES = {
    "electronic": ("electronic", "electronic dance", "EDM", "techno", "house", "dance"),
    "rock": ("rock", "indie rock", "hard rock", "rock and roll", "punk rock"),
    "pop": ("pop", "synth pop", "pop song", "radio pop"),
    "jazz": ("jazz", "swing", "smooth jazz", "bebop", "jazz trio"),
    "ballad": ("ballad", "love song", "slow ballad", "soul ballad"),
    "waltz": ("waltz", "viennese waltz", "ballroom waltz"),
    "funk": ("funk", "disco funk", "groovy funk", "disco"),
    "orchestral": ("orchestral", "cinematic", "film score", "classical", "symphonic"),
    "hip hop": ("hip hop", "lo-fi hip hop", "lofi", "rap beat", "trap"),
    "folk": ("folk", "acoustic folk", "country", "singer-songwriter", "celtic"),
    "ambient": ("ambient", "new age", "meditation", "drone", "atmospheric"),
    "latin": ("latin", "salsa", "bossa nova", "reggaeton"),
    "marching band": ("marching band", "march", "parade"),
}
INSTRUMENTS = {
    "drums": ("drums", "drums", "drum kit", "a drum beat", "punchy drums"),
    "percussion": ("percussion", "congas", "hand percussion", "shakers"),
    "bass": ("bass", "bass", "bass guitar", "a deep bass line", "big bass"),
    "keyboard": ("piano", "piano", "keyboard", "electric piano", "keys"),
    "guitar": ("guitar", "guitars", "acoustic guitar", "electric guitar"),
    "strings": ("strings", "string pads", "violins", "a string section"),
    "synth": ("synth", "synthesizer", "synth lead", "bright synths"),
    "brass": ("brass", "trumpets", "horns", "a brass section"),
    "woodwinds": ("flute", "woodwinds", "a flute melody", "clarinet"),
    "vocals": ("vocals", "a singer", "warm vocals", "female vocals", "male vocals"),
}
PACES = (
    ("slow", "calm", "gentle", "relaxed", "quiet", "peaceful", "laid-back", "mellow"),
    ("mid-tempo", "steady", "groovy", "easy-going", "medium tempo", "flowing"),
    ("fast", "energetic", "driving", "upbeat", "lively", "up-tempo", "high-energy"),
)
MOODS = (
    ("happy", "bright", "joyful", "cheerful", "hopeful", "sunny"),
    ("sad", "dark", "melancholic", "moody", "tense", "mysterious"),
)
NEUTRAL = ("warm", "dreamy", "emotional", "modern", "vintage", "epic", "catchy", "soft")
WORDS = (
    "night day light fire rain river road home heart hand love time dream star moon sun sky sea wind song dance "
    "summer winter morning tonight forever away again alone together hold run fly fall sing call wait stay go come "
    "we you I my your the in on of and over under into with never always blue gold silver open city street ocean"
).split()


def caption_of(song: Song, rng: np.random.Generator) -> str:
    """One of many ways to describe `song`; tempo and key may be in the text when the song states them."""
    style = str(rng.choice(STYLES[song.genre]))
    pace = str(rng.choice(PACES[song.pace]))
    mood = str(rng.choice(MOODS[int(song.minor)])) if rng.random() < 0.6 else str(rng.choice(NEUTRAL))
    kind = str(rng.choice(["track", "song", "music", "tune", "piece", ""]))
    band = _band(song, rng)
    shape = rng.random()
    if shape < 0.3:
        text = f"{pace} {mood} {style} {kind} with {band}"
    elif shape < 0.5:
        text = f"{pace} {style} {kind} with {band}"
    elif shape < 0.65:
        text = f"{style} {kind}, {mood}, {pace}, {band}"
    elif shape < 0.8:
        text = f"{mood} {style}, {band}, {pace}"
    elif shape < 0.9:
        text = f"{pace} {band}"
    else:
        text = f"a {mood} and {pace} {style} {kind} featuring {band}"
    return _tidy(text + _absent(song, rng), rng)


def _band(song: Song, rng: np.random.Generator) -> str:
    named = [track for track in song.tracks if rng.random() < 0.93] or list(song.tracks)
    rng.shuffle(named)
    words = [str(rng.choice(INSTRUMENTS[track])) for track in named]
    if len(words) > 1 and rng.random() < 0.7:
        return ", ".join(words[:-1]) + " and " + words[-1]
    return ", ".join(words)


def _absent(song: Song, rng: np.random.Generator) -> str:
    text = ""
    if "drums" not in song.tracks and rng.random() < 0.75:
        text += str(rng.choice([", no drums", " without drums", ", drumless", ", no drums at all"]))
    if "vocals" not in song.tracks and rng.random() < 0.35:
        text += str(rng.choice([", instrumental", ", no vocals"]))
    return text


def tempo_text(song: Song, rng: np.random.Generator) -> str:
    """The tempo as a caption says it."""
    return str(rng.choice([", {} bpm", ", {} BPM", " at {} bpm", ", tempo {}", ", {}bpm"])).format(song.bpm)


def key_text(song: Song, rng: np.random.Generator) -> str:
    """The key as a caption says it."""
    return str(rng.choice([", in {}", ", {}", " in {}"])).format(song.key_scale)


def _tidy(text: str, rng: np.random.Generator) -> str:
    text = " ".join(text.replace(" ,", ",").split())
    return text[:1].upper() + text[1:] if rng.random() < 0.4 else text


def lyrics_of(song: Song) -> str:
    """Words to sing, with section tags; empty for a song without vocals."""
    if "vocals" not in song.tracks:
        return ""
    rng = np.random.default_rng((song.seed, 2))
    parts = []
    for tag in ("[Verse]", "[Chorus]"):
        lines = [" ".join(rng.choice(WORDS, rng.integers(3, 7))) for _ in range(rng.integers(2, 5))]
        parts.append("\n".join([tag, *lines]))
    return "\n\n".join(parts)
