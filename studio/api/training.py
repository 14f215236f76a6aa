"""Training runs: started, watched, stopped, resumed, exported."""

from __future__ import annotations

from pathlib import Path

from fastapi import APIRouter
from starlette.responses import PlainTextResponse

from studio.api.bodies import Export, Run
from studio.api.doors import Making
from studio.api.faults import FAULTS_OF_FILES
from studio.errors import NotFound
from studio.services.training.views import TrainingView

router = APIRouter(prefix="/training", tags=["training"])


@router.get("")
def training(studio: Making) -> TrainingView:
    """Give the run that is going on, else the newest one."""
    if (latest := studio.training.latest()) is None:
        raise NotFound("nothing was trained yet")
    return latest


@router.post("", status_code=202)
def start(studio: Making, body: Run) -> TrainingView:
    """Start a run with the loaded model."""
    studio.training.start(body.tensors, body.out, body.settings, resume=body.resume, unquantize=body.unquantize)
    return training(studio)


@router.post("/stop", status_code=202)
def stop(studio: Making) -> TrainingView:
    """Let the run finish its update, save and end."""
    studio.training.stop()
    return training(studio)


@router.post("/{training_id}/resume", status_code=202)
def resume(studio: Making, training_id: str, unquantize: bool = False) -> TrainingView:
    """Go on with a run that was stopped or failed, as a new run."""
    studio.training.resume(training_id, unquantize=unquantize)
    return training(studio)


@router.get("/{training_id}/log", response_class=PlainTextResponse, responses=FAULTS_OF_FILES)
def log(studio: Making, training_id: str) -> PlainTextResponse:
    """Send everything a run wrote."""
    return PlainTextResponse(studio.training.whole_log(training_id))


@router.post("/export", status_code=201)
def export(studio: Making, body: Export) -> Path:
    """Copy a trained adapter to a folder of its own and give its path."""
    return studio.training.export(body.out, body.target, checkpoint=body.checkpoint, replace=body.replace).path
