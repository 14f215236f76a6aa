"""Turns whatever went wrong in the worker into words for a person."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable

from studio.errors import OutOfMemory, StudioError

_FULL = ("out of memory", "can't allocate memory")  # torch's texts where it has no class of its own
FULL = (
    "the device has too little memory for this; try a smaller batch, a shorter duration, Offload to CPU, INT8, "
    "or a smaller LM Batch Chunk Size"
)

logger = logging.getLogger(__name__)


def outcome(work: Callable[[], object]) -> StudioError | None:
    """Do `work`; return what went wrong, or None.

    A fault nobody foresaw is logged under a reference number, and the number is all the user sees.
    """
    try:
        work()
    except StudioError as error:
        return error
    except Exception as error:  # noqa: BLE001 - the one place: a job's fault must not end the worker
        return _explain(error)
    return None


def _explain(error: Exception) -> StudioError:
    if _is_memory(error):
        return OutOfMemory(FULL)
    reference = secrets.token_hex(4).upper()
    logger.error("internal error, reference %s", reference, exc_info=error)
    return StudioError(f"internal error, reference {reference}")


def _is_memory(error: Exception) -> bool:
    """Tell by name and text: importing torch here to ask for its class would cost seconds."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    return isinstance(error, RuntimeError) and any(text in str(error).lower() for text in _FULL)
