"""Makes the README's short examples: `python -m mini.examples --out docs/examples` writes mp3s and spectrograms."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray
from PIL import Image

from studio.engine.engine import Engine
from studio.engine.requests import Metas, TextToMusic

SECONDS = 10.0
WIDTH, HEIGHT = 640, 192  # pixels of a spectrogram
RANGE = 70.0  # dB between black and white
LOWEST, HIGHEST = 40.0, 11000.0  # Hz, on a logarithmic axis
# Dark to bright: black, violet, red, orange, pale yellow.
COLOURS = np.array([[0, 0, 4], [81, 18, 124], [183, 55, 121], [252, 137, 97], [252, 253, 191]], float)
COMPRESSION = 0.7  # of libsndfile's mp3: about 64 kbit/s at 24 kHz


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """What is asked for."""

    name: str
    caption: str
    metas: Metas
    lyrics: str = ""
    seed: int = 1


EXAMPLES = (
    Example(
        name="electronic",
        caption="Fast energetic electronic dance track with drums, a deep bass line and bright synths",
        metas=Metas(bpm=136, key_scale="A minor", time_signature="4"),
    ),
    Example(
        name="ballad",
        caption="Slow gentle ballad with piano and strings, no drums, instrumental",
        metas=Metas(bpm=72, key_scale="C major", time_signature="4"),
    ),
    Example(
        name="latin",
        caption="Happy mid-tempo latin song with acoustic guitar, upright bass, congas and trumpets",
        metas=Metas(bpm=104, key_scale="D minor", time_signature="4"),
    ),
)


def spectrogram(audio: NDArray[np.float32], rate: int) -> Image.Image:
    """Energy of `audio` `[channels, samples]` over time and logarithmic frequency."""
    size = 2048
    mono = np.pad(audio.mean(0), size // 2)
    starts = np.linspace(0, len(mono) - size, WIDTH).astype(int)
    frames = np.stack([mono[start : start + size] for start in starts]) * np.hanning(size)
    level = 20 * np.log10(np.abs(np.fft.rfft(frames, axis=1)) + 1e-6)
    hertz = np.geomspace(LOWEST, min(HIGHEST, rate / 2), HEIGHT)[::-1]
    bins = np.fft.rfftfreq(size, 1 / rate)
    rows = np.stack([np.interp(hertz, bins, frame) for frame in level], axis=1)
    shade = np.clip((rows - rows.max()) / RANGE + 1, 0, 1)
    steps = np.linspace(0, 1, len(COLOURS))
    pixels = np.stack([np.interp(shade, steps, channel) for channel in COLOURS.T], axis=-1)
    return Image.fromarray(pixels.astype(np.uint8))


def write(engine: Engine, example: Example, folder: Path) -> list[Path]:
    """Make one example; gives the files written."""
    request = TextToMusic(
        caption=example.caption,
        lyrics=example.lyrics,
        instrumental=not example.lyrics,
        metas=example.metas,
        duration=SECONDS,
        seeds=(example.seed,),
    )
    take = engine.generate(request)[0]
    sound, picture = folder / f"{example.name}.mp3", folder / f"{example.name}.png"
    soundfile.write(
        sound, take.audio.T, take.sample_rate, format="MP3", subtype="MPEG_LAYER_III", compression_level=COMPRESSION
    )
    colours = spectrogram(take.audio, take.sample_rate).quantize(64)
    colours.save(picture, optimize=True)
    return [sound, picture]


def main() -> None:
    """Write all examples."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("docs/examples"))
    parser.add_argument("--model", default="acestep-mini-turbo")
    parser.add_argument("--models", type=Path, default=Path("data/models"))
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    engine = Engine.load(options.model, device="cpu", dirs=[options.models])
    for example in EXAMPLES:
        for path in write(engine, example, options.out):
            print(f"{path}: {path.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
