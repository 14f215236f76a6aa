"""Feeds broken files and texts to everything that reads them: `python -m tests.faults.fuzz [--inputs 100000]`.

A reader may refuse with a StudioError and nothing else; it may take 5 seconds at most. Audio goes through the decoder's
process, whose end is an answer too, but is counted. Exit status 1 and the faults if something else happened; each input
that made one is kept in the folder `out`.
"""

from __future__ import annotations

import argparse
import io
import json
import random
import re
import sys
import tempfile
import traceback
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter

import numpy as np
import soundfile
from safetensors.numpy import save

from studio.engine.audio import decoder, ffmpeg
from studio.engine.audio.tags import Tags, read_settings, write_tags
from studio.engine.dataset.files import load_dataset
from studio.engine.dataset.sidecars import foreign_facts, read_sidecars, read_tables
from studio.engine.lora.formats import CONFIG, LOKR_WEIGHTS, WEIGHTS, inspect_adapter
from studio.engine.requests import AudioFormat
from studio.engine.score.lrc import cues, read_lrc, read_vtt, write_lrc
from studio.errors import AudioError, StudioError
from studio.services import reading
from studio.services.datasets.uploading import unpack
from studio.services.forms import build_request, build_thinking, complete_form
from studio.services.parameters import Parameters
from studio.services.principal import Principal
from studio.services.repair import sung_lines
from studio.services.uploads import Uploads
from studio.storage.artifacts import ArtifactStore
from tests.cli.test_adapters import write_adapter

OUT = Path(__file__).parent / "out"
SLOW = 5.0  # seconds
ENDED = "its decoder"
ODD = (
    *("1e400", "NaN", "-1", "1" * 5000, "null", "true", "[]", "{}", "[" * 3000, '"x"', "0.5", "9e18"),
    *('"\\ud800"', '"\\u0000"'),
)
TOKENS = b'{}[]",:<>|\\\n\t \x00\xff\xf0\x9f0123456789eE.+-'
"""Bytes that mean something to one of the readers."""


@dataclass
class Tally:
    """What came of the inputs."""

    ends: Counter[str] = field(default_factory=Counter)  # read, refused, decoder ended
    faults: Counter[str] = field(default_factory=Counter)  # by reader and where it happened
    slowest: float = 0.0


Reader = Callable[[bytes, Path], object]


def _audio(data: bytes, folder: Path) -> object:
    file = folder / "song.bin"
    file.write_bytes(data)
    with decoder.open_stream(file, "song") as stream:
        return sum(len(block) for block in stream.blocks)


def _adapter(data: bytes, folder: Path, name: str) -> object:
    place = folder / "adapter"
    if not place.exists():
        write_adapter(place)
    kept = (place / name).read_bytes() if (place / name).exists() else None
    try:
        (place / name).write_bytes(data)
        return inspect_adapter(place).rank
    finally:
        (place / name).unlink()
        if kept is not None:
            (place / name).write_bytes(kept)


def _lokr(data: bytes, folder: Path) -> object:
    place = folder / "lokr"
    place.mkdir(exist_ok=True)
    (place / LOKR_WEIGHTS).write_bytes(data)
    return inspect_adapter(place).rank


def _sidecars(data: bytes, folder: Path, ending: str) -> object:
    song = folder / "side" / "song.wav"
    song.parent.mkdir(exist_ok=True)
    beside = song.with_suffix(ending)
    beside.write_bytes(data)
    try:
        return read_sidecars(song), foreign_facts(data.decode("utf-8", "replace")), read_tables(song.parent)
    finally:
        beside.unlink()


def _dataset(data: bytes, folder: Path) -> object:
    (folder / "set.json").write_bytes(data)
    return load_dataset(folder / "set.json")


def _lyrics(data: bytes, _folder: Path) -> object:
    text = data.decode("utf-8", "surrogateescape")
    lines = read_lrc(text)
    return write_lrc(lines), cues(lines, 60.0), sung_lines(text, 60.0)


def _form(data: bytes, _folder: Path) -> object:
    try:
        given = json.loads(data)
    except (ValueError, RecursionError):
        return None  # not JSON, so no form
    if not isinstance(given, dict):
        return None
    form = complete_form(given)
    return build_request(form, source=Path("song.wav")), build_thinking(form)


def _codes(data: bytes, _folder: Path) -> object:
    return reading.codes(data.decode("utf-8", "surrogateescape"))


def _parameters(data: bytes, folder: Path) -> object:
    store = ArtifactStore(folder / "store")
    form = dict(Parameters(Uploads(store, principal=Principal(user_id="ada"))).read(data).form)
    return build_request(form, source=Path("song.wav"))


def _zip(data: bytes, folder: Path) -> object:
    with tempfile.TemporaryDirectory(dir=folder) as place:
        return unpack([("songs.zip", io.BytesIO(data))], Path(place) / "songs")


