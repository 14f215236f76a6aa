"""Which adapters a job is made with; names and numbers only, so services and queue can say it without torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import cast

from studio.engine.sampling import is_number
from studio.errors import InvalidRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """One adapter: what it is called, where it lies, what it holds and how strong it is to be."""

    name: str
    path: str  # folder; empty where only its contents are known
    sha256: str  # see formats.adapter_hash
    scale: float = 1.0  # 0 = no effect, 1 = as trained

    def __post_init__(self) -> None:
        check_scale(self.scale)


@dataclass(frozen=True, slots=True, kw_only=True)
class AdapterSet:
    """The adapters on a model and whether they are switched on; without any, the bare model."""

    adapters: tuple[Wanted, ...] = ()
    on: bool = False

    def __post_init__(self) -> None:
        names = [one.name for one in self.adapters]
        if len(set(names)) < len(names):
            raise InvalidRequest("adapters", "have a name each", ", ".join(names))
        sums = [one.sha256 for one in self.adapters]
        if len(set(sums)) < len(sums):
            raise InvalidRequest("adapters", "each be another one, for a scale is what makes one stronger", names[-1])

    def as_row(self) -> dict[str, object]:
        """Return the JSON-ready mapping that `adapter_set_from` reads."""
        return {"use_lora": self.on, "adapters": [asdict(one) for one in self.adapters]}

    def told(self) -> dict[str, object]:
        """Return what a take's settings say of it, as `Adapters.state` does: where a folder lies is left out."""
        told = [{"name": one.name, "sha256": one.sha256, "scale": one.scale, "fused": False} for one in self.adapters]
        return {"use_lora": self.on, "adapters": told}


def adapter_set_from(row: Mapping[str, object]) -> AdapterSet:
    """Rebuild a set from its row, or from what a take tells; the bare model where nothing is said."""
    stored = cast(list[dict[str, object]], row.get("adapters") or [])
    wanted = tuple(
        Wanted(
            name=str(one["name"]),
            path=str(one.get("path", "")),
            sha256=str(one["sha256"]),
            scale=float(str(one["scale"])),
        )
        for one in stored
    )
    return AdapterSet(adapters=wanted, on=bool(wanted) and bool(row.get("use_lora")))


def check_scale(scale: float) -> None:
    """Raise InvalidRequest for a strength outside 0 to 1."""
    if not is_number(scale) or not 0 <= scale <= 1:
        raise InvalidRequest("lora_scale", "be from 0 to 1", scale)
