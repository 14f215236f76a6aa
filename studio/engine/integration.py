"""How one run goes from noise to latents, with every choice made (engine.md 5.5, 5.6, 5.8, 6)."""

from __future__ import annotations

from dataclasses import dataclass

from studio.engine.sampling import Method, Solver, WaveletCorrection


@dataclass(frozen=True, slots=True, kw_only=True)
class Integration:
    """The numbers the sampler works with; noise levels run from 1 (noise) to 0 (data)."""

    levels: tuple[float, ...]  # n + 1 of them, from the first step's to 0
    method: Method = Method.ODE
    solver: Solver = Solver.EULER
    renoised: tuple[float, ...] = ()  # SDE: the level after each step; empty takes the schedule's own
    corrects_last: bool = True  # whether Heun evaluates at level 0 too
    guidance_scale: float = 1.0  # 1 = none
    adg: bool = False
    guided: tuple[float, float] = (0.0, 1.0)  # lowest and highest level that is guided
    switch: int | None = None  # first step that follows the later condition; None = none
    velocity_limit: float = 0.0
    velocity_smoothing: float = 0.0
    wavelet: WaveletCorrection | None = None
    injected: int = 0  # steps after which the outside of a repainted span is set back to the source
    blended: int = 0  # frames outside a repainted span over which the end result fades into the source

    @property
    def steps(self) -> int:
        """Number of steps."""
        return len(self.levels) - 1

    def after(self, step: int) -> float:
        """Level that step `step` ends at."""
        return self.renoised[step] if self.renoised else self.levels[step + 1]

    def is_guided(self, level: float) -> bool:
        """Whether guidance applies at `level`."""
        lowest, highest = self.guided
        return self.guidance_scale > 1 and lowest <= level <= highest