READERS: Mapping[str, Reader] = {
    "audio": _audio,
    "tags": lambda data, _folder: read_settings(data),
    "parameters": _parameters,
    "form": _form,
    "dataset": _dataset,
    "sidecar.json": lambda data, folder: _sidecars(data, folder, ".json"),
    "sidecar.txt": lambda data, folder: _sidecars(data, folder, ".txt"),
    "table.csv": lambda data, folder: _sidecars(data, folder, ".csv"),
    "lrc": _lyrics,
    "vtt": lambda data, _folder: read_vtt(data.decode("utf-8", "surrogateescape")),
    "codes": _codes,
    "adapter config": lambda data, folder: _adapter(data, folder, CONFIG),
    "adapter weights": lambda data, folder: _adapter(data, folder, WEIGHTS),
    "lokr": _lokr,
    "zip": _zip,
}


def seeds(folder: Path) -> dict[str, list[bytes]]:
    """Make sound inputs of every kind, by reader."""
    audio = [_encoded(folder, name) for name in ("wav", "flac", "mp3", "ogg", "opus", "aac", "m4a", "aiff")]
    words = {"caption": "a song", "bpm": 90, "lyrics": "[Verse]\nla"}
    settings = json.dumps({**words, "timesteps": [1.0, 0.5], "seeds": [1, 2]})
    original = {**words, "keyscale": "C major", "duration": "N/A", "audio_codes": "<|audio_code_5|>", "seed": "3, 4"}
    write_adapter(folder / "seed")
    kron = {f"lycoris_layers_0_self_attn_q_proj.{part}": np.ones((4, 4), np.float32) for part in ("lokr_w1", "lokr_w2")}
    sample = {"audio_path": "a.wav", "caption": "piano", "bpm": 90, "lyrics": "la", "duration": 3, "labeled": True}
    dataset = {"metadata": {"name": "mine", "tag_position": "prepend"}, "samples": [sample, {**sample, "extra": [1]}]}
    text = b"caption: piano\nbpm: 90\nkey: C major\nlyrics:\n[Verse]\nla"
    edit = {
        "task_type": "repaint",
        "repainting_start": 1,
        "repainting_more": [[5, 6]],
        "timesteps": "1, 0.5",
        "bpm": 90,
    }
    return {
        "audio": audio,
        "tags": [_tagged(folder, name, settings) for name in ("wav", "flac", "mp3", "ogg", "m4a")],
        "parameters": [settings.encode(), json.dumps(original).encode()],
        "form": [json.dumps(words).encode(), json.dumps(edit).encode(), b'{"duration": 30}'],
        "dataset": [json.dumps(dataset).encode(), json.dumps([sample]).encode()],
        "sidecar.json": [json.dumps(sample).encode()],
        "sidecar.txt": [text, b"<CAPTION>piano</CAPTION><LYRICS>la</LYRICS><BPM>90</BPM>"],
        "table.csv": [b'File,Artist,Title,BPM,Key\nsong.wav,"a, b",la,90,C maj\n'],
        "lrc": [b"[ti:song]\n[offset:+100]\n[00:01.00]la\n[00:02.50][00:05.00]le\n\n[01:00.123]<00:01.00>lu"],
        "vtt": [b"WEBVTT\n\n1\n00:00:01.000 --> 00:00:02.500\nla\n\n00:03.000 --> 00:04.000\nle\n"],
        "codes": [b"<|audio_code_5|><|audio_code_63999|>", b"5, 6 7\n8"],
        "adapter config": [(folder / "seed" / CONFIG).read_bytes(), b'{"peft_type": "LOKR", "r": 4, "alpha": 4}'],
        "adapter weights": [(folder / "seed" / WEIGHTS).read_bytes()],
        "lokr": [save(kron, {"lokr_config": '{"linear_dim": 4, "linear_alpha": 4, "factor": 4}'})],
        "zip": [_zipped(audio[0])],
    }


