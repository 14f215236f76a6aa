"""Brings a published checkpoint or language model onto this machine when it is to be loaded and isn't here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from studio.config import Settings
from studio.engine.checkpoint import find_checkpoints
from studio.engine.lm.checkpoint import find_lms
from studio.engine.run import Run

if TYPE_CHECKING:
    from studio.engine.hubs import Endpoints


def fetch_missing(name: str, settings: Settings, run: Run) -> None:
    """Fetch the checkpoint `name` into the user's own folder unless it is here or nothing is published as it.

    Raises what `studio.engine.fetch.fetch` does.
    """
    from studio.engine.fetch import KNOWN, fetch  # with its HTTP client, which is rarely needed

    folders = (settings.models_dir, settings.checkpoints_dir)
    here = {info.name for info in find_checkpoints(folders)} | {info.name for info in find_lms(folders)}
    if name in KNOWN and name not in here:
        fetch(name, settings.checkpoints_dir, endpoints=endpoints(settings), run=run)


def endpoints(settings: Settings) -> Endpoints:
    """Return the hubs' addresses as the settings name them."""
    from studio.engine.hubs import Endpoints

    return Endpoints(huggingface=settings.huggingface_endpoint, modelscope=settings.modelscope_endpoint)
