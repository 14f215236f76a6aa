"""Captions for a song, in many wordings: style, tempo, mood, who plays and who does not."""

from __future__ import annotations

import numpy as np

from mini.composer.lyrics import lyrics_of
from mini.composer.song import TRACKS, Song

__all__ = ["INSTRUMENTS", "caption_of", "key_text", "lyrics_of", "tempo_text"]

STYLES = {
    "electronic": ("electronic", "electronic dance", "EDM", "techno", "house", "dance", "club"),
    "rock": ("rock", "indie rock", "hard rock", "rock and roll", "punk rock", "alternative rock"),
    "pop": ("pop", "synth pop", "radio pop", "dance pop", "indie pop"),
    "jazz": ("jazz", "swing", "smooth jazz", "bebop", "jazz club"),
    "ballad": ("ballad", "love song", "soul ballad", "power ballad", "romantic ballad"),
    "waltz": ("waltz", "viennese waltz", "ballroom waltz"),
    "funk": ("funk", "disco funk", "groovy funk", "disco", "soul funk"),
    "orchestral": ("orchestral", "cinematic", "film score", "classical", "symphonic", "epic trailer"),
    "hip hop": ("hip hop", "lo-fi hip hop", "lofi", "rap beat", "trap", "boom bap"),
    "folk": ("folk", "acoustic folk", "country", "singer-songwriter", "celtic", "campfire"),
    "ambient": ("ambient", "new age", "meditation", "drone", "atmospheric", "chillout"),
    "latin": ("latin", "salsa", "bossa nova", "reggaeton", "samba"),
    "marching band": ("marching band", "march", "parade"),
}
INSTRUMENTS = {
    "drums": ("drums", "drums", "drum kit", "a drum beat", "punchy drums", "steady drums"),
    "percussion": ("percussion", "percussion", "hand percussion", "shakers", "congas"),
    "bass": ("bass", "bass", "bass guitar", "a deep bass line", "bass line"),
    "keyboard": ("keyboard", "keys", "keyboards"),
    "guitar": ("guitar", "guitar", "guitars"),
    "strings": ("strings", "strings", "string pads", "violins", "a string section"),
    "synth": ("synth", "synth", "synthesizer", "synths"),
    "brass": ("brass", "brass", "a brass section", "brass hits"),
    "woodwinds": ("woodwinds", "woodwinds", "wind instruments"),
    "fx": ("fx", "sound effects", "risers", "sweeps and impacts", "effects"),
    "vocals": ("vocals", "vocals", "a singer", "singing", "warm vocals", "lead vocals"),
    "backing_vocals": ("backing vocals", "backing vocals", "harmonies", "a choir", "vocal harmonies", "oohs and aahs"),
}
SOUNDS = {  # what the same instruments are called by those who hear which one it is
    "piano": ("piano", "piano", "grand piano"),
    "epiano": ("electric piano", "rhodes", "e-piano"),
    "organ": ("organ", "hammond organ"),
    "nylon": ("acoustic guitar", "nylon guitar", "classical guitar"),
    "steel": ("acoustic guitar", "steel-string guitar"),
    "clean": ("electric guitar", "clean guitar"),
    "drive": ("electric guitar", "distorted guitar", "overdriven guitars"),
    "solo": ("violin", "a violin", "strings"),
    "saw": ("bright synths", "saw synth", "synth lead"),
    "square": ("square synth", "retro synth", "chiptune synth"),
    "pad": ("synth pad", "warm pads", "lush pads"),
    "pluck": ("plucky synth", "synth plucks", "synth arpeggios"),
    "trumpets": ("trumpets", "a trumpet", "brass"),
    "horns": ("horns", "french horns", "brass"),
    "flute": ("flute", "a flute", "a flute melody"),
    "clarinet": ("clarinet", "a clarinet"),
    "female": ("female vocals", "a female singer", "woman singing", "female voice"),
    "male": ("male vocals", "a male singer", "man singing", "male voice"),
    "sub": ("sub bass", "808 bass", "deep bass"),
    "upright": ("upright bass", "double bass", "acoustic bass"),
}
PACES = (
    ("slow", "calm", "gentle", "relaxed", "quiet", "peaceful", "laid-back", "mellow", "slow-paced"),
    ("mid-tempo", "steady", "groovy", "easy-going", "medium tempo", "flowing", "moderate"),
    ("fast", "energetic", "driving", "upbeat", "lively", "up-tempo", "high-energy", "fast-paced"),
)
MOODS = (
    ("happy", "bright", "joyful", "cheerful", "hopeful", "sunny", "uplifting", "playful"),
    ("sad", "dark", "melancholic", "moody", "tense", "mysterious", "brooding", "nostalgic"),
)
NEUTRAL = ("warm", "dreamy", "emotional", "modern", "vintage", "epic", "catchy", "soft", "romantic", "heartfelt")
KINDS = ("track", "song", "music", "tune", "piece", "instrumental", "")
METRES = {2: (" in 2/4", ", two-step feel"), 3: (" in 3/4", ", waltz time", " in three"), 6: (" in 6/8", ", 6/8 feel")}
OPENINGS = (
    (", straight in", ", no intro", ", full from the start"),
    (", with an intro", ", sparse intro", ", short intro"),
)
SHAPES = (
    "{pace} {mood} {style} {kind} with {band}",
    "{pace} {mood} {style} {kind} with {band}",
    "{pace} {style} {kind} with {band}",
    "{style} {kind}, {mood}, {pace}, {band}",
    "{mood} {style}, {band}, {pace}",
    "{style}, {band}",
    "{pace} {band}",
    "a {mood} and {pace} {style} {kind} featuring {band}",
    "{style} {kind} built on {band}, {mood} and {pace}",
    "{band} playing {pace} {style}, {mood}",
    "{mood} {kind} in {style} style: {band}, {pace}",
    "{band}; {style}, {mood}, {pace}",
)


