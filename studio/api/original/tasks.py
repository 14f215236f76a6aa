"""Asking for music and polling for it: /release_task and /query_result (product.md 4.2, 4.3)."""

from __future__ import annotations

from studio.api.original.asked import Asked
from studio.api.original.fields import FORM_KEYS, as_list, canonical, original_names, read_fields
from studio.api.original.order import Order, read_order
from studio.api.original.results import entry
from studio.errors import InvalidRequest
from studio.services import Studio

AUDIO = ("reference_audio_path", "src_audio_path")
MOST = 200  # tasks polled at once
_LOAD = "; another one is loaded on the page Generate"


def release(asked: Asked) -> dict[str, object]:
    """Queue a task; raises what reading the order, uploading and submitting raise."""
    order = read_order({**asked.fields, **_uploaded(asked)})
    _check_models(order, asked.studio)
    with original_names(FORM_KEYS):
        task_id = asked.studio.generation.submit(order.form, words=order.words)
    place = asked.studio.generation.job(task_id).position + 1
    return {"task_id": task_id, "status": "queued", "queue_position": place}


def query(asked: Asked) -> list[dict[str, object]]:
    """Say of each task how it stands; one that this person doesn't have stands at 0, as in the original."""
    ids = read_fields(asked.fields, frozenset({"task_id_list"})).get("task_id_list", [])
    wanted = as_list("task_id_list", ids)
    if len(wanted) > MOST or not all(isinstance(one, str) for one in wanted):
        raise InvalidRequest("task_id_list", f"hold at most {MOST} task ids", wanted[:3])
    return [entry(asked.studio, str(one)) for one in wanted]


def _uploaded(asked: Asked) -> dict[str, object]:
    found = dict[str, object]()
    for name, file in asked.files.items():
        field = canonical(name)
        if field not in AUDIO:
            raise InvalidRequest(name, f"be no file; files are {' and '.join(AUDIO)}", file.name)
        found[name] = asked.studio.uploads.add(FORM_KEYS[field], file.name, file.content).key
    return found


def _check_models(order: Order, studio: Studio) -> None:
    """A task runs on what is loaded; nothing is loaded because a task names it."""
    status = studio.status()
    model, lm = status.model, status.lm
    for field, wanted, there in (
        ("model", order.model, model.name if model else ""),
        ("lm_model_path", order.lm_model.rpartition("/")[2], lm.name if lm.ready else ""),
        ("lm_backend", order.lm_backend, lm.backend if lm.ready else ""),
    ):
        if wanted and wanted != there:
            raise InvalidRequest(field, f"be {there or 'empty, for none is loaded'}{_LOAD}", wanted)
