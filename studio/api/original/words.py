"""Words for songs: /format_input and /create_random_sample (product.md 3.1, 3.2, 4.2)."""

from __future__ import annotations

from functools import partial

from studio.api.original.asked import Asked, Waiting
from studio.api.original.fields import read_fields
from studio.api.original.order import read_format
from studio.errors import InvalidRequest, NotFound
from studio.services import Studio
from studio.services.views import JobView

SIMPLE, CUSTOM = "simple_mode", "custom_mode"
_FORMAT = frozenset(
    "prompt lyrics lm_temperature temperature audio_duration bpm key_scale time_signature vocal_language".split()
)


def format_input(asked: Asked) -> Waiting:
    """Have the language model put words better; raises ModelNotReady without one."""
    given = read_fields(asked.fields, _FORMAT)
    if "temperature" in given:
        given["lm_temperature"] = given.pop("temperature")
    job_id = asked.studio.writing.submit(read_format(given))
    return Waiting(job_id=job_id, told=partial(_written, asked.studio))


def random_sample(asked: Asked) -> dict[str, object]:
    """Return an example by chance: a wish in simple mode, a complete song in custom mode."""
    given = read_fields(asked.fields, frozenset({"sample_type"}))
    kind = given.get("sample_type", SIMPLE)
    if kind not in (SIMPLE, CUSTOM):
        raise InvalidRequest("sample_type", f"be {SIMPLE} or {CUSTOM}", kind)
    examples = asked.studio.examples
    if kind == CUSTOM:
        if (song := examples.song()) is None:
            raise NotFound("there are no examples of songs")
        language, thinking = song.pop("vocal_language", "unknown"), song.pop("thinking", True)
        return {**song, "language": language, "think": thinking}
    if (wish := examples.description()) is None:
        raise NotFound("there are no examples of wishes")
    return {
        "description": wish.description,
        "instrumental": wish.instrumental,
        "vocal_language": wish.vocal_language,
    }


def _written(studio: Studio, job: JobView) -> dict[str, object]:
    found = studio.writing.result(job.id)
    if found is None:
        raise NotFound(f"the job {job.id} left no words")
    return {
        "caption": found.caption or "",
        "lyrics": found.lyrics or "",
        "bpm": found.bpm,
        "key_scale": found.key_scale or "",
        "time_signature": found.time_signature or "",
        "duration": found.duration,
        "vocal_language": found.language or "",
    }
