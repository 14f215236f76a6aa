"""Audio files: writing takes and reading what people bring."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from studio.engine.audio.decoder import open_stream
from studio.engine.audio.ffmpeg import CODECS, write_encoded
from studio.engine.audio.shape import Audio
from studio.engine.audio.stream import join
from studio.engine.requests import AudioFormat
from studio.errors import AudioError

BLOCK = 1 << 16  # frames a write; libsndfile crashes when one call brings minutes of compressed audio
TIGHT = 1 << 16  # bytes; a disk with less is full
RATES: Mapping[AudioFormat, tuple[int, ...]] = {  # Hz, all that a format knows; one that is not here knows every rate
    AudioFormat.MP3: (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000),
    AudioFormat.OPUS: (8000, 12000, 16000, 24000, 48000),
    AudioFormat.AAC: (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 88200, 96000),
}


@dataclass(frozen=True, slots=True)
class _Encoding:
    """How libsndfile is asked for a format."""

    container: str
    subtype: str
    bitrate_mode: str | None = None
    compression: float | None = None


ENCODINGS: Mapping[AudioFormat, _Encoding] = {
    AudioFormat.WAV: _Encoding("WAV", "PCM_16"),
    AudioFormat.FLAC: _Encoding("FLAC", "PCM_24"),
    # 0.2 is a constant 256 kbit/s at 48 kHz and 128 at 24 kHz; libsndfile's own default, about 80, can be heard.
    AudioFormat.MP3: _Encoding("MP3", "MPEG_LAYER_III", "CONSTANT", 0.2),
}


def check_rate(audio_format: AudioFormat, sample_rate: int) -> None:
    """Raise AudioError when `audio_format` can't hold `sample_rate` (Hz); cheap, so ask before making the audio."""
    known = RATES.get(audio_format)
    if known is not None and sample_rate not in known:
        rates = ", ".join(map(str, known))
        raise AudioError(f"{audio_format} has no sample rate of {sample_rate} Hz, only {rates}; choose wav or flac")


def write_audio(path: Path, audio: Audio, sample_rate: int, audio_format: AudioFormat) -> None:
    """Write `audio` `[channels, samples]`, float32 within -1..1, to `path`; wav is 16 bit, flac 24 bit.

    Raises AudioError when the audio is empty, holds NaN, the rate (Hz) doesn't fit the format or the disk refuses;
    a file begun is removed then.
    """
    _check(audio, "the audio to write")
    check_rate(audio_format, sample_rate)
    try:
        if audio_format in CODECS:
            write_encoded(path, audio, sample_rate, audio_format)
        else:
            _write(path, audio, sample_rate, ENCODINGS[audio_format])
    except (OSError, soundfile.SoundFileError) as error:
        # soundfile only says that the system failed
        full = path.parent.is_dir() and shutil.disk_usage(path.parent).free < TIGHT
        path.unlink(missing_ok=True)
        if full:
            raise AudioError(f"{path.name} can't be written: the disk is full") from error
        raise AudioError(f"{path.name} can't be written: {error}") from error


def read_audio(path: Path) -> tuple[Audio, int]:
    """Read a whole audio file as it is; gives float32 `[channels, samples]` and the sample rate in Hz.

    Raises AudioError for a file that is missing, no audio, truncated, damaged, empty or holds NaN; see stream.py.
    """
    with open_stream(path, path.name) as stream:
        return join(stream.blocks, stream.channels), stream.rate


def _write(path: Path, audio: Audio, sample_rate: int, encoding: _Encoding) -> None:
    with soundfile.SoundFile(
        path,
        "w",
        samplerate=sample_rate,
        channels=audio.shape[0],
        format=encoding.container,
        subtype=encoding.subtype,
        bitrate_mode=encoding.bitrate_mode,
        compression_level=encoding.compression,
    ) as file:
        for start in range(0, audio.shape[1], BLOCK):
            file.write(audio[:, start : start + BLOCK].T)


def _check(audio: Audio, name: str) -> None:
    if audio.ndim != 2 or audio.size == 0:
        raise AudioError(f"{name} holds no samples")
    if not np.isfinite(audio).all():
        raise AudioError(f"{name} holds samples that are not numbers (NaN or infinite)")
