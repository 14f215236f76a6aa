"""The same recording is told from another one, through lossy files, other levels and a cut start."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mini.composer import draw_song, render
from mini.composer.kit import RATE
from studio.engine.audio.fingerprint import SAME, fingerprint, same_recordings, sameness
from studio.engine.audio.io import read_audio, write_audio
from studio.engine.requests import AudioFormat

SECONDS = 8.0


@pytest.fixture(scope="module")
def songs() -> list[np.ndarray]:
    return [render(draw_song(seed), SECONDS)[1] for seed in range(4)]


def test_a_copy_is_found_among_strangers(songs: list[np.ndarray], tmp_path: Path) -> None:
    write_audio(tmp_path / "copy.mp3", songs[0] * 0.4, RATE, AudioFormat.MP3)
    copy, rate = read_audio(tmp_path / "copy.mp3")
    prints = {str(number): fingerprint(song, RATE) for number, song in enumerate(songs)}
    prints |= {"copy": fingerprint(copy, rate), "late": fingerprint(songs[1][:, RATE:], RATE)}
    assert same_recordings(prints) == {"0": ["copy"], "copy": ["0"], "1": ["late"], "late": ["1"]}


def test_strangers_share_about_half_of_their_bits(songs: list[np.ndarray]) -> None:
    shares = [
        sameness(fingerprint(left, RATE), fingerprint(right, RATE))
        for place, left in enumerate(songs)
        for right in songs[place + 1 :]
    ]
    assert max(shares) < (0.5 + SAME) / 2


def test_silence_and_snippets_are_like_nothing(songs: list[np.ndarray]) -> None:
    silent = np.zeros((2, RATE * 8), np.float32)
    assert same_recordings({"a": fingerprint(silent, RATE), "b": fingerprint(silent, RATE)}) == {}
    short = fingerprint(songs[0][:, : RATE // 2], RATE)
    assert sameness(short, short) == 0.0
    assert fingerprint(songs[0][:, :100], RATE).size == 0
