"""Noise levels of a run, from 1 (noise) down to 0 (data)."""

from __future__ import annotations

from studio.engine.model_spec import Defaults


def noise_levels(steps: int, shift: float) -> tuple[float, ...]:
    """Return the `steps` + 1 levels t between which the sampler steps; the first is 1, the last 0.

    s·u / (1 + (s − 1)·u) on evenly spaced u (engine.md 6.2, 6.3). With 8 steps and shift 1, 2 or 3 these are exactly
    the tables turbo was distilled on, so no table is stored.
    """
    even = (1 - step / steps for step in range(steps + 1))
    return tuple(shift * u / (1 + (shift - 1) * u) for u in even)


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
