"""Which models there are, loading them, and the adapters on the one that is loaded."""

from __future__ import annotations

from fastapi import APIRouter
from pydantic import BaseModel

from studio.api.bodies import AdapterToLoad, File, Model, Weight
from studio.api.doors import Making, Seat
from studio.services.known_adapters import AdapterView
from studio.services.views import DownloadView, JobView, LmView, ModelView, StatusView

router = APIRouter(tags=["models"])


class Models(BaseModel):
    """The checkpoints and language models on this machine, and the published ones, which are fetched when needed."""

    here: list[ModelView]
    published: list[ModelView]
    language_models: list[LmView]
    published_language_models: list[LmView]


@router.get("/status")
def status(studio: Seat) -> StatusView:
    """Say whether music can be made now, and with what."""
    return studio.status()


@router.get("/models")
def models(studio: Seat) -> Models:
    """List the models."""
    return Models(
        here=studio.models(),
        published=studio.published(),
        language_models=studio.language_models(),
        published_language_models=studio.published_lms(),
    )


@router.get("/models/{name}/download")
def download(studio: Making, name: str) -> DownloadView:
    """Say what fetching a published model takes, in bytes."""
    return studio.download(name)


@router.post("/models/initialize", status_code=202)
def initialize(studio: Making, body: Model) -> JobView:
    """Load a checkpoint, fetching it first where it is not here, and a language model."""
    job_id = studio.generation.initialize(
        body.model,
        body.setup,
        init_llm=body.init_llm,
        lm_name=body.lm_model,
        lm_backend=body.lm_backend,
        lm_fallback=body.lm_fallback,
    )
    return studio.generation.job(job_id)


@router.get("/adapters", tags=["adapters"])
def adapters(studio: Making) -> list[AdapterView]:
    """List the known adapters; what is loaded is in the status."""
    return studio.adapters.known.all()


@router.post("/adapters", status_code=201, tags=["adapters"])
def know(studio: Making, body: File) -> AdapterView:
    """Put the adapter of a folder on the list."""
    return studio.adapters.known.add(body.path)


@router.delete("/adapters/{adapter_id}", status_code=204, tags=["adapters"])
def forget(studio: Making, adapter_id: str) -> None:
    """Take an adapter off the list; its files stay."""
    studio.adapters.known.remove(adapter_id)


@router.post("/adapters/load", status_code=202, tags=["adapters"])
def load(studio: Making, body: AdapterToLoad) -> JobView:
    """Put an adapter on the model and switch it on."""
    return studio.generation.job(studio.adapters.load(body.path, body.scale, beside=body.beside))


@router.post("/adapters/unload", status_code=202, tags=["adapters"])
def unload(studio: Making, name: str = "") -> JobView:
    """Take one adapter off the model, or without a name all."""
    return studio.generation.job(studio.adapters.unload(name))


@router.post("/adapters/switch", status_code=202, tags=["adapters"])
def switch(studio: Making, on: bool) -> JobView:
    """Switch the loaded adapters on or off."""
    return studio.generation.job(studio.adapters.use(on))


@router.post("/adapters/weigh", status_code=202, tags=["adapters"])
def weigh(studio: Making, body: Weight) -> JobView:
    """Set how strong a loaded adapter is."""
    return studio.generation.job(studio.adapters.weigh(body.name, body.scale))
