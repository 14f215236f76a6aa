"""Writing and reading audio files, and levels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from studio.engine.audio.io import BLOCK, read_audio, write_audio
from studio.engine.audio.shape import Audio, level, peak
from studio.engine.requests import AudioFormat
from studio.errors import AudioError

RATE = 24000
SECONDS = 3  # longer than one written block


@pytest.fixture(scope="module")
def music() -> Audio:
    times = np.arange(SECONDS * RATE) / RATE
    assert times.size > BLOCK
    return (0.8 * np.stack([np.sin(2 * np.pi * 440 * times), np.sin(2 * np.pi * 550 * times)])).astype(np.float32)


def test_wav_is_exact_to_sixteen_bits(music: Audio, tmp_path: Path) -> None:
    write_audio(tmp_path / "a.wav", music, RATE, AudioFormat.WAV)
    audio, rate = read_audio(tmp_path / "a.wav")
    assert (rate, audio.shape, soundfile.info(tmp_path / "a.wav").subtype) == (RATE, music.shape, "PCM_16")
    assert np.abs(audio - music).max() <= 1 / 2**15


def test_flac_is_exact_to_twenty_four_bits(music: Audio, tmp_path: Path) -> None:
    write_audio(tmp_path / "a.flac", music, RATE, AudioFormat.FLAC)
    audio, rate = read_audio(tmp_path / "a.flac")
    assert (rate, audio.shape) == (RATE, music.shape)
    assert np.abs(audio - music).max() <= 1 / 2**23


@pytest.mark.parametrize("audio_format", [AudioFormat.WAV, AudioFormat.FLAC])
def test_what_was_read_is_written_again_without_loss(music: Audio, tmp_path: Path, audio_format: AudioFormat) -> None:
    for name in ("first", "second"):
        write_audio(tmp_path / name, music, RATE, audio_format)
        music, _rate = read_audio(tmp_path / name)
    assert soundfile.read(tmp_path / "first")[0].tobytes() == soundfile.read(tmp_path / "second")[0].tobytes()


@pytest.mark.parametrize(
    ("audio_format", "late"), [(AudioFormat.MP3, 0), (AudioFormat.OPUS, 0), (AudioFormat.AAC, 1024)]
)
def test_compressed_formats_keep_length_and_sound(
    music: Audio, tmp_path: Path, audio_format: AudioFormat, late: int
) -> None:
    """A bare AAC stream has no place to say how many samples its encoder put in front."""
    file = tmp_path / f"a.{audio_format}"
    write_audio(file, music, RATE, audio_format)
    audio, rate = read_audio(file)
    assert (rate, audio.shape[0]) == (RATE, 2)
    assert abs(audio.shape[1] / rate - SECONDS) < 0.1
    heard = audio[0, RATE + late : 2 * RATE + late]
    assert np.corrcoef(heard, music[0, RATE : 2 * RATE])[0, 1] > 0.99


@pytest.mark.parametrize("audio_format", [AudioFormat.MP3, AudioFormat.OPUS, AudioFormat.AAC])
def test_a_rate_that_a_format_does_not_know_is_refused(music: Audio, tmp_path: Path, audio_format: AudioFormat) -> None:
    with pytest.raises(AudioError, match=f"{audio_format} has no sample rate of 2400 Hz"):
        write_audio(tmp_path / "a", music, 2400, audio_format)


def test_aac_has_one_or_two_channels(tmp_path: Path) -> None:
    with pytest.raises(AudioError, match="one or two channels, got 3"):
        write_audio(tmp_path / "a.aac", np.zeros((3, RATE), np.float32), RATE, AudioFormat.AAC)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("audio_format", AudioFormat)
def test_what_is_no_audio_is_not_written(tmp_path: Path, audio_format: AudioFormat) -> None:
    with pytest.raises(AudioError, match="holds no samples"):
        write_audio(tmp_path / "a", np.zeros((2, 0), np.float32), RATE, audio_format)
    with pytest.raises(AudioError, match="not numbers"):
        write_audio(tmp_path / "a", np.full((2, 9), np.nan, np.float32), RATE, audio_format)
    with pytest.raises(AudioError, match="can't be written"):
        write_audio(tmp_path / "no" / "folder", np.zeros((2, 9), np.float32), RATE, audio_format)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["a.wav", "a.flac"])
def test_a_truncated_file_is_refused(music: Audio, tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    write_audio(path, music, RATE, AudioFormat(name[2:]))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(AudioError, match=f"{name} (is truncated|can't be read)"):
        read_audio(path)


def test_files_without_usable_audio_are_refused(tmp_path: Path) -> None:
    (tmp_path / "text.wav").write_text("hello")
    soundfile.write(tmp_path / "empty.wav", np.zeros((0, 2)), RATE)
    soundfile.write(tmp_path / "nan.wav", np.full((9, 2), np.nan), RATE, subtype="FLOAT")
    reasons = {"text": "can't be read as audio", "empty": "holds no samples", "nan": "not numbers", "gone": "can't be"}
    for name, reason in reasons.items():
        with pytest.raises(AudioError, match=rf"{name}.wav.*{reason}"):
            read_audio(tmp_path / f"{name}.wav")


@pytest.mark.parametrize("loudness", [0.01, 0.5, 1.0, 4.0])
def test_levels(music: Audio, loudness: float) -> None:
    assert peak(level(music * np.float32(loudness))) == pytest.approx(10 ** (-1 / 20), rel=1e-5)


def test_a_negative_peak_counts_and_silence_stays() -> None:
    assert peak(np.array([[0.1, -0.7]], np.float32)) == pytest.approx(0.7)
    silent = np.full((2, 8), 1e-7, np.float32)
    assert level(silent) is silent


def test_a_hard_end_does_not_ring(tmp_path: Path) -> None:
    loud = 0.8 * np.sin(2 * np.pi * 440 * np.arange(RATE) / RATE, dtype=np.float32)[None].repeat(2, axis=0)
    for kind in (AudioFormat.MP3, AudioFormat.OPUS, AudioFormat.AAC):
        write_audio(tmp_path / f"a.{kind}", loud, RATE, kind)
        assert np.abs(read_audio(tmp_path / f"a.{kind}")[0]).max() < 0.95, kind
