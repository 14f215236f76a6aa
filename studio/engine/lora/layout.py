"""Where a training run keeps what; names only, so it needs no torch."""

from __future__ import annotations

import shutil
from pathlib import Path

from studio.engine.lora.formats import AdapterInfo, inspect_adapter
from studio.errors import InvalidRequest, NotFound, StorageError

MANIFEST = "manifest.json"  # beside prepared songs
CARD = "run.json"  # what went into a run
STATE = "training_state.pt"
CHECKPOINTS, FINAL = "checkpoints", "final"


def checkpoints(out: Path) -> list[Path]:
    """Return the checkpoints of a run that can be gone on from, oldest first."""
    found = [path.parent for path in (out / CHECKPOINTS).glob(f"*/{STATE}") if not path.parent.name.startswith(".")]
    return sorted(found, key=lambda folder: (folder / STATE).stat().st_mtime_ns)


def checkpoint_at(path: Path) -> Path:
    """Return the checkpoint in a folder, or the newest one of the run that lies there; raises NotFound."""
    if (path / STATE).is_file():
        return path
    if found := checkpoints(path):
        return found[-1]
    raise NotFound(f"there is no checkpoint to go on from at {path}; leave the field empty to start afresh")


def holds_run(out: Path) -> bool:
    """Return whether a folder holds a training run already."""
    return (out / FINAL).exists() or bool(checkpoints(out))


def trained(out: Path, checkpoint: str = "") -> AdapterInfo:
    """Return the adapter of a run: the final one, else that of its newest checkpoint, or of the one that is named.

    Raises NotFound when nothing is trained there, CheckpointError for a damaged adapter.
    """
    if checkpoint:
        folder = out / CHECKPOINTS / checkpoint
        if folder.parent != out / CHECKPOINTS or not folder.is_dir():
            known = ", ".join(path.name for path in checkpoints(out)) or "none"
            raise NotFound(f"there is no checkpoint {checkpoint!r} in {out}; there are: {known}")
        return inspect_adapter(folder)
    if (out / FINAL).is_dir():
        return inspect_adapter(out / FINAL)
    if found := checkpoints(out):
        return inspect_adapter(found[-1])
    raise NotFound(f"nothing is trained in {out} yet: it holds neither a final adapter nor a checkpoint")


def export(out: Path, target: Path, *, checkpoint: str = "", replace: bool = False) -> AdapterInfo:
    """Copy a run's adapter to `target`, ready for LoRA Path and for other runtimes; returns what is there then.

    Only a folder that holds an adapter is replaced, and only with `replace`. Raises what `trained` does, InvalidRequest
    when there is something at `target`, StorageError.
    """
    source = trained(out, checkpoint)
    if source.path.resolve().is_relative_to(target.resolve()):
        raise InvalidRequest("export_path", "be a folder beside the run, not one around it", str(target))
    if target.exists():
        _check_replaceable(target, replace)
    partial = target.with_name(f".{target.name}.partial")
    old = target.with_name(f".{target.name}.old")
    try:
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        for file in sorted(source.path.iterdir()):
            if file.is_file():
                shutil.copyfile(file, partial / file.name)
        if target.exists():
            target.rename(old)
        partial.rename(target)
        shutil.rmtree(old, ignore_errors=True)
    except OSError as error:
        raise StorageError(f"{target} can't be written: {error}") from error
    return inspect_adapter(target)


def remove(folder: Path) -> None:
    """Delete an adapter's folder; raises NotFound, InvalidRequest when something else is in it, StorageError."""
    if not folder.is_dir():
        raise NotFound(f"there is no adapter at {folder}")
    if not _is_export(folder):
        raise InvalidRequest("lora_path", "hold an adapter and nothing else to be deleted", str(folder))
    try:
        shutil.rmtree(folder)
    except OSError as error:
        raise StorageError(f"{folder} can't be deleted: {error}") from error


def _check_replaceable(target: Path, replace: bool) -> None:
    if not target.is_dir() or (any(target.iterdir()) and not _is_export(target)):
        raise InvalidRequest("export_path", "be a new folder: there is something other than an adapter", str(target))
    if any(target.iterdir()) and not replace:
        raise InvalidRequest(
            "export_path", "be a new folder, or be replaced on purpose: it holds an adapter", str(target)
        )


def _is_export(folder: Path) -> bool:
    """Whether nothing but one adapter lies there: then only an adapter is lost with it."""
    files = [path for path in folder.iterdir() if path.suffix in (".json", ".safetensors", ".md")]
    return len(files) == len(list(folder.iterdir())) and any(path.suffix == ".safetensors" for path in files)
