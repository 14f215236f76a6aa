"""What a task starts from: rate and channels of the checkpoint, limits, notes, and the timbre reference."""

from __future__ import annotations

import subprocess
import sys
import tracemalloc
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile

from studio.engine.audio.reference import reference_windows
from studio.engine.audio.shape import Audio
from studio.engine.audio.source import SourceAudio, prepare_source
from studio.engine.model_spec import Sound, VaeClass
from studio.errors import AudioError

SOUND = Sound(vae_class=VaeClass.OOBLECK, sample_rate=48000, hop_length=1920, channels=2, latent_channels=64)
SMALL = Sound(vae_class=VaeClass.SPECTRAL, sample_rate=24000, hop_length=960, channels=2, latent_channels=64)


def tone(hertz: float, seconds: float, rate: int) -> Audio:
    return (0.5 * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)).astype(np.float32)


def pitch(wave: Audio, rate: int) -> float:
    return float(np.abs(np.fft.rfft(wave * np.hanning(wave.size))).argmax() * rate / wave.size)


def test_a_file_of_the_right_form_stays_as_it_is(tmp_path: Path) -> None:
    stereo = np.stack([tone(440, 2, 48000), tone(550, 2, 48000)])
    soundfile.write(tmp_path / "a.wav", stereo.T, 48000, subtype="FLOAT")
    source = prepare_source(tmp_path / "a.wav", SOUND)
    assert source.audio.tobytes() == stereo.tobytes()
    assert (source.sample_rate, source.seconds, source.silent, source.notes) == (48000, 2.0, False, ())


@pytest.mark.parametrize("rate", [8000, 22050, 44100, 48000, 96000, 192000])
@pytest.mark.parametrize("sound", [SOUND, SMALL])
def test_every_rate_keeps_pitch_level_and_length(tmp_path: Path, rate: int, sound: Sound) -> None:
    soundfile.write(tmp_path / "a.wav", tone(1000, 3, rate), rate, subtype="FLOAT")  # more than one block
    source = prepare_source(tmp_path / "a.wav", sound)
    assert source.audio.shape == (2, 3 * sound.sample_rate)
    assert source.audio.dtype == np.float32
    inside = source.audio[:, sound.sample_rate : 2 * sound.sample_rate]
    expected = tone(1000, 1, sound.sample_rate)
    np.testing.assert_allclose(inside, np.stack([expected, expected]), atol=1e-3)  # mono on both sides, no seams
    same = f"a.wav was resampled from {rate} to {sound.sample_rate} Hz"
    assert source.notes == (() if rate == sound.sample_rate else (same,))


def test_eight_channels_at_192_khz_become_the_first_two(tmp_path: Path) -> None:
    channels = np.stack([tone(200 * (number + 1), 2, 192000) for number in range(8)])
    soundfile.write(tmp_path / "wide.wav", channels.T, 192000)
    source = prepare_source(tmp_path / "wide.wav", SOUND)
    assert [pitch(wave, 48000) for wave in source.audio] == [200.0, 400.0]
    assert source.notes == (
        "wide.wav has 8 channels; the first two were used",
        "wide.wav was resampled from 192000 to 48000 Hz",
    )


def test_what_is_beyond_full_scale_is_clipped_with_a_note(tmp_path: Path) -> None:
    loud = np.float32(4) * np.stack([tone(440, 1, 48000)] * 2)
    soundfile.write(tmp_path / "loud.wav", loud.T, 48000, subtype="FLOAT")
    source = prepare_source(tmp_path / "loud.wav", SOUND, name="My song.wav")
    np.testing.assert_array_equal(source.audio, loud.clip(-1, 1))
    assert source.notes == ("My song.wav was clipped at full scale; its peak was +6.0 dBFS",)


def test_silence_is_recognised(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", np.full((48000, 2), 5e-7), 48000, subtype="FLOAT")
    assert prepare_source(tmp_path / "a.wav", SOUND).silent


def test_an_array_is_prepared_as_a_file_is(tmp_path: Path) -> None:
    audio = np.stack([tone(440, 2, 44100), tone(550, 2, 44100)])
    soundfile.write(tmp_path / "a.wav", audio.T, 44100, subtype="FLOAT")
    from_array = prepare_source(audio, SOUND, sample_rate=44100)
    np.testing.assert_array_equal(from_array.audio, prepare_source(tmp_path / "a.wav", SOUND).audio)
    assert from_array.notes == ("the audio was resampled from 44100 to 48000 Hz",)
    untouched = np.full((2, 9), 2.0, np.float32)
    assert prepare_source(untouched, SOUND).audio.max() == 1.0
    assert untouched.max() == 2.0
    reasons = {"no samples": (2, 0), r"shape \[channels, samples\], got \[9\]": (9,), "the limit is 600 s": (1, 2**25)}
    for reason, shape in reasons.items():
        with pytest.raises(AudioError, match=f"the audio .*{reason}"):
            prepare_source(np.zeros(shape, np.float32), SOUND)
    with pytest.raises(AudioError, match="not numbers"):
        prepare_source(np.full((2, 9), np.inf, np.float32), SOUND)


def test_the_beginning_of_what_is_too_long_can_be_asked_for(tmp_path: Path) -> None:
    audio = np.stack([tone(440, 9, 48000), tone(550, 9, 48000)])
    soundfile.write(tmp_path / "a.wav", audio.T, 48000, subtype="FLOAT")
    cut = prepare_source(tmp_path / "a.wav", SOUND, limit=2.5, cut=True)
    np.testing.assert_array_equal(cut.audio, prepare_source(audio, SOUND).audio[:, :120_000])
    with pytest.raises(AudioError, match=r"lasts 9\.0 s; the limit is 2\.5 s"):
        prepare_source(tmp_path / "a.wav", SOUND, limit=2.5)


def write_three_hours(path: Path) -> None:
    """Repeat the packets of one minute, which takes less time than encoding them."""
    if path.suffix == ".wav":
        soundfile.write(path, np.zeros(3 * 3600 * 8000, np.int16), 8000)
        return
    codec, kind = ("libmp3lame", "mp3") if path.suffix == ".mp3" else ("aac", None)
    kind = "adts" if path.suffix == ".aac" else kind
    with av.open(str(path), "w", format=kind, options={"write_xing": "0"} if kind == "mp3" else {}) as file:
        stream = file.add_stream(codec, rate=8000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 60 * 8000), np.float32), format="fltp", layout="mono")
        frame.rate = 8000
        minute = [(bytes(packet), packet.duration) for packet in [*stream.encode(frame), *stream.encode(None)]]
        position = 0
        for content, duration in minute * 180:
            packet = av.Packet(content)
            packet.stream, packet.time_base, packet.duration = stream, Fraction(1, 8000), duration
            packet.pts = packet.dts = position
            position += duration or 0
            file.mux(packet)


