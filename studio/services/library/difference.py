"""What two takes were made with differently."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from studio.services.views import TakeView

_ALIKE = {"seeds", "notes", "batch_size"}  # a take has one seed; what is said about choices follows from them
_FORM_NAMES = {"key_scale": "keyscale", "time_signature": "timesignature", "steps": "inference_steps"}


@dataclass(frozen=True, slots=True)
class Difference:
    """One setting with its two values; None where a take has no such setting."""

    name: str
    left: object
    right: object


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Two takes side by side."""

    left: TakeView
    right: TakeView
    settings: tuple[Difference, ...]  # fields of the form
    results: tuple[Difference, ...]  # what was used beyond the form: model, device, what was filled in

    def apply_right(self) -> Mapping[str, object]:
        """Return the form values of the right take where they differ from the left's, and nothing else."""
        return _form_values(self.settings, self.right, seed_differs=self.left.seed != self.right.seed)


def compare(
    left: TakeView, right: TakeView, left_form: Mapping[str, object], right_form: Mapping[str, object]
) -> Comparison:
    """Compare two takes and the forms of their batches."""
    settings = _differences(left_form, right_form)
    told = {one.name for one in settings}
    used = _differences(_results(left), _results(right))
    results = [one for one in used if one.name not in _ALIKE and _FORM_NAMES.get(one.name, one.name) not in told]
    return Comparison(left=left, right=right, settings=tuple(settings), results=tuple(results))


def _differences(left: Mapping[str, object], right: Mapping[str, object]) -> list[Difference]:
    names = dict.fromkeys((*left, *right))
    pairs = (Difference(name, left.get(name), right.get(name)) for name in names)
    return [pair for pair in pairs if pair.left != pair.right]


def _results(take: TakeView) -> Mapping[str, object]:
    return {"model": take.model, "task_type": take.task, **take.effective, "seed": take.seed}


def _form_values(settings: tuple[Difference, ...], take: TakeView, *, seed_differs: bool) -> Mapping[str, object]:
    values = {one.name: one.right for one in settings if one.name not in ("seed", "use_random_seed")}
    if seed_differs:
        values |= {"seed": str(take.seed), "use_random_seed": False}
    return values
