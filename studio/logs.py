"""Log lines that a machine reads: one JSON object each, with the job they are about.

A job's id follows a person's click from the page that queued it to the worker that does it.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime

from studio.config import Settings

_job: ContextVar[str] = ContextVar("job", default="")
_request: ContextVar[str] = ContextVar("request", default="")


def set_up(settings: Settings) -> None:
    """Send what the studio logs to the error output as the settings say; `text` leaves everything as Python has it."""
    if settings.log_format == "json":
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(JsonLines())
        logger = logging.getLogger("studio")
        logger.handlers, logger.propagate = [handler], False
        logger.setLevel(logging.INFO)


@contextmanager
def about(job_id: str) -> Iterator[None]:
    """Have every line of this thread name the job meanwhile."""
    token = _job.set(job_id)
    try:
        yield
    finally:
        _job.reset(token)


@contextmanager
def answering(request_id: str) -> Iterator[None]:
    """Have every line written for a request of a program name it meanwhile."""
    token = _request.set(request_id)
    try:
        yield
    finally:
        _request.reset(token)


class JsonLines(logging.Formatter):
    """Writes time, level, logger, message, job, request and traceback."""

    def format(self, record: logging.LogRecord) -> str:
        """Return one line."""
        facts = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if job := _job.get():
            facts["job"] = job
        if request := _request.get():
            facts["request"] = request
        if record.exc_info:
            facts["traceback"] = self.formatException(record.exc_info)
        return json.dumps(facts, ensure_ascii=False)
