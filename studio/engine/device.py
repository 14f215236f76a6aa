"""Which device and number type a model runs with, and the device's memory."""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import TypeVar

import psutil  # type: ignore[import-untyped]  # psutil ships no types
import torch

from studio.engine.memory import GB, DeviceMemory
from studio.errors import InvalidRequest, OutOfMemory

Result = TypeVar("Result")
AUTO = "auto"
KINDS = ("cuda", "mps", "xpu", "cpu")  # in the order `auto` prefers them
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
# Texts of errors without a class of their own; the last one is what cuBLAS and cuDNN say.
_FULL = ("out of memory", "can't allocate memory", "not enough memory", "alloc_failed")


def choose_device(name: str) -> torch.device:
    """Return the device called `name` ("auto", "cpu", "cuda", "cuda:1", "mps", "xpu").

    Raises InvalidRequest for an unknown name and for a device this machine doesn't have: it is never replaced.
    """
    if name == AUTO:
        return torch.device(next(kind for kind in KINDS if _count(kind) > 0))
    kind, _, number = name.partition(":")
    if kind not in KINDS or not (number.isdecimal() or name == kind):
        raise InvalidRequest("device", f"be one of {AUTO}, {', '.join(KINDS)}", name)
    if int(number or 0) >= _count(kind):
        raise InvalidRequest("device", f"be on this machine, which has {_available()}", name)
    return torch.device(name)


def choose_dtype(name: str, device: torch.device) -> torch.dtype:
    """Return the number type called `name`; "auto" is bfloat16 on GPUs that compute in it, else float32.

    Without native bfloat16 CUDA devices get float16 (engine.md 2.8). Raises InvalidRequest for an unknown name.
    """
    if name != AUTO and name not in DTYPES:
        raise InvalidRequest("dtype", f"be one of {AUTO}, {', '.join(DTYPES)}", name)
    if name != AUTO:
        return DTYPES[name]
    if device.type == "cuda":
        native = torch.cuda.is_bf16_supported(including_emulation=False)
        return torch.bfloat16 if native else torch.float16
    return torch.bfloat16 if device.type == "xpu" else torch.float32


def name_of(dtype: torch.dtype) -> str:
    """Return the name of a number type as it is stored and shown."""
    return str(dtype).removeprefix("torch.")


def free_memory(device: torch.device) -> float | None:
    """Return the free memory of a CUDA device in GB (2^30 bytes); None for every other device."""
    return torch.cuda.mem_get_info(device)[0] / GB if device.type == "cuda" else None


def peak_memory(device: torch.device) -> float | None:
    """Return the most GB that tensors had of a CUDA device at a time; None for every other device."""
    return torch.cuda.max_memory_allocated(device) / GB if device.type == "cuda" else None


def memory_of(device: torch.device, limit: float | None = None, held: float = 0.0) -> DeviceMemory:
    """Measure a device's memory; the machine's RAM for the CPU.

    With `limit` (GB) a device of that size is simulated, on the CPU too, where `held` says how many GB the model has
    there already. Raises InvalidRequest when the limit isn't above 0.
    """
    free, total = (size / GB for size in _measured(device))
    if limit is None:
        return DeviceMemory(kind=device.type, total=total, free=free)
    if not limit > 0:
        raise InvalidRequest("max_vram_gb", "be above 0", limit)
    used = held if device.type == "cpu" else total - free
    return DeviceMemory(kind=device.type, total=limit, free=max(0.0, min(free, limit - used)), simulated=True)


def _measured(device: torch.device) -> tuple[int, int]:
    """Free and total bytes."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)
    if device.type == "xpu":
        return torch.xpu.mem_get_info(device)
    if device.type == "mps":
        total = torch.mps.recommended_max_memory()
        return total - torch.mps.driver_allocated_memory(), total
    ram = psutil.virtual_memory()
    return ram.available, ram.total


def synchronize(device: torch.device) -> None:
    """Wait until the device has done what it was given; without it a clock measures the queueing only."""
    if device.type != "cpu":
        torch.accelerator.synchronize(device)


def release(device: torch.device) -> None:
    """Give unused memory back to the device, what lost cycles of objects held too."""
    gc.collect()
    empty_cache(device)


def empty_cache(device: torch.device) -> None:
    """Give unused memory back to the device, quickly."""
    if device.type != "cpu":
        torch.accelerator.empty_cache()


def within_memory(device: torch.device, work: Callable[[], Result], advice: str) -> Result:
    """Do `work`; when memory runs out, free what it held and raise OutOfMemory with `advice`.

    memory.things_to_try words the advice. The device can be used as before afterwards.
    """
    try:
        return work()
    except (MemoryError, RuntimeError) as error:
        if not _is_out_of_memory(error):
            raise
    # Outside the except block: while the error lives, its traceback keeps the tensors of the failed work.
    release(device)
    raise OutOfMemory(f"{device} has too little memory; try {advice}")


def _is_out_of_memory(error: Exception) -> bool:
    """Devices other than CUDA have no class for it, only texts."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return any(text in str(error).lower() for text in _FULL)


def _count(kind: str) -> int:
    if kind == "cuda":
        return torch.cuda.device_count() if torch.cuda.is_available() else 0
    if kind == "xpu":
        return torch.xpu.device_count() if torch.xpu.is_available() else 0
    return int(kind == "cpu" or torch.backends.mps.is_available())


def _available() -> str:
    return ", ".join(kind for kind in KINDS if _count(kind) > 0)
