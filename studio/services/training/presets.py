"""Settings that are known to fit devices of a size, as a start for people who don't want to choose."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

DEFAULTS: Mapping[str, str | int | float | bool | None] = {  # of the page (product.md T-04 to T-13)
    "adapter": "lora",
    "rank": 64,
    "alpha": 128,
    "dropout": 0.1,
    "factor": -1,
    "decompose_both": False,
    "weight_decompose": False,
    "learning_rate": 1e-4,
    "epochs": 500,
    "batch_size": 1,
    "accumulation": 1,
    "save_every": 200,
    "shift": 3.0,
    "seed": 42,
    "keep": 3,
    "checkpointing": False,
    "optimizer": "adamw",
    "decay": "cosine",
    "warmup_steps": 100,
    "timesteps": None,  # and the next: the family's
    "condition_dropout": None,
    "crop_frames": 0,  # whole songs
    "ema": 0.0,
    "validation": 0.0,
}


LOKR: Mapping[str, str | int | float | bool] = {  # what differs of LoKr (product.md T-30)
    "adapter": "lokr",
    "dropout": 0.0,
    "learning_rate": 1e-3,
    "accumulation": 4,
    "save_every": 50,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Preset:
    """What is changed of the defaults for devices of one size."""

    gigabytes: float  # the least memory it was counted for, with a published 2B model and songs of four minutes
    changes: Mapping[str, str | int | float | bool]


PRESETS: Mapping[str, Preset] = {
    "default": Preset(gigabytes=32, changes={}),
    "24": Preset(gigabytes=24, changes={"checkpointing": True, "batch_size": 2}),
    "16": Preset(gigabytes=16, changes={"checkpointing": True, "accumulation": 2}),
    "12": Preset(
        gigabytes=12, changes={"checkpointing": True, "accumulation": 4, "rank": 32, "alpha": 64, "crop_frames": 3000}
    ),
    "8": Preset(
        gigabytes=8,
        changes={
            "checkpointing": True,
            "accumulation": 4,
            "rank": 16,
            "alpha": 32,
            "crop_frames": 1500,
            "optimizer": "adamw8bit",
        },
    ),
}


def preset_values(name: str) -> dict[str, str | int | float | bool | None]:
    """Return the whole settings of a preset."""
    return {**DEFAULTS, **PRESETS[name].changes}
