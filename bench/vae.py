"""Ours against diffusers' autoencoder, from latents to sound: seconds and peak memory of one decode.

    python -m bench.vae [--device cpu] [--sizes mini full] [--seconds 30 240] [--repeats 3] [--quick]

Diffusers' pipeline decodes the whole song at once, ours in tiles; `--alone` measures only ours, for lengths where the
other needs more memory than there is. `full` is the published Oobleck configuration with random weights.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from bench.checkpoints import MINI, SOUND
from bench.sides import Side, take_turns
from studio.engine.device import choose_device, choose_dtype, name_of
from studio.engine.model_spec import Sound, spec_for

if TYPE_CHECKING:
    from studio.engine.loader import Autoencoder

TARGET = 1.5  # GB above the weights that decoding 240 s may take


class Size(StrEnum):
    """Whose autoencoder."""

    MINI = "mini"
    FULL = "full"

    def sound(self) -> Sound:
        """Its rates."""
        return spec_for(MINI).sound if self is Size.MINI else SOUND


@dataclass(frozen=True, slots=True)
class Setup:
    """One autoencoder on one device."""

    size: Size
    device: str
    dtype: torch.dtype
    chunk: int  # frames; 0 as the engine chooses

    def autoencoder(self) -> Autoencoder:
        """Load or make it; the same in every process."""
        from studio.engine.loader import AutoencoderOobleck, SpectralAutoencoder, quiet

        torch.manual_seed(0)
        with quiet():
            if self.size is Size.MINI:
                return SpectralAutoencoder.from_pretrained(MINI / "vae").to(self.device).eval()
            model = AutoencoderOobleck(
                encoder_hidden_size=128,
                downsampling_ratios=[2, 4, 4, 6, 10],
                decoder_channels=128,
                decoder_input_channels=SOUND.latent_channels,
                sampling_rate=SOUND.sample_rate,
            )
            return model.to(self.device, self.dtype).eval().requires_grad_(False)


def _latents(setup: Setup, seconds: float) -> Tensor:
    frames, channels = setup.size.sound().frames(seconds), setup.size.sound().latent_channels
    return torch.randn(frames, channels, generator=torch.Generator().manual_seed(3)).to(setup.device)


def ours(setup: Setup) -> Callable[[float], Tensor]:
    """The engine's tiles."""
    from studio.engine.device import memory_of
    from studio.engine.memory import decode_frames
    from studio.engine.vae import decode

    vae = setup.autoencoder()

    @torch.inference_mode()
    def work(seconds: float) -> Tensor:
        chunk = setup.chunk or decode_frames(memory_of(torch.device(setup.device)))
        return torch.from_numpy(decode(vae, setup.size.sound(), _latents(setup, seconds), chunk))

    return work


def diffusers(setup: Setup) -> Callable[[float], Tensor]:
    """What its pipeline does with finished latents."""
    vae = setup.autoencoder()

    @torch.no_grad()
    def work(seconds: float) -> Tensor:
        audio: Tensor = vae.decode(_latents(setup, seconds).T[None].to(vae.dtype)).sample
        return audio[0]

    return work


def compare(setup: Setup, seconds: list[float], options: argparse.Namespace) -> None:
    """Print one line a length."""
    builders = {"ours": ours} if options.alone else {"ours": ours, "diffusers": diffusers}
    sides = [
        Side[float](name, partial(build, setup), setup.device, options.threads) for name, build in builders.items()
    ]
    for length in seconds:
        tallies = take_turns(sides, length, options.repeats)
        print(f"{setup.size:5} {name_of(setup.dtype):8} {length:4g} s", end="")
        for side, tally in zip(sides, tallies, strict=True):
            print(f" | {side.name} {tally.seconds:7.2f} s ({tally.spread}), {tally.above:5.2f} GB above", end="")
        if not options.alone:
            first, second = (tally.answers[-1].result for tally in tallies)
            error = float((first - second).abs().max() / second.abs().max())
            print(f" | ratio {tallies[1].seconds / tallies[0].seconds:.2f}, largest difference {error:.0e}", end="")
        print(f" | target {TARGET} GB" if length == 240 else "", flush=True)
    for side in sides:
        side.close()


def main() -> int:
    """Print one line for each size and length."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--sizes", nargs="+", type=Size, default=list(Size))
    parser.add_argument("--seconds", nargs="+", type=float, default=[30.0])
    parser.add_argument("--repeats", type=int, default=3, help="0 = only the run that warms up")
    parser.add_argument("--dtype", default="auto")
    parser.add_argument("--chunk", type=int, default=0, help="frames a tile; 0 = as the engine chooses")
    parser.add_argument("--threads", type=int, default=0, help="0 = as torch chooses")
    parser.add_argument("--alone", action="store_true", help="only ours")
    parser.add_argument("--quick", action="store_true", help="the mini alone, 10 s, once")
    options = parser.parse_args()
    if options.quick:
        options.sizes, options.seconds, options.repeats = [Size.MINI], [10.0], 1
    device = choose_device(options.device)
    for size in options.sizes:
        setup = Setup(size, str(device), choose_dtype(options.dtype, device), options.chunk)
        compare(setup, options.seconds, options)
    return 0


if __name__ == "__main__":
    sys.exit(main())