def caption_of(song: Song, rng: np.random.Generator) -> str:
    """One of many ways to describe `song`."""
    kinds = [kind for kind in KINDS if kind != "instrumental" or "vocals" not in song.tracks]
    text = _pick(SHAPES, rng).format(
        pace=_pick(PACES[song.pace], rng),
        mood=_pick(MOODS[int(song.minor)], rng) if rng.random() < 0.6 else _pick(NEUTRAL, rng),
        style=_pick(STYLES[song.genre], rng),
        kind=_pick(kinds, rng),
        band=_band(song, rng),
    )
    if song.metre in METRES and rng.random() < 0.2:
        text += _pick(METRES[song.metre], rng)
    if rng.random() < 0.12:
        text += _pick(OPENINGS[int(song.sections[0].name == "Intro")], rng)
    return _tidy(text + _absent(song, rng), rng)


def _pick(choices: tuple[str, ...] | list[str], rng: np.random.Generator) -> str:
    return choices[int(rng.integers(len(choices)))]


def _name(song: Song, track: str, rng: np.random.Generator) -> str:
    """The instrument by its family or by the sound it has in this song."""
    exact = SOUNDS.get(song.patch(track)) if track not in ("drums", "percussion", "fx", "backing_vocals") else None
    return _pick(exact if exact and rng.random() < 0.6 else INSTRUMENTS[track], rng)


def _band(song: Song, rng: np.random.Generator) -> str:
    named = [track for track in song.tracks if rng.random() < 0.93] or list(song.tracks)
    rng.shuffle(named)
    words = [_name(song, track, rng) for track in named]
    if len(words) > 1 and rng.random() < 0.7:
        return ", ".join(words[:-1]) + " and " + words[-1]
    return ", ".join(words)


def _absent(song: Song, rng: np.random.Generator) -> str:
    text = ""
    if "drums" not in song.tracks and rng.random() < 0.75:
        text += _pick((", no drums", " without drums", ", drumless", ", no drums at all"), rng)
    if not {"vocals", "backing_vocals"} & set(song.tracks) and rng.random() < 0.35:
        text += _pick((", instrumental", ", no vocals", ", without vocals", ", no singing"), rng)
    missing = [track for track in TRACKS if track not in (*song.tracks, "drums", "vocals", "backing_vocals", "fx")]
    if missing and rng.random() < 0.2:
        track = _pick(missing, rng)
        text += _pick((", no {}", " without {}"), rng).format(track)
    return text


def tempo_text(song: Song, rng: np.random.Generator) -> str:
    """The tempo as a caption says it."""
    shapes = (", {} bpm", ", {} BPM", " at {} bpm", ", tempo {}", ", {}bpm", ", {} beats per minute")
    return _pick(shapes, rng).format(song.bpm)


def key_text(song: Song, rng: np.random.Generator) -> str:
    """The key as a caption says it."""
    return _pick((", in {}", ", {}", " in {}", ", key of {}"), rng).format(song.key_scale)


def _tidy(text: str, rng: np.random.Generator) -> str:
    text = " ".join(text.replace(" ,", ",").replace(" :", ":").split())
    return text[:1].upper() + text[1:] if rng.random() < 0.4 else text
