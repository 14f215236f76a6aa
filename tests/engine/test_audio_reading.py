"""Reading what people bring: every format, and every way a file can be broken."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest
import soundfile

from studio.engine.audio.io import read_audio, write_audio
from studio.engine.audio.shape import Audio
from studio.engine.audio.stream import open_stream
from studio.engine.requests import AudioFormat
from studio.errors import AudioError

RATE = 48000  # opus knows no other that the rest know too
SECONDS = 4
ENDS_UNSTATED = ("a.ogg", "a.opus", "flac.ogg", "a.aac", "plain.mp3", "parts.mp4")
STATED = ("a.wav", "a.aiff", "a.flac", "a.m4a", "a.webm", "xing.mp3")
RECORDED = "live.webm"  # as browsers write it: without a length


def encode(path: Path, audio: Audio, rate: int, codec: str, layout: str = "stereo", **options: str) -> None:
    """Write with FFmpeg, which makes what libsndfile can't."""
    kind = "adts" if path.suffix == ".aac" else None
    with av.open(str(path), "w", format=kind, options=options) as file:
        stream = file.add_stream(codec, rate=rate, layout=layout)
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(audio), format="fltp", layout=layout)
        frame.rate, frame.pts = rate, 0
        resampler = av.AudioResampler(format=stream.codec_context.format, layout=layout, rate=rate)
        for ready in [*resampler.resample(frame), *resampler.resample(None), None]:
            for packet in stream.encode(ready):
                file.mux(packet)


