"""Every container keeps the tags, gives the settings back, and plays the same samples as before."""

from __future__ import annotations

import json
from pathlib import Path

import av
import mutagen
import numpy as np
import pytest
import soundfile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mutagen.id3 import ID3

from studio.engine.audio.io import read_audio
from studio.engine.audio.tags import Tags, read_settings, write_tags
from studio.errors import AudioError

NAMES = ("a.mp3", "a.flac", "a.wav", "float.wav", "a.opus", "a.ogg", "a.m4a", "a.aac")
_KINDS = {
    "a.mp3": ("MP3", "MPEG_LAYER_III"),
    "a.flac": ("FLAC", "PCM_24"),
    "a.wav": ("WAV", "PCM_16"),
    "float.wav": ("WAV", "FLOAT"),
    "a.opus": ("OGG", "OPUS"),
    "a.ogg": ("OGG", "VORBIS"),
}
RATE = 48000


def make(folder: Path, name: str) -> Path:
    """A fifth of a second of noise in the container of `name`."""
    path = folder / name
    noise = np.random.default_rng(0).uniform(-0.3, 0.3, (RATE // 5, 2)).astype(np.float32)
    if name in _KINDS:
        kind, subtype = _KINDS[name]
        soundfile.write(path, noise, RATE, format=kind, subtype=subtype)
        return path
    with av.open(str(path), "w", format="ipod" if name.endswith("m4a") else "adts") as container:
        stream = container.add_stream("aac", rate=RATE, layout="stereo")
        for start in range(0, len(noise), 1024):
            block = np.ascontiguousarray(noise[start : start + 1024].T)
            frame = av.AudioFrame.from_ndarray(block, format="fltp", layout="stereo")
            frame.sample_rate = RATE
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def tags(**changes: object) -> Tags:
    kept = {
        "title": "Ein Lied 歌",
        "prompt": "calm piano, 140 bpm",
        "lyrics": "[verse]\nwörds",
        "model": "acestep-mini",
        "seed": 4294967295,
        "version": "0.1.0",
        "bpm": 140,
        "key": "F# minor",
        "settings": {"caption": "calm", "timesteps": [0.5, 0.0], "bpm": None},
    }
    return Tags(**{**kept, **changes})  # type: ignore[arg-type] # what tests change is named by them


@pytest.mark.parametrize("name", NAMES)
def test_settings_come_back_and_no_sample_changes(tmp_path: Path, name: str) -> None:
    path = make(tmp_path, name)
    before, _ = read_audio(path)
    write_tags(path, tags())
    write_tags(path, tags(settings={"caption": "second"}))  # writing again replaces
    after, _ = read_audio(path)
    np.testing.assert_array_equal(before, after)
    assert json.loads(read_settings(path.read_bytes()) or "") == {"caption": "second"}


@pytest.mark.parametrize("name", NAMES)
def test_other_programs_find_the_tags(tmp_path: Path, name: str) -> None:
    path = make(tmp_path, name)
    write_tags(path, tags())
    words = str(ID3(path) if name == "a.aac" else dict(mutagen.File(path).tags))
    for wanted in ("Ein Lied 歌", "calm piano, 140 bpm", "AI-generated", "acestep-mini", "4294967295", "140"):
        assert wanted in words, wanted


def test_ffmpeg_reads_the_title_of_a_wav(tmp_path: Path) -> None:
    path = make(tmp_path, "a.wav")
    write_tags(path, tags())
    with av.open(str(path)) as container:
        assert container.metadata["title"] == "Ein Lied 歌"


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    words=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=300),
    number=st.floats(allow_nan=False, allow_infinity=False),
)
def test_any_text_and_number_survive(tmp_path: Path, words: str, number: float) -> None:
    for name in ("a.mp3", "a.flac", "a.wav", "a.m4a"):
        path = tmp_path / name
        if not path.exists():
            make(tmp_path, name)
        write_tags(path, tags(settings={"caption": words, "shift": number}))
        assert json.loads(read_settings(path.read_bytes()) or "") == {"caption": words, "shift": number}


@pytest.mark.parametrize("name", ["a.mp3", "a.flac", "a.wav", "a.opus", "a.m4a"])
def test_a_file_of_others_holds_no_settings(tmp_path: Path, name: str) -> None:
    assert read_settings(make(tmp_path, name).read_bytes()) is None


@pytest.mark.parametrize("data", [b"RIFF....WAVE", b"fLaC" + b"\xff" * 80, b"OggS" * 30, b"\0\0\0\x18ftypM4A broken"])
def test_a_broken_file_is_an_audio_error(data: bytes) -> None:
    with pytest.raises(AudioError):
        read_settings(data)
    assert read_settings(b"words, no audio") is None