def _encoded(folder: Path, name: str) -> bytes:
    file, rate = folder / f"seed.{name}", 48_000
    sound = np.sin(np.arange(rate // 8)[None, :] * np.array([[0.05], [0.07]])).astype(np.float32) / 2
    if name in ("opus", "aac"):
        ffmpeg.write_encoded(file, sound, rate, AudioFormat(name))
    elif name == "m4a":
        _write_m4a(file, sound, rate)
    else:
        soundfile.write(file, sound.T, rate, subtype="VORBIS" if name == "ogg" else None)
    return file.read_bytes()


def _write_m4a(file: Path, sound: np.ndarray, rate: int) -> None:
    import av

    with av.open(str(file), "w", format="mp4") as container:
        stream = container.add_stream("aac", rate=rate, layout="stereo")
        frame = av.AudioFrame.from_ndarray(sound, format="fltp", layout="stereo")
        frame.sample_rate = rate
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def _tagged(folder: Path, name: str, settings: str) -> bytes:
    file = folder / f"seed.{name}"
    said = {"title": "a song", "prompt": "piano", "lyrics": "la", "model": "mini", "version": "1", "key": "C major"}
    write_tags(file, Tags(**said, seed=7, bpm=90, settings=json.loads(settings)))
    return file.read_bytes()


def _zipped(song: bytes) -> bytes:
    import zipfile

    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("songs/a.wav", song)
        archive.writestr("songs/a.json", "{}")
    return packed.getvalue()


def mutated(data: bytes, others: list[bytes], chance: random.Random) -> bytes:
    """Return `data` with one to six changes: bytes, numbers, pieces cut, doubled, or taken from another input."""
    changed = bytearray(data)
    for _change in range(chance.choice((1, 1, 1, 2, 3, 6))):
        at = chance.randrange(len(changed) + 1)
        if len(changed) > 64 and chance.random() < 0.4:
            at = chance.randrange(64)  # headers decide most
        kind = chance.randrange(8)
        if kind == 0 and at < len(changed):
            changed[at] ^= 1 << chance.randrange(8)
        elif kind == 1 and at < len(changed):
            changed[at] = chance.choice(TOKENS)
        elif kind == 2:
            number = chance.choice((0, 1, -1, 2**31 - 1, 2**32 - 1, 255, 65535, chance.getrandbits(32)))
            changed[at : at + 4] = (number & 0xFFFFFFFF).to_bytes(4, chance.choice(("big", "little")))
        elif kind == 3:
            del changed[at : at + chance.choice((1, 4, 100, len(changed)))]
        elif kind == 4:
            changed[at:at] = changed[at : at + chance.randrange(1, 200)] * chance.randrange(1, 4)
        elif kind == 5:
            other = chance.choice(others)
            start = chance.randrange(len(other) + 1)
            changed[at:] = other[start:]
        elif kind == 6:
            changed[at:at] = bytes(chance.choice(TOKENS) for _ in range(chance.randrange(1, 8)))
        else:
            changed = _with_odd_value(changed, chance)
    return bytes(changed)


def _with_odd_value(data: bytearray, chance: random.Random) -> bytearray:
    """Put something else behind one colon, as a hostile writer of JSON would."""
    parts = bytes(data).split(b":")
    if len(parts) > 1:
        index = chance.randrange(1, len(parts))
        ends = [place for sign in b",}" if (place := parts[index].find(bytes([sign]))) >= 0]
        parts[index] = chance.choice(ODD).encode() + (parts[index][min(ends) :] if ends else b"")
    return bytearray(b":".join(parts))


def fuzz(inputs: int, seed: int, only: str = "", keep: Path | None = None) -> Tally:
    """Try that many inputs, each reader in turn."""
    chance, tally = random.Random(seed), Tally()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        known = seeds(folder)
        names = [name for name in READERS if only in ("", name)]
        for number in range(inputs):
            name = names[number % len(names)]
            data = mutated(chance.choice(known[name]), known[name], chance)
            fault = _try(READERS[name], data, folder, tally)
            if fault:
                tally.faults[f"{name}: {fault}"] += 1
                if keep is not None:
                    keep.mkdir(exist_ok=True)
                    (keep / f"{name.replace(' ', '-')}-{number}").write_bytes(data)
    return tally


def _try(read: Reader, data: bytes, folder: Path, tally: Tally) -> str:
    start, fault = perf_counter(), ""
    try:
        read(data, folder)
        tally.ends["read"] += 1
    except AudioError as error:
        tally.ends["decoder ended" if ENDED in str(error) else "refused"] += 1
        fault = str(error) if "exit status" in str(error) else ""  # a bug of ours and no library's
    except StudioError:
        tally.ends["refused"] += 1
    except Exception as error:  # noqa: BLE001 - what is looked for
        places = traceback.extract_tb(error.__traceback__)
        last = [place for place in places if "/studio/" in place.filename][-1]
        words = re.sub("[0-9]+", "N", str(error))[:60]
        fault = f"{type(error).__name__} {words!r} in {Path(last.filename).name}:{last.lineno}"
    seconds = perf_counter() - start
    tally.slowest = max(tally.slowest, seconds)
    return fault or (f"took {seconds:.1f} s" if seconds > SLOW else "")


def _most_memory(process: str) -> int:
    """Return the most megabytes a process ever held."""
    told = Path(f"/proc/{process}/status").read_text(encoding="utf-8")
    found = re.search(r"^VmHWM:\s+(\d+) kB", told, re.MULTILINE)
    return int(found[1]) // 1024 if found else 0


def main() -> int:
    """Run as asked and say what came of it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--inputs", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="", choices=["", *READERS])
    args = parser.parse_args()
    start = perf_counter()
    tally = fuzz(args.inputs, args.seed, args.only, OUT)
    here, there = _most_memory("self"), max((_most_memory(str(one.pid)) for one in decoder._idle), default=0)
    ends = ", ".join(f"{count} {name}" for name, count in sorted(tally.ends.items()))
    said = f"{args.inputs} inputs in {perf_counter() - start:.0f} s, seed {args.seed}: {ends}"
    sys.stdout.write(f"{said}; slowest {tally.slowest:.2f} s; at most {here} MB here, {there} MB in a decoder\n")
    for fault, count in tally.faults.most_common():
        sys.stdout.write(f"FAULT {count} times: {fault}\n")
    return 1 if tally.faults else 0


if __name__ == "__main__":
    sys.exit(main())
