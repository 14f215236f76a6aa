"""Noise levels of a run, from 1 (noise) down to 0 (data), and what a choice of them comes to on a family."""

from __future__ import annotations

from dataclasses import dataclass

from studio.engine.model_spec import Defaults
from studio.engine.sampling import Sampling
from studio.errors import InvalidRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """The levels a run steps through, and how the request's wishes became them."""

    levels: tuple[float, ...]  # n + 1
    shift: float | None  # None: custom timesteps have none
    notes: tuple[str, ...] = ()

    @property
    def steps(self) -> int:
        """Number of steps."""
        return len(self.levels) - 1

    def from_level(self, target: float) -> Schedule:
        """Return the rest of the schedule from the level nearest to `target`, the higher of two equally near.

        For a start from a noised source (engine.md 5.6); the last 0 is no start.
        """
        nearest = min(range(self.steps), key=lambda step: abs(self.levels[step] - target))
        return Schedule(levels=self.levels[nearest:], shift=self.shift, notes=self.notes)


def noise_levels(steps: int, shift: float) -> tuple[float, ...]:
    """Return the `steps` + 1 levels t between which the sampler steps; the first is 1, the last 0.

    s·u / (1 + (s − 1)·u) on evenly spaced u (engine.md 6.2, 6.3). With 8 steps and shift 1, 2 or 3 these are exactly
    the tables turbo was distilled on, so no table is stored.
    """
    even = (1 - step / steps for step in range(steps + 1))
    return tuple(shift * u / (1 + (shift - 1) * u) for u in even)


def schedule_for(sampling: Sampling, defaults: Defaults) -> Schedule:
    """Return the schedule that `sampling` asks for on a family with these `defaults`.

    Raises InvalidRequest naming the family's limit. Whatever differs from the wish is said in the notes.
    """
    if sampling.timesteps is not None:
        return _custom(sampling, defaults)
    steps = defaults.steps if sampling.steps is None else sampling.steps
    shift = defaults.shift if sampling.shift is None else float(sampling.shift)
    if steps > defaults.max_steps:
        raise InvalidRequest("steps", f"be at most {defaults.max_steps} on {defaults.family} checkpoints", steps)
    if not sampling.trained_only:
        return Schedule(levels=noise_levels(steps, shift), shift=shift, notes=tuple(untrained(steps, shift, defaults)))
    used_steps, used_shift = nearest_trained(steps, shift, defaults)
    notes = []
    if used_steps != steps:
        notes.append(f"{used_steps} steps instead of {steps}, as trained_only asks")
    if used_shift != shift:
        notes.append(f"shift {used_shift:g} instead of {shift:g}, as trained_only asks")
    return Schedule(levels=noise_levels(used_steps, used_shift), shift=used_shift, notes=tuple(notes))


def nearest_trained(steps: int, shift: float, defaults: Defaults) -> tuple[int, float]:
    """Return the nearest steps and shift the family was trained on, the lower of two equally near (engine.md 6.2)."""
    trained_steps = min(defaults.trained_steps or (steps,), key=lambda trained: abs(trained - steps))
    trained_shift = min(defaults.trained_shifts or (shift,), key=lambda trained: abs(trained - shift))
    return trained_steps, trained_shift


def trained_levels(defaults: Defaults) -> tuple[float, ...]:
    """Return the distinct levels above 0 of every schedule the family was trained on, highest first."""
    levels = {
        level
        for steps in defaults.trained_steps
        for shift in defaults.trained_shifts
        for level in noise_levels(steps, shift)[:-1]
    }
    return tuple(sorted(levels, reverse=True))


def _custom(sampling: Sampling, defaults: Defaults) -> Schedule:
    """Custom timesteps (product.md G-64): turbo maps each to the nearest level it knows, others keep them."""
    wanted = list(sampling.timesteps or ())
    while wanted and wanted[-1] == 0:
        wanted.pop()
    if len(wanted) > defaults.max_steps:
        rule = f"hold at most {defaults.max_steps} numbers above 0 on {defaults.family} checkpoints"
        raise InvalidRequest("timesteps", rule, len(wanted))
    notes = []
    if sampling.steps is not None and sampling.steps != len(wanted):
        notes.append(f"the {len(wanted)} custom timesteps win over {sampling.steps} steps")
    known = trained_levels(defaults)
    used = [min(known, key=lambda level: abs(level - want)) for want in wanted] if known else wanted
    if used != wanted:
        mapped = ", ".join(f"{level:.4g}" for level in used)
        notes.append(f"each custom timestep was moved to the nearest one this checkpoint was trained on: {mapped}")
    return Schedule(levels=(*used, 0.0), shift=None, notes=tuple(notes))


def untrained(steps: int, shift: float, defaults: Defaults) -> list[str]:
    """Return a sentence for each choice that lies outside what the family was trained on."""
    notes = []
    if defaults.trained_steps and steps not in defaults.trained_steps:
        trained = _listed(defaults.trained_steps)
        notes.append(f"{steps} steps are outside the trained range of this checkpoint ({trained})")
    if defaults.trained_shifts and shift not in defaults.trained_shifts:
        trained = _listed(defaults.trained_shifts)
        notes.append(f"shift {shift:g} is outside the trained range of this checkpoint ({trained})")
    return notes


def _listed(values: tuple[float, ...]) -> str:
    return ", ".join(f"{value:g}" for value in values)
