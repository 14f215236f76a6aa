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
    url: str = "",
    api_key: str = "",
) -> Loaded:
    """Load the checkpoint in `folder`; `rows` texts at once are made room for where memory is taken in advance.

    `url` and `api_key` are of the server that `remote` asks. Raises BackendError when vllm or the server can't be
    used, unless `fallback` allows pt instead: then `notes` say so.
    """
    if name not in list(BackendName):
        raise InvalidRequest("lm_backend", f"be one of {', '.join(BackendName)}", name)
    requested = BackendName(name)

    def here() -> Backend:
        from studio.engine.lm.backend_pt import TorchBackend  # transformers takes seconds to import

        return TorchBackend.load(folder, device=device, dtype=dtype, context=context)

    if requested is BackendName.PT:
        return Loaded(backend=here(), requested=requested)
    try:
        if requested is BackendName.REMOTE:
            from studio.engine.lm.backend_remote import RemoteBackend

            remote = RemoteBackend.load(folder, url=url, api_key=api_key, context=context)
            return Loaded(backend=remote, requested=requested)
        from studio.engine.lm.backend_vllm import VllmBackend

        vllm = VllmBackend.load(folder, device=device, dtype=dtype, context=context, rows=rows)
        return Loaded(backend=vllm, requested=requested)
    except BackendError as error:
        if not fallback:
            raise
        return Loaded(backend=here(), requested=requested, notes=(f"{error}; pt was used instead",))
