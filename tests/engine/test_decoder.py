"""What a file does to the process that decodes it, it does to no other."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from studio.engine.audio import decoder, stream
from studio.engine.audio.io import read_audio, write_audio
from studio.engine.requests import AudioFormat
from studio.errors import AudioError
from studio.services.principal import Principal
from studio.services.uploads import Uploads
from studio.storage.artifacts import ArtifactStore

RATE = 48_000
SOUND = np.random.default_rng(3).uniform(-0.5, 0.5, (2, 3 * RATE)).astype(np.float32)


@pytest.fixture
def song(tmp_path: Path) -> Path:
    write_audio(tmp_path / "song.wav", SOUND, RATE, AudioFormat.WAV)
    return tmp_path / "song.wav"


@contextmanager
def decoders(deed: str, patience: float = 60) -> Iterator[None]:
    """Have decoders do something else than open a file, under the limits they set themselves."""
    lines = (
        "import os, signal, time, studio.engine.audio.decoding as d",
        f"def open_stream(path, name):\n    {deed}",
        "d.open_stream, d.CPU_SECONDS = open_stream, 0",
        "d.main()",
    )
    decoder._end_all()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(decoder, "PROGRAM", ("-c", "\n".join(lines)))
        patch.setattr(decoder, "CPU_SECONDS", 0)
        patch.setattr(decoder, "PATIENCE", patience)
        yield
    decoder._end_all()


@pytest.mark.parametrize("audio_format", [AudioFormat.WAV, AudioFormat.AAC])
def test_samples_come_as_they_are_read_here(tmp_path: Path, audio_format: AudioFormat) -> None:
    path = tmp_path / f"song.{audio_format}"
    write_audio(path, SOUND, RATE, audio_format)
    with stream.open_stream(path, "song") as direct:
        here = stream.join(direct.blocks, direct.channels)
    audio, rate = read_audio(path)
    assert rate == RATE
    assert np.array_equal(audio, here)


@pytest.mark.parametrize(
    ("deed", "reason"),
    [
        ("os.kill(os.getpid(), signal.SIGSEGV)", "its decoder ended with SIGSEGV"),
        ("bytearray(4 << 30)", "it needs more than 1024 MiB of memory"),
        ("while True: pass", "decoding it took more than 0 s"),
        ("time.sleep(60)", "its decoder did nothing for 2 s"),
        ("raise RuntimeError('a bug')", "its decoder ended with exit status 1"),
        ("open(path, 'ab').write(b'x' * 9) and os.kill(os.getpid(), 9)", "its decoder ended with"),
    ],
)
def test_a_file_that_breaks_its_decoder_is_refused_and_the_next_one_is_read(song: Path, deed: str, reason: str) -> None:
    size = song.stat().st_size
    refused = pytest.raises(AudioError, match=f"^song.wav can't be read as audio: {re.escape(reason)}")
    with decoders(deed, patience=2 if "sleep" in deed else 60), refused:
        read_audio(song)
    assert song.stat().st_size == size  # a decoder writes nothing
    assert read_audio(song)[0].shape == SOUND.shape


def test_a_file_that_holds_more_than_fits_is_refused(song: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoder, "MOST_SOUND", 1 << 20)
    with pytest.raises(AudioError, match=r"song\.wav holds more than 1 MiB of sound; bring a shorter piece"):
        read_audio(song)


def test_one_process_reads_many_files_whether_they_are_read_to_the_end_or_not(song: Path, tmp_path: Path) -> None:
    (tmp_path / "none.wav").write_bytes(b"none")
    kept = []
    for _turn in range(3):
        with decoder.open_stream(song, "song") as opened:
            assert opened.seconds == 3
        with decoder.open_stream(song, "song") as opened:
            next(iter(opened.blocks))
        with pytest.raises(AudioError, match=r"none\.wav can't be read as audio"):
            read_audio(tmp_path / "none.wav")
        assert read_audio(song)[0].shape == SOUND.shape
        kept.append(decoder._idle[:])
    assert kept[0] == kept[1] == kept[2]
    assert kept[0]


def test_a_decoder_has_no_secrets_of_the_studio(song: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STUDIO_SECRET", "not for decoders")
    told = "raise d.AudioError(' '.join([*os.environ, *os.listdir('/proc/self/fd')]))"
    with song.open("rb"), decoders(told), pytest.raises(AudioError) as seen:
        read_audio(song)
    names = str(seen.value).split()
    assert "STUDIO_SECRET" not in names
    assert {name for name in names if name.isdigit()} == {"0", "1", "2", "3"}  # 3 is the list itself


def test_an_upload_that_breaks_its_decoder_names_its_field_and_leaves_nothing(song: Path, tmp_path: Path) -> None:
    store = ArtifactStore(tmp_path / "artifacts")
    uploads = Uploads(store, principal=Principal(user_id="ada"))
    crash, refused = decoders("os.kill(os.getpid(), signal.SIGSEGV)"), pytest.raises(AudioError)
    with crash, refused as told:
        uploads.add("src_audio", "hum.wav", song.read_bytes())
    assert str(told.value).startswith("src_audio: hum.wav can't be read as audio: ")
    assert not list((tmp_path / "artifacts").rglob("*.*"))[1:]  # but the folder for drafts
    assert uploads.add("src_audio", "hum.wav", song.read_bytes()).seconds == 3
