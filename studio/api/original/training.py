"""Training adapters: /v1/training, one run at a time (product.md 4.2)."""

from __future__ import annotations

from collections.abc import Mapping

from studio.api.original.asked import Asked
from studio.api.original.fields import original_names, read_fields
from studio.services import reading

_SHARED: Mapping[str, str] = {  # field -> training setting
    "learning_rate": "learning_rate",
    "train_epochs": "epochs",
    "train_batch_size": "batch_size",
    "gradient_accumulation": "accumulation",
    "save_every_n_epochs": "save_every",
    "training_shift": "shift",
    "training_seed": "seed",
    "gradient_checkpointing": "checkpointing",
}
_LORA: Mapping[str, str] = {"lora_rank": "rank", "lora_alpha": "alpha", "lora_dropout": "dropout"}
_LOKR: Mapping[str, str] = {
    "lokr_linear_dim": "rank",
    "lokr_linear_alpha": "alpha",
    "lokr_factor": "factor",
    "lokr_decompose_both": "decompose_both",
}
_DEFAULTS: Mapping[str, object] = {"epochs": 10, "accumulation": 4, "save_every": 5}
_PLACES = frozenset({"tensor_dir", "output_dir", "lora_output_dir"})


def start(asked: Asked) -> dict[str, object]:
    """Train a LoRA."""
    return _start(asked, {**_SHARED, **_LORA}, "lora")


def start_lokr(asked: Asked) -> dict[str, object]:
    """Train a LoKr."""
    return _start(asked, {**_SHARED, **_LOKR}, "lokr")


def stop(asked: Asked) -> dict[str, object]:
    """Let the run finish its update, save and end."""
    read_fields(asked.fields, frozenset())
    asked.studio.training.stop()
    return {"message": "training stops after its update"}


def status(asked: Asked) -> dict[str, object]:
    """Say how the run that goes on is, or the newest one; before the first nothing trains."""
    run = asked.studio.training.latest()
    if run is None:
        return {"is_training": False, "status": "nothing was trained yet", "loss_history": [], "log": "", "error": None}
    step = run.last.get("step", 0)
    return {
        "is_training": run.active,
        "status": "stopping" if run.stopping else run.state,
        "current_step": step,
        "total_steps": run.last.get("steps"),
        "current_epoch": run.last.get("epoch", 0),
        "current_loss": run.last.get("loss"),
        "learning_rate": run.last.get("learning_rate"),
        "loss_history": [{"step": point.step, "loss": point.loss} for point in run.points],
        "log": "\n".join(run.lines),
        "steps_per_second": step / run.elapsed if run.elapsed and isinstance(step, int) else 0.0,
        "estimated_time_remaining": run.left,
        "tensorboard_url": None,  # the studio runs none; its logs lie in the output folder
        "output_dir": str(run.out),
        "error": run.error or None,
    }


def tensor_info(asked: Asked) -> dict[str, object]:
    """Say what lies in a folder of tensors."""
    given = read_fields(asked.fields, frozenset({"tensor_dir"}))
    with original_names({"tensor_dir": "tensors"}):
        found = asked.studio.training.tensors(reading.text({"tensor_dir": "", **given}, "tensor_dir"))
    return {"message": f"{found.count} songs", "dataset_name": found.name, "num_samples": found.count}


def export(asked: Asked) -> dict[str, object]:
    """Copy a trained adapter to a folder of its own."""
    sent = read_fields(asked.fields, frozenset({"export_path", "output_dir", "lora_output_dir"}))
    given = {"export_path": "", "output_dir": "", **sent}
    with original_names({_out_name(sent): "out"}):
        made = asked.studio.training.export(reading.text(given, _out_name(sent)), reading.text(given, "export_path"))
    return {"message": "exported", "export_path": str(made.path)}


def _start(asked: Asked, names: Mapping[str, str], kind: str) -> dict[str, object]:
    given = read_fields(asked.fields, _PLACES | names.keys())
    wanted = {key: _number(name, given[name]) for name, key in names.items() if name in given}
    places = {"tensor_dir": "", "output_dir": "", **given}
    with original_names({**names, "tensor_dir": "tensors", _out_name(given): "out"}):
        run_id = asked.studio.training.start(
            reading.text(places, "tensor_dir"),
            reading.text(places, _out_name(given)),
            {**_DEFAULTS, "adapter": kind, **wanted},
        )
    return {"message": "training waits for its turn", "task_id": run_id}


def _out_name(given: Mapping[str, object]) -> str:
    return "lora_output_dir" if "lora_output_dir" in given else "output_dir"


def _number(name: str, value: object) -> object:
    """Return a number that came as text as one; any other value is for the settings to judge."""
    if not isinstance(value, str):
        return value
    try:
        return int(value)
    except ValueError:
        return reading.number({name: value}, name)
