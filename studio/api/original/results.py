"""How a task stands, in the original's words: status ints, and results as JSON text (product.md 4.2)."""

from __future__ import annotations

import json
from urllib.parse import urlencode

from studio.api.original.audio import PATH
from studio.errors import NotFound
from studio.jobs.spec import JobKind
from studio.services import Studio
from studio.services.media import ROUTE
from studio.services.views import BatchView, JobState, JobView, TakeView

UNDER_WAY, SUCCEEDED, FAILED = 0, 1, 2
ENVIRONMENT = "studio"  # the original says here for what it was started
STATUS = {
    JobState.QUEUED: UNDER_WAY,
    JobState.RUNNING: UNDER_WAY,
    JobState.DONE: SUCCEEDED,
    JobState.FAILED: FAILED,
    JobState.CANCELLED: FAILED,
}


def entry(studio: Studio, task_id: str) -> dict[str, object]:
    """Return what is told of one task; of one that this person doesn't have nothing is."""
    try:
        job = studio.generation.job(task_id)
        batch = studio.library.batch(job.batch_id or "") if job.state == JobState.DONE else None
    except NotFound:
        return _entry(task_id, UNDER_WAY, [])
    if job.kind != JobKind.GENERATE:
        return _entry(task_id, UNDER_WAY, [])
    result = [_under_way(job)] if batch is None else [_take(studio, batch, take) for take in batch.takes]
    return _entry(task_id, STATUS[job.state], result, _progress(job))


def _entry(task_id: str, status: int, result: list[dict[str, object]], progress: str = "") -> dict[str, object]:
    text = json.dumps(result, ensure_ascii=False)
    return {"task_id": task_id, "status": status, "result": text, "progress_text": progress}


def _progress(job: JobView) -> str:
    if not job.active:
        return job.error or job.state
    return f"{job.phase} {job.step}/{job.total}" if job.phase else f"{job.state}, {job.position} ahead"


def _under_way(job: JobView) -> dict[str, object]:
    """The progress is that of the stage, for nobody knows how long the others take."""
    return {
        "file": "",
        "wave": "",
        "status": STATUS[job.state],
        "create_time": int(job.created_at.timestamp()),
        "env": ENVIRONMENT,
        "progress": job.step / job.total if job.total else 0.0,
        "stage": job.phase if job.active and job.phase else job.state,
        "error": (job.error or job.state) if STATUS[job.state] == FAILED else None,
    }


def _take(studio: Studio, batch: BatchView, take: TakeView) -> dict[str, object]:
    used = take.effective
    metas = {
        "bpm": used.get("bpm"),
        "duration": take.duration,
        "genres": "",
        "keyscale": used.get("keyscale") or "",
        "timesignature": used.get("timesignature") or "",
    }
    link = f"{PATH}?{urlencode({'path': studio.media.link(take.id).removeprefix(ROUTE)})}"
    return {
        "file": link,
        "url": link,
        "wave": "",
        "status": SUCCEEDED,
        "create_time": int(take.created_at.timestamp()),
        "env": ENVIRONMENT,
        "prompt": used.get("caption", ""),
        "caption": used.get("caption", ""),
        "lyrics": used.get("lyrics", ""),
        "metas": metas,
        **{name: value for name, value in metas.items() if name != "genres"},
        "vocal_language": used.get("vocal_language", ""),
        "generation_info": _info(take),
        "seed": take.seed,
        "seed_value": ",".join(str(one.seed) for one in batch.takes),
        "lm_model": used.get("lm_model") or "",
        "dit_model": batch.model,
        "progress": 1.0,
        "stage": JobState.DONE,
        "error": None,
    }


def _info(take: TakeView) -> str:
    """Say in lines how long it took and what of the request came out differently."""
    notes = take.effective.get("notes")
    seconds = take.timings.get("wall", take.timings.get("total", 0.0))
    return "\n".join([f"made in {seconds:.1f} s", *(map(str, notes) if isinstance(notes, list) else [])])