def two_tones(seconds: float, rate: int = RATE) -> Audio:
    times = np.arange(round(seconds * rate)) / rate
    return (0.5 * np.stack([np.sin(2 * np.pi * 440 * times), np.sin(2 * np.pi * 660 * times)])).astype(np.float32)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One file of each format, all with the same four seconds."""
    place, audio = tmp_path_factory.mktemp("formats"), two_tones(SECONDS)
    for name in ("a.wav", "a.aiff", "a.flac", "xing.mp3"):
        soundfile.write(place / name, audio.T, RATE)
    with soundfile.SoundFile(place / "a.ogg", "w", RATE, 2, format="OGG", subtype="VORBIS") as file:
        for start in range(0, audio.shape[1], RATE):  # libsndfile crashes when it gets all at once
            file.write(audio[:, start : start + RATE].T)
    encode(place / "a.opus", audio, RATE, "libopus")
    encode(place / "a.m4a", audio, RATE, "aac", movflags="+faststart")
    encode(place / "a.aac", audio, RATE, "aac")
    encode(place / "a.webm", audio, RATE, "libopus")
    encode(place / "flac.ogg", audio, RATE, "flac")
    encode(place / "parts.mp4", audio, RATE, "aac", movflags="frag_keyframe+empty_moov", frag_duration="500000")
    encode(place / RECORDED, audio, RATE, "libopus", live="1")
    encode(place / "plain.mp3", audio, RATE, "libmp3lame", write_xing="0", id3v2_version="0")
    encode(place / "tagged.mp3", audio, RATE, "libmp3lame", id3v2_version="3", write_id3v1="1")
    return place


def pitch(wave: Audio, rate: int) -> float:
    return float(np.abs(np.fft.rfft(wave * np.hanning(wave.size))).argmax() * rate / wave.size)


def notes_of(path: Path) -> list[str]:
    with open_stream(path, path.name) as stream:
        for _block in stream.blocks:
            pass
        return stream.notes


def halved(path: Path, place: Path) -> Path:
    content = path.read_bytes()
    cut = place / path.name
    cut.write_bytes(content[: len(content) // 2 + 7])
    return cut


@pytest.mark.parametrize("name", [*STATED, *ENDS_UNSTATED, RECORDED, "tagged.mp3"])
def test_every_format_comes_in_whole_and_on_its_own_channel(folder: Path, name: str) -> None:
    audio, rate = read_audio(folder / name)
    assert (rate, audio.shape[0], audio.dtype) == (RATE, 2, np.float32)
    assert audio.shape[1] / rate == pytest.approx(SECONDS, abs=0.06)  # encoders pad
    inside = audio[:, rate : 3 * rate]
    assert [pitch(wave, rate) for wave in inside] == [440.0, 660.0]
    assert inside.std() == pytest.approx(0.5 / np.sqrt(2), rel=0.06)
    assert notes_of(folder / name) == []


@pytest.mark.parametrize("name", STATED)
def test_a_file_shorter_than_it_states_is_refused(folder: Path, tmp_path: Path, name: str) -> None:
    cut = halved(folder / name, tmp_path)
    with pytest.raises(AudioError, match=rf"^{name} (is truncated|can't be read beyond [12]\.\d s)"):
        read_audio(cut)


def test_a_cut_mp3_is_told_by_its_first_frame(folder: Path, tmp_path: Path) -> None:
    cut = halved(folder / "xing.mp3", tmp_path)
    with pytest.raises(AudioError, match=r"holds (1\.9|2\.0) s of the 4\.\d s it states"):
        read_audio(cut)


@pytest.mark.parametrize("name", ENDS_UNSTATED)
def test_a_cut_file_that_states_no_length_is_read_with_a_note(folder: Path, tmp_path: Path, name: str) -> None:
    cut = halved(folder / name, tmp_path)
    audio, rate = read_audio(cut)
    assert 0.9 < audio.shape[1] / rate < 2.5  # an ogg page may hold a second
    assert pitch(audio[0, : rate // 2], rate) == pytest.approx(440, abs=3)
    (note,) = notes_of(cut)
    assert note.startswith(f"{name} ends in the middle")


@pytest.mark.parametrize("name", ["a.ogg", "a.opus", "flac.ogg"])
def test_an_ogg_file_without_its_last_page_is_read_with_a_note(folder: Path, tmp_path: Path, name: str) -> None:
    content = (folder / name).read_bytes()
    (tmp_path / name).write_bytes(content[: content.rindex(b"OggS")])
    (note,) = notes_of(tmp_path / name)
    assert note.startswith(f"{name} ends in the middle")


def test_a_plain_mp3_cut_between_two_frames_leaves_no_trace(folder: Path, tmp_path: Path) -> None:
    # 128 kbit/s at 48 kHz: every frame has 384 bytes. Nothing in such a file can tell; the docstring says so.
    (tmp_path / "a.mp3").write_bytes((folder / "plain.mp3").read_bytes()[: 384 * 50])
    assert read_audio(tmp_path / "a.mp3")[0].shape[1] == pytest.approx(50 * 1152, abs=1200)
    assert notes_of(tmp_path / "a.mp3") == []


def test_two_mp3_files_one_behind_the_other_are_read_as_far_as_the_first_states(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "a.mp3").write_bytes((folder / "xing.mp3").read_bytes() * 2)
    assert read_audio(tmp_path / "a.mp3")[0].shape[1] == pytest.approx(SECONDS * RATE, abs=2400)
    (note,) = notes_of(tmp_path / "a.mp3")
    assert note == "a.mp3 holds more than the 4.0 s it states; what comes after them was not read"


def test_pictures_and_titles_in_the_way_of_the_sound_are_passed_over(folder: Path, tmp_path: Path) -> None:
    plain, frame = (folder / "plain.mp3").read_bytes(), b"\xff\xfb\x94\x64"
    size = 1 << 20  # written seven bits a byte
    tag = b"ID3\x03\x00\x00" + bytes([size >> shift & 127 for shift in (21, 14, 7, 0)]) + frame * (size // 4)
    (tmp_path / "a.mp3").write_bytes(tag + plain + b"TAG" + frame * 31 + b"\x00")
    np.testing.assert_array_equal(read_audio(tmp_path / "a.mp3")[0], read_audio(folder / "plain.mp3")[0])
    assert notes_of(tmp_path / "a.mp3") == []
    encode(tmp_path / "a.m4a", two_tones(1), RATE, "aac")
    latin = (tmp_path / "a.m4a").read_bytes().replace(b"SoundHandler", b"S\xfcndHandler ")
    (tmp_path / "a.m4a").write_bytes(latin)
    assert pitch(read_audio(tmp_path / "a.m4a")[0][0, :RATE], RATE) == 440.0


@pytest.mark.parametrize("name", ["plain.mp3", "a.aac", "a.m4a"])
def test_damage_in_the_middle_is_not_passed_over(folder: Path, tmp_path: Path, name: str) -> None:
    content = bytearray((folder / name).read_bytes())
    middle = len(content) // 2
    content[middle : middle + 12000] = bytes(12000)
    (tmp_path / name).write_bytes(content)
    with pytest.raises(AudioError, match=rf"^{name} (is damaged|is truncated|can't be read)"):
        read_audio(tmp_path / name)


def test_an_m4a_without_its_table_is_no_audio(folder: Path, tmp_path: Path) -> None:
    encode(tmp_path / "late.m4a", two_tones(1), RATE, "aac")  # its table comes last
    cut = halved(tmp_path / "late.m4a", tmp_path)
    with pytest.raises(AudioError, match=r"^late\.m4a can't be read as audio: Format not recognised$"):
        read_audio(cut)


def test_files_without_usable_audio_are_refused_without_naming_their_folder(tmp_path: Path) -> None:
    (tmp_path / "text.wav").write_text("hello " * 1000)
    (tmp_path / "nothing.mp3").write_bytes(b"")
    (tmp_path / "noise.mp3").write_bytes(np.random.default_rng(0).bytes(50000))
    soundfile.write(tmp_path / "empty.wav", np.zeros((0, 2)), RATE)
    soundfile.write(tmp_path / "nan.wav", np.full((200000, 2), np.nan), RATE, subtype="FLOAT")
    soundfile.write(tmp_path / "slow.wav", np.zeros((9, 2)), 1)
    (tmp_path / "folder.wav").mkdir()
    reasons = {
        "text.wav": "can't be read as audio: Format not recognised",
        "nothing.mp3": "can't be read as audio",
        "noise.mp3": "can't be read as audio",
        "empty.wav": "holds no samples",
        "nan.wav": "holds samples that are not numbers",
        "slow.wav": "has a sample rate of 1 Hz; it must be from 1000 to 768000",
        "folder.wav": "can't be read as audio",
        "gone.wav": "can't be read as audio",
    }
    for name, reason in reasons.items():
        with pytest.raises(AudioError, match=rf"^{name} {reason}") as caught:
            read_audio(tmp_path / name)
        assert str(tmp_path) not in str(caught.value)


def test_a_playlist_can_not_make_the_studio_open_another_file(folder: Path, tmp_path: Path) -> None:
    lines = ["#EXTM3U", "#EXT-X-TARGETDURATION:4", "#EXTINF:4,", str(folder / "a.aac"), "#EXT-X-ENDLIST"]
    (tmp_path / "list.m3u8").write_text("\n".join(lines))
    with av.open(str(tmp_path / "list.m3u8"), format="hls") as file:
        assert len(file.streams.audio) == 1  # FFmpeg itself would
    with pytest.raises(AudioError, match=r"^list\.m3u8 can't be read as audio"):
        read_audio(tmp_path / "list.m3u8")


def test_a_film_gives_its_sound_and_a_picture_none(tmp_path: Path) -> None:
    for name, has_sound in (("film.mp4", True), ("mute.mp4", False)):
        with av.open(str(tmp_path / name), "w") as file:
            video = file.add_stream("mpeg4", rate=10)
            video.width, video.height, video.pix_fmt = 32, 32, "yuv420p"
            sound = file.add_stream("aac", rate=RATE, layout="stereo") if has_sound else None
            for _ in range(10):
                image = av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8), format="rgb24")
                file.mux(video.encode(image))
            file.mux(video.encode(None))
            if sound is not None:
                frame = av.AudioFrame.from_ndarray(two_tones(1), format="fltp", layout="stereo")
                frame.rate = RATE
                file.mux(sound.encode(frame))
                file.mux(sound.encode(None))
    audio, rate = read_audio(tmp_path / "film.mp4")
    assert pitch(audio[1], rate) == pytest.approx(660, abs=2)
    with pytest.raises(AudioError, match=r"^mute\.mp4 holds no sound$"):
        read_audio(tmp_path / "mute.mp4")


def test_lengths_that_writers_of_streams_leave_open_are_found_out(tmp_path: Path) -> None:
    music = two_tones(1)
    for name in ("a.wav", "a.flac"):
        write_audio(tmp_path / name, music, RATE, AudioFormat(name[2:]))
    wav = bytearray((tmp_path / "a.wav").read_bytes())
    wav[4:8] = wav[wav.index(b"data") + 4 : wav.index(b"data") + 8] = b"\xff" * 4
    flac = bytearray((tmp_path / "a.flac").read_bytes())
    flac[21:26] = bytes([flac[21] & 0xF0, 0, 0, 0, 0])  # the 36 bits of STREAMINFO that count samples
    (tmp_path / "a.wav").write_bytes(wav)
    (tmp_path / "a.flac").write_bytes(flac)
    for name in ("a.wav", "a.flac"):
        np.testing.assert_allclose(read_audio(tmp_path / name)[0], music, atol=1 / 2**15)
