"""What a take was made with: versions, machine and the sums of the weights; says which part of it changed since.

Imports no torch: it asks the installed packages for their versions, and torch only when it is there already.
"""

from __future__ import annotations

import hashlib
import platform
import sys
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from studio.engine.checkpoint import resolve
from studio.engine.manifest import WEIGHTS, read_manifest, sha256
from studio.errors import CheckpointError, NotFound

MODEL_SUM = "model_sha256"
PACKAGES = ("studio", "torch", "diffusers", "transformers", "peft", "torchao", "numpy", "soundfile", "soxr")
_KEPT = ("device", "dtype", "attention", "compiled", "offload_to_cpu", "offload_dit_to_cpu", "quantization")


def environment_of(model: str, loaded: Mapping[str, object]) -> dict[str, object]:
    """Return the flat JSON-ready record of what makes takes now; `loaded` is Engine.status.

    The sum of the weights is not in it, for it takes time: see `weights_sum`.
    """
    adapters = loaded.get("adapters")
    return {
        "model": model,
        MODEL_SUM: "",
        "adapters": adapters if isinstance(adapters, list) else [],
        **{f"package {name}": found for name in PACKAGES if (found := _version(name))},
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
        **{name: loaded[name] for name in _KEPT if name in loaded},
        "device_name": device_name(str(loaded.get("device", ""))),
    }


def changes(then: Mapping[str, object], now: Mapping[str, object]) -> list[dict[str, object]]:
    """Return what differs between two records: its name, what it was and what it is, in the order of the first."""
    names = [*then, *(name for name in now if name not in then)]
    return [
        {"name": name, "then": then.get(name), "now": now.get(name)}
        for name in names
        if then.get(name) != now.get(name)
    ]


def weights_sum(model: str, dirs: Iterable[Path]) -> str:
    """Return the SHA-256 over the sums of all weights of a checkpoint; empty when it can't be found any more.

    The first call for a checkpoint without a manifest reads it: about a second a gigabyte.
    """
    try:
        folders = resolve(model, dirs).folders
    except (NotFound, CheckpointError):
        return ""
    digest = hashlib.sha256()
    for name, total in _sums(folders):
        digest.update(f"{name} {total}\n".encode())
    return digest.hexdigest()


def device_name(device: str) -> str:
    """Return what the device calls itself, such as `NVIDIA H200`; for the CPU, the processor."""
    torch = sys.modules.get("torch")
    if device.startswith("cuda") and torch is not None:
        return str(torch.cuda.get_device_name(device))
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8", errors="replace").splitlines() if info.is_file() else []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, "") or platform.processor() or platform.machine()


def _sums(folders: Iterable[Path]) -> Iterator[tuple[str, str]]:
    """Yield each weights file by its place in the checkpoint; a manifest's sums, checked when fetched, are believed."""
    for folder in folders:
        listed = read_manifest(folder)
        for file in sorted(path for path in folder.rglob("*") if path.suffix in WEIGHTS):
            name = file.relative_to(folder).as_posix()
            facts = file.stat()
            yield name, listed[name].sha256 if name in listed else _sum(file, facts.st_size, facts.st_mtime_ns)


@lru_cache(maxsize=256)
def _sum(file: Path, size: int, changed: int) -> str:
    """A file of the same size and time of change is not read again."""
    return sha256(file)


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""
