"""The adapters of the loaded model: /v1/lora (product.md 4.2)."""

from __future__ import annotations

from functools import partial

from studio.api.original.asked import Asked, Waiting
from studio.api.original.fields import read_fields
from studio.engine.lora.wanted import adapter_set_from
from studio.errors import InvalidRequest
from studio.services import Studio, reading


def load(asked: Asked) -> Waiting:
    """Put an adapter on the model in place of those there are."""
    given = read_fields(asked.fields, frozenset({"lora_path", "adapter_name"}))
    if "adapter_name" in given:
        raise InvalidRequest("adapter_name", "be empty; an adapter is called as its folder", given["adapter_name"])
    job_id = asked.studio.adapters.load(reading.text({"lora_path": "", **given}, "lora_path"))
    return _told(asked.studio, job_id, "the adapter is loaded")


def unload(asked: Asked) -> Waiting:
    """Take all adapters off."""
    read_fields(asked.fields, frozenset())
    return _told(asked.studio, asked.studio.adapters.unload(), "the adapters are unloaded")


def toggle(asked: Asked) -> Waiting:
    """Switch the adapters on or off."""
    given = read_fields(asked.fields, frozenset({"use_lora"}))
    on = reading.flag({"use_lora": None, **given}, "use_lora")
    return _told(asked.studio, asked.studio.adapters.use(on), f"the adapters are {'on' if on else 'off'}")


def scale(asked: Asked) -> Waiting:
    """Set how strong an adapter is; without a name there must be one only."""
    studio, given = asked.studio, read_fields(asked.fields, frozenset({"scale", "adapter_name"}))
    wanted = reading.given({"scale": None, **given}, "scale")
    names = [one.name for one in adapter_set_from(studio.status().loaded).adapters]
    if "adapter_name" not in given and len(names) > 1:
        raise InvalidRequest("adapter_name", f"be one of {', '.join(names)}", "")
    name = str(given.get("adapter_name", names[0] if names else ""))
    return _told(studio, studio.adapters.weigh(name, wanted), f"{name} has the scale {wanted:g}")


def status(asked: Asked) -> dict[str, object]:
    """Say which adapters are on the model."""
    return _state(asked.studio)


def _told(studio: Studio, job_id: str, message: str) -> Waiting:
    return Waiting(job_id=job_id, told=partial(_state_after, studio, message))


def _state_after(studio: Studio, message: str, _job: object) -> dict[str, object]:
    return {"message": message, **_state(studio)}


def _state(studio: Studio) -> dict[str, object]:
    worn = adapter_set_from(studio.status().loaded)
    scales = {one.name: one.scale for one in worn.adapters}
    return {
        "lora_loaded": bool(scales),
        "use_lora": worn.on and bool(scales),
        "lora_scale": next(iter(scales.values()), 1.0),
        "adapters": list(scales),
        "scales": scales,
    }