@pytest.mark.parametrize("name", ["long.wav", "long.mp3", "long.m4a", "long.aac"])
def test_three_hours_are_refused_by_their_length(tmp_path: Path, name: str) -> None:
    write_three_hours(tmp_path / name)
    # Were it decoded up to the limit, the message could only say "more than".
    with pytest.raises(AudioError, match=rf"{name} lasts 108\d\d\.\d s; the limit is 600 s"):
        prepare_source(tmp_path / name, SOUND)


def test_a_length_the_header_hides_is_refused_on_the_way(tmp_path: Path) -> None:
    with soundfile.SoundFile(tmp_path / "a.flac", "w", 8000, 1) as file:
        for _ in range(11):
            file.write(np.zeros(60 * 8000))
    flac = bytearray((tmp_path / "a.flac").read_bytes())
    flac[21:26] = bytes([flac[21] & 0xF0, 0, 0, 0, 0])  # the 36 bits of STREAMINFO that count samples
    (tmp_path / "a.flac").write_bytes(flac)
    with pytest.raises(AudioError, match=r"a\.flac lasts (660\.0|more than 600\.\d) s; the limit is 600 s"):
        prepare_source(tmp_path / "a.flac", SOUND)


def test_the_limit_is_the_callers(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", tone(440, 2, 8000), 8000)
    assert prepare_source(tmp_path / "a.wav", SMALL, limit=2.0).seconds == 2.0
    with pytest.raises(AudioError, match=r"a\.wav lasts 2\.0 s; the limit is 1\.5 s"):
        prepare_source(tmp_path / "a.wav", SMALL, limit=1.5)


@pytest.mark.parametrize("rate", [24000, 16000])
def test_preparing_holds_few_copies(tmp_path: Path, rate: int) -> None:
    soundfile.write(tmp_path / "a.wav", np.zeros((60 * rate, 2)), rate)
    tracemalloc.start()
    source = prepare_source(tmp_path / "a.wav", SMALL)
    assert tracemalloc.get_traced_memory()[1] < 2.2 * source.audio.nbytes
    tracemalloc.stop()


def ramp(seconds: float) -> SourceAudio:
    """Every sample says where it is."""
    wave = np.arange(1, round(seconds * 24000) + 1, dtype=np.float32) / 1e7
    return SourceAudio(np.stack([wave, -wave]), 24000)

    source = ramp(90)
    heard = reference_windows(source, SMALL, np.random.default_rng(1))
    assert heard.shape == (2, 750 * SMALL.hop_length)
    for number in range(3):
        window = heard[0, number * 240000 : (number + 1) * 240000]
        start = round(float(window[0]) * 1e7) - 1
        assert 0 <= start - number * 720000 <= 480000
        np.testing.assert_array_equal(window, source.audio[0, start : start + 240000])
    again = reference_windows(source, SMALL, np.random.default_rng(1))
    other = reference_windows(source, SMALL, np.random.default_rng(2))
    assert again.tobytes() == heard.tobytes() != other.tobytes()


@pytest.mark.parametrize("seconds", [0.5, 7, 20, 30, 31])
def test_a_short_reference_is_repeated(seconds: float) -> None:
    source = ramp(seconds)
    heard = reference_windows(source, SMALL, np.random.default_rng(0))
    assert heard.shape == (2, 720000)
    if seconds == 30:
        np.testing.assert_array_equal(heard, source.audio)
    period = round(seconds * 24000)
    if period < 240000:  # inside a window the music goes round
        np.testing.assert_array_equal(heard[:, period:240000], heard[:, : 240000 - period])


def test_a_silent_reference_is_refused() -> None:
    with pytest.raises(AudioError, match="the reference audio is silent"):
        reference_windows(SourceAudio(np.zeros((2, 48000), np.float32), 24000), SMALL, np.random.default_rng(0))


def test_audio_can_be_prepared_without_torch_and_ffmpeg_is_loaded_only_for_files_that_need_it() -> None:
    names = "io source reference span splice stream container".split()
    lines = ["import sys", *(f"import studio.engine.audio.{name}" for name in names)]
    lines.append("print(sorted({'torch', 'av', 'librosa', 'scipy'} & set(sys.modules)))")
    done = subprocess.run([sys.executable, "-c", "\n".join(lines)], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
