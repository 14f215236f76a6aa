"""How a request wants the flow from noise to latents followed: schedule, sampler and guidance; None takes defaults."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from typing import TypeGuard

from studio.errors import InvalidRequest

MAX_STEPS = 200
MAX_TIMESTEPS = 201  # the points of the longest schedule
MAX_SEED = 2**32 - 1


class Method(StrEnum):
    """Whether the way from noise to data is followed exactly or renoised after every step."""

    ODE = "ode"
    SDE = "sde"


class Solver(StrEnum):
    """How one step of the ODE is taken."""

    EULER = "euler"
    HEUN = "heun"


class WaveletMode(StrEnum):
    """Which half of the spectrum over time the differential correction scales (engine.md 6.4, DCW)."""

    LOW = "low"
    HIGH = "high"
    DOUBLE = "double"
    PIXEL = "pix"


@dataclass(frozen=True, slots=True, kw_only=True)
class WaveletCorrection:
    """Differential correction in wavelet space after every step (DCW)."""

    mode: WaveletMode = WaveletMode.DOUBLE
    strength: float = 0.05  # of the low band, or of the only one
    high_strength: float = 0.02  # of the high band in mode double

    def __post_init__(self) -> None:
        for name, value in (("dcw_scaler", self.strength), ("dcw_high_scaler", self.high_strength)):
            _check(name, value, 0.0, 1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Retake:
    """A controlled variation: the take's own noise turned towards other noise (engine.md 5.9)."""

    seeds: tuple[int, ...]  # one for each take
    variance: float  # 0 = the same take, 1 = another

    def __post_init__(self) -> None:
        _check("retake_variance", self.variance, 0.0, 1.0)
        for seed in self.seeds:
            if type(seed) is not int or not 0 <= seed <= MAX_SEED:
                raise InvalidRequest("retake_seed", f"be a whole number from 0 to {MAX_SEED}", seed)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """Steps and sampler."""

    steps: int | None = None
    shift: float | None = None
    timesteps: tuple[float, ...] | None = None  # noise levels, overriding steps and shift; a missing last 0 is added
    trained_only: bool = False  # turbo: use the nearest of the steps and shifts it was distilled on
    method: Method = Method.ODE
    solver: Solver = Solver.EULER
    velocity_limit: float = 0.0  # largest norm of a velocity, in norms of the latents; 0 = no limit
    velocity_smoothing: float = 0.0  # share of the last velocity kept in the next
    wavelet: WaveletCorrection | None = None
    retake: Retake | None = None

    def __post_init__(self) -> None:
        if self.steps is not None and (type(self.steps) is not int or not 1 <= self.steps <= MAX_STEPS):
            raise InvalidRequest("steps", f"be a whole number from 1 to {MAX_STEPS}", self.steps)
        if self.shift is not None:
            _check("shift", self.shift, 1.0, 5.0)
        if self.timesteps is not None:
            _check_timesteps(self.timesteps)
        _check("velocity_norm_threshold", self.velocity_limit, 0.0, 10.0)
        _check("velocity_ema_factor", self.velocity_smoothing, 0.0, 0.99)
        if self.solver is Solver.HEUN and self.method is Method.SDE:
            raise InvalidRequest("sampler_mode", "be euler with infer_method sde", self.solver.value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Guidance:
    """Classifier-free guidance of base and sft checkpoints; turbo has it built in."""

    scale: float | None = None  # 1 = none
    adg: bool = False  # adaptive dual guidance instead of APG
    start: float = 0.0  # progress of the run where guidance begins; 0 = the first step
    end: float = 1.0  # progress where it stops; 1 = after the last step

    def __post_init__(self) -> None:
        if self.scale is not None:
            _check("guidance_scale", self.scale, 1.0, 15.0)
        _check("cfg_interval_start", self.start, 0.0, 1.0)
        _check("cfg_interval_end", self.end, 0.0, 1.0)
        if self.start > self.end:
            raise InvalidRequest("cfg_interval_start", f"not be above cfg_interval_end {self.end:g}", self.start)

    @property
    def levels(self) -> tuple[float, float]:
        """Lowest and highest noise level that is guided; the level falls from 1 to 0 while progress rises."""
        return 1.0 - self.end, 1.0 - self.start


def is_number(value: object) -> TypeGuard[float]:
    """Whether `value` is a finite number; a bool is none."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _check(name: str, value: object, least: float, most: float) -> None:
    if not is_number(value) or not least <= value <= most:
        raise InvalidRequest(name, f"be from {least:g} to {most:g}", value)


def _check_timesteps(levels: tuple[float, ...]) -> None:
    """Product.md G-64: numbers from 1 down to 0; a run never goes back to more noise."""
    for level in levels:
        _check("timesteps", level, 0.0, 1.0)
    if not any(levels):
        raise InvalidRequest("timesteps", "hold at least one number above 0", list(levels))
    if len(levels) > MAX_TIMESTEPS:
        raise InvalidRequest("timesteps", f"hold at most {MAX_TIMESTEPS} numbers", len(levels))
    if any(later > earlier for earlier, later in pairwise(levels)):
        raise InvalidRequest("timesteps", "fall from number to number", list(levels))
