"""Loads a backend by name; which one runs is always said."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from studio.engine.device import AUTO
from studio.engine.lm.backend import CONTEXT, Backend, BackendName
from studio.errors import BackendError, InvalidRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """A backend, and what a user should know about how it came to be used."""

    backend: Backend
    requested: BackendName
    notes: tuple[str, ...] = ()


def load_backend(
    folder: Path,
    name: str,
    *,
    device: str = AUTO,
    dtype: str = AUTO,
    context: int = CONTEXT,
    rows: int = 16,
    fallback: bool = False,
) -> Loaded:
    """Load the checkpoint in `folder`; `rows` texts at once are made room for where memory is taken in advance.

    Raises BackendError when vllm can't be used, unless `fallback` allows pt instead: then `notes` say so.
    """
    if name not in list(BackendName):
        raise InvalidRequest("lm_backend", f"be {' or '.join(BackendName)}", name)
    from studio.engine.lm.backend_pt import TorchBackend  # here, because transformers takes seconds to import

    requested = BackendName(name)
    if requested is BackendName.PT:
        return Loaded(
            backend=TorchBackend.load(folder, device=device, dtype=dtype, context=context), requested=requested
        )
    from studio.engine.lm.backend_vllm import VllmBackend

    try:
        found: Backend = VllmBackend.load(folder, device=device, dtype=dtype, context=context, rows=rows)
    except BackendError as error:
        if not fallback:
            raise
        found = TorchBackend.load(folder, device=device, dtype=dtype, context=context)
        return Loaded(backend=found, requested=requested, notes=(f"{error}; pt was used instead",))
    return Loaded(backend=found, requested=requested)
