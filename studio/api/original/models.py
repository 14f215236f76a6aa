"""What is loaded and how busy it is: /v1/models, /v1/stats and /v1/reinitialize (product.md 4.2)."""

from __future__ import annotations

from studio.api.original.asked import Asked, Waiting
from studio.errors import ModelNotReady
from studio.services.views import JobState, JobView


def listed(asked: Asked) -> dict[str, object]:
    """Name the checkpoint that tasks run on."""
    model = asked.studio.status().model
    name = None if model is None else model.name
    return {"models": [] if name is None else [{"name": name, "is_default": True}], "default_model": name}


def stats(asked: Asked) -> dict[str, object]:
    """Count everybody's tasks; a `queue_maxsize` of 0 is no limit, any other is each person's own."""
    tally = asked.studio.operations.tally()
    queued, running = tally.counts[JobState.QUEUED], tally.counts[JobState.RUNNING]
    return {
        "jobs": {
            "total": sum(tally.counts.values()),
            "queued": queued,
            "running": running,
            "succeeded": tally.counts[JobState.DONE],
            "failed": tally.counts[JobState.FAILED] + tally.counts[JobState.CANCELLED],
        },
        "queue_size": queued,
        "queue_maxsize": asked.studio.settings.queue_limit,
        "avg_job_seconds": tally.seconds,
    }


def reinitialize(asked: Asked) -> Waiting:
    """Load again what is loaded, as the settings say; raises ModelNotReady when nothing is."""
    studio, status = asked.studio, asked.studio.status()
    model, lm = status.model, status.lm
    if model is None:
        raise ModelNotReady("no model is loaded, so there is nothing to load again")
    job_id = studio.generation.initialize(
        model.name,
        init_llm=True if lm.ready else None,
        lm_name=lm.name,
        lm_backend=lm.asked or "pt",
        lm_fallback=lm.fallback,
    )

    reloaded = [model.name, *([lm.name] if lm.ready else [])]

    def told(_job: JobView) -> dict[str, object]:
        return {"message": "loaded again", "reloaded": reloaded}

    return Waiting(job_id=job_id, told=told)
