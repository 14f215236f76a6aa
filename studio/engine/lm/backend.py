"""What a backend of the language model does, and the one place where tokens are chosen for all of them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Protocol

from studio.engine.lm.grammar import GrammarSpec
from studio.engine.lm.requests import Draw
from studio.engine.lm.vocabulary import Vocabulary
from studio.engine.run import Phase, Run

CONTEXT = 8192  # tokens of prompt and answer; the original's 4096 can't hold ten minutes (lm.md 1.4)


class BackendName(StrEnum):
    """The ways to run the language model."""

    PT = "pt"
    VLLM = "vllm"
    REMOTE = "remote"


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One text to write: `prompt` and `negative` are token ids, `limit` is the most tokens that may be written."""

    prompt: tuple[int, ...]
    negative: tuple[int, ...] = ()  # empty: no guidance
    scale: float = 1.0
    grammar: GrammarSpec
    draw: Draw
    seed: int
    stream: str  # with the seed and the step it decides every draw
    limit: int
    debug: bool = False

    @property
    def guided(self) -> bool:
        """Whether a second, unconditional row runs beside the first."""
        return self.scale > 1.0 and bool(self.negative)


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What was written for one job, without the end of the turn."""

    tokens: tuple[int, ...]
    complete: bool  # False: the limit came first
    log: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """How likely the model finds each target token: natural log probability, and rank from 1."""

    logprobs: tuple[float, ...]
    ranks: tuple[int, ...]


class Backend(Protocol):
    """Runs one loaded language model; used by one thread at a time."""

    @property
    def name(self) -> str:
        """Its name in settings."""

    @property
    def vocabulary(self) -> Vocabulary:
        """The checkpoint's vocabulary."""

    @property
    def context(self) -> int:
        """Tokens of prompt and answer together at most."""

    @property
    def device(self) -> str:
        """Where it runs."""

    @property
    def dtype(self) -> str:
        """Number type of its weights."""

    def write(self, jobs: Sequence[Job], run: Run, phase: Phase) -> list[Written]:
        """Write all jobs at once, reporting every step; raises Cancelled, OutOfMemory or BackendError."""

    def read(self, pairs: Sequence[tuple[Sequence[int], Sequence[int]]], run: Run) -> list[Reading]:
        """Return how likely each target is after its prompt."""

    def close(self) -> None:
        """Free the model's memory."""


def job_to_json(job: Job) -> str:
    """Return all of a job but its prompts, for a processor that may run in another process."""
    scale = job.scale if job.guided else 1.0  # without prompts the reader can't tell
    return json.dumps(asdict(job) | {"prompt": [], "negative": [], "grammar": job.grammar.to_json(), "scale": scale})


def job_from_json(text: str) -> Job:
    """Read what `job_to_json` wrote; raises ValueError, KeyError or TypeError when it is something else."""
    parts = json.loads(text)
    own = {name: parts[name] for name in ("scale", "seed", "stream", "limit", "debug")}
    spec = GrammarSpec.from_json(parts["grammar"])
    return Job(prompt=(), grammar=spec, draw=Draw(**parts["draw"]), **own)
