"""Ours against diffusers' AceStepPipeline, from prompt to latents: seconds a generation and peak memory.

    python -m bench.dit [--device cpu] [--sizes mini turbo base] [--seconds 30] [--batch 1] [--repeats 5] [--quick]

Both sides have the same weights, texts and noise; each runs in a process of its own and they take turns. A ratio above
1 means that ours is faster. `--quick` is a smoke test.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import product

import torch
from torch import Tensor

from bench.checkpoints import Setup, Size, pipeline_of
from bench.sides import Side, Tally, matmul_ceiling, take_turns
from studio.engine.device import choose_device, choose_dtype, name_of

CAPTION = (
    "an uplifting synth-pop song with driving drums, warm analogue bass, bright arpeggios and a clear female voice"
)
VERSE = """[{part}]
Streetlights are humming an old melody
Carrying home what the day left to me
Windows are glowing in amber and blue
Every one holding a story or two
"""
LYRICS = "\n".join(VERSE.format(part=part) for part in ("Verse 1", "Chorus", "Verse 2", "Chorus"))
BPM, KEY, TIME, SHIFT = 120, "C major", "4", 3.0
SCALE = 7.0  # of guidance, where there is any


@dataclass(frozen=True, slots=True)
class Case:
    """One generation."""

    seconds: float
    batch: int
    steps: int
    scale: float


def ours(setup: Setup, compiled: bool) -> Callable[[Case], Tensor]:
    """The engine."""
    from studio.engine.effective import fill
    from studio.engine.engine import Engine
    from studio.engine.loaded import hold
    from studio.engine.material import Material
    from studio.engine.memory import MemoryPlan
    from studio.engine.requests import Metas, TextToMusic
    from studio.engine.run import Run
    from studio.engine.sampling import Guidance, Sampling
    from studio.engine.setup import Setup as Loading

    plan = MemoryPlan(offload=False, offload_dit=False, int8=False)
    engine = Engine(hold(setup.spec(), setup.components(), Loading(compile=compiled), plan))

    @torch.inference_mode()
    def generate(case: Case) -> Tensor:
        request = TextToMusic(
            caption=CAPTION,
            lyrics=LYRICS,
            vocal_language="en",
            metas=Metas(bpm=BPM, key_scale=KEY, time_signature=TIME),
            duration=case.seconds,
            seeds=tuple(range(case.batch)),
            sampling=Sampling(steps=case.steps, shift=SHIFT),
            guidance=Guidance(scale=case.scale),
        )
        effective = fill(request, engine.spec)
        conditions = engine.encode(request, Material(), effective, None, Run())
        return engine.denoise(engine.prepare_noise(request, effective), conditions, effective, Run())

    return generate


def diffusers(setup: Setup) -> Callable[[Case], Tensor]:
    """The published pipeline."""
    from studio.engine.samplers import Noise

    parts, sound = setup.components(), setup.spec().sound
    pipeline = pipeline_of(parts)

    def generate(case: Case) -> Tensor:
        frames = sound.frames(case.seconds)
        noise = Noise(tuple(range(case.batch)), frames, sound.latent_channels, parts.device, parts.dtype)
        latents: Tensor = pipeline(
            prompt=[CAPTION] * case.batch,
            lyrics=[LYRICS] * case.batch,
            vocal_language="en",
            audio_duration=case.seconds,
            bpm=BPM,
            keyscale=KEY,
            timesignature=TIME,
            num_inference_steps=case.steps,
            guidance_scale=case.scale,
            shift=SHIFT,
            latents=noise.draw(),
            output_type="latent",
        ).audios
        return latents if latents.shape[1] == frames else latents.transpose(1, 2)

    return generate


def work(setup: Setup, case: Case, condition_rows: int = 400) -> float:
    """Floating point operations of the DiT that a generation can't do without: each layer's products, once a step."""
    if setup.size is Size.MINI:
        return float("nan")
    width, wide, inner, tokens = 2048, 1024, 6144, -(-setup.spec().sound.frames(case.seconds) // 2)
    own = 2 * width * width + 2 * width * wide + 3 * width * inner
    cross = 2 * width * width
    full = tokens * (own + 2 * width * tokens)
    windowed = tokens * (own + 2 * width * min(tokens, 257))
    heard = tokens * (cross + 2 * width * condition_rows)
    rows = 2 if case.scale > 1 else 1
    return setup.layers * case.steps * case.batch * (rows * (full + windowed) + 2 * heard)


def compare(setup: Setup, cases: list[Case], options: argparse.Namespace) -> None:
    """Print one line a case."""
    sides = [
        Side[Case]("ours", partial(ours, setup, options.compiled), setup.device, options.threads),
        Side[Case]("diffusers", partial(diffusers, setup), setup.device, options.threads),
    ]
    for case in cases:
        mine, theirs = take_turns(sides, case, options.repeats)
        report(setup, case, mine, theirs, options)
    for side in sides:
        side.close()


def report(setup: Setup, case: Case, mine: Tally, theirs: Tally, options: argparse.Namespace) -> None:
    guided = f"guided {case.scale:g}" if case.scale > 1 else "unguided"
    first, second = mine.answers[-1].result, theirs.answers[-1].result
    error = float((first - second).square().mean().sqrt() / second.square().mean().sqrt())
    ratio, best = theirs.seconds / mine.seconds, theirs.fastest / mine.fastest
    busy = theirs.processor / mine.processor
    print(
        f"{setup.size:5} {name_of(setup.dtype):8} {case.seconds:4g} s x{case.batch} {case.steps:2} steps {guided:8} | "
        f"ours {mine.seconds:7.3f} s ({mine.spread})  diffusers {theirs.seconds:7.3f} s ({theirs.spread})  "
        f"ratio {ratio:4.2f}, of the fastest runs {best:4.2f}, of CPU time {busy:4.2f} | "
        f"peak {mine.peak:.2f} and {theirs.peak:.2f} GB, above the weights {mine.above:.2f} and {theirs.above:.2f} | "
        f"largest difference {float((first - second).abs().max()):.1e}, rms {error:.1e}",
        flush=True,
    )
    if setup.size is not Size.MINI:
        share = work(setup, case) / mine.seconds / options.ceiling
        print(f"      {share:.0%} of the measured matmul ceiling, {options.ceiling / 1e12:.2f} TFLOP/s")


def cases_of(size: Size, options: argparse.Namespace) -> list[Case]:
    """The published defaults: 8 steps, and guidance on base; base with fewer steps than its 32 unless told."""
    scale = SCALE if size is Size.BASE else 1.0
    return [Case(seconds, batch, options.steps, scale) for seconds, batch in product(options.seconds, options.batch)]


def parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--sizes", nargs="+", type=Size, default=list(Size))
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--seconds", nargs="+", type=float)
    parser.add_argument("--batch", nargs="+", type=int)
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--layers", type=int, default=24, help="of the 2B DiT")
    parser.add_argument("--dtype", default="", help="default: the mini's as the engine chooses, bfloat16 for 2B")
    parser.add_argument("--threads", type=int, default=0, help="0 = as torch chooses")
    parser.add_argument("--compiled", action="store_true", help="ours through torch.compile")
    parser.add_argument("--quick", action="store_true", help="mini and a 2-layer 2B, two steps, once each")
    options = parser.parse_args(arguments)
    on_gpu = options.device != "cpu"
    options.seconds = options.seconds or ([30.0, 120.0, 240.0] if on_gpu else [30.0])
    options.batch = options.batch or ([1, 2, 8] if on_gpu else [1])
    if options.quick:
        options.seconds, options.batch, options.steps, options.layers, options.repeats = [10.0], [1], 2, 2, 1
    return options


def main() -> int:
    options = parse(sys.argv[1:])
    device = choose_device(options.device)
    if options.threads:
        torch.set_num_threads(options.threads)
    for size in options.sizes:
        name = options.dtype or ("auto" if size is Size.MINI else "bfloat16")
        setup = Setup(size, str(device), choose_dtype(name, device), options.layers)
        options.ceiling = matmul_ceiling(setup.device, setup.dtype)
        compare(setup, cases_of(size, options), options)
    return 0


if __name__ == "__main__":
    sys.exit(main())
