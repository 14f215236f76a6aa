"""The language model on vLLM, in this process: we own the stepping, so both halves of a pair are in every step.

Importing this module needs no vLLM; loading does. vLLM's version is pinned, since some of what is used isn't public.
"""

from __future__ import annotations

import importlib.util
import itertools
import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from studio.engine.device import AUTO, within_memory
from studio.engine.lm.backend import CONTEXT, Job, Reading, Written
from studio.engine.lm.checkpoint import verify_lm
from studio.engine.lm.pairs import joined, params_of, prompts_of
from studio.engine.lm.vocabulary import Vocabulary, shared_vocabulary
from studio.engine.run import Phase, Run
from studio.errors import BackendError, InvalidRequest, OutOfMemory

if TYPE_CHECKING:
    from vllm import LLMEngine, RequestOutput, SamplingParams  # type: ignore[import-not-found]  # an optional extra

INSTALL = (
    "pip install -c constraints.txt '.[vllm]' && pip uninstall -y torchvision torchaudio torchcodec triton"
    " (CPU; with CUDA: pip install -c constraints.txt '.[vllm-cuda]')"
)
_LESS_WORK = "a smaller LM batch chunk size, a shorter duration or the pt backend"
# What vLLM raises while it starts: its own checks, missing libraries, too little memory, a bad configuration.
_START = (RuntimeError, ValueError, ImportError, OSError, AssertionError, KeyError, TypeError, AttributeError)


@dataclass(frozen=True, slots=True)
class _Room:
    """What may run at once without one half of a pair ever waiting: rows, tokens of prompts, blocks of cache."""

    rows: int
    prompts: int
    blocks: int
    block: int  # tokens

    def holds(self, jobs: Sequence[Job]) -> bool:
        sizes = [len(ids) for job in jobs for ids in prompts_of(job)]
        limits = [job.limit for job in jobs for _ in prompts_of(job)]
        blocks = sum(-(-(size + limit + 1) // self.block) for size, limit in zip(sizes, limits, strict=True))
        return len(sizes) <= self.rows and sum(sizes) <= self.prompts and blocks <= self.blocks


class VllmBackend:
    """One loaded checkpoint on vLLM."""

    name = "vllm"

    def __init__(self, engine: LLMEngine, vocabulary: Vocabulary, context: int, room: _Room) -> None:
        self.vocabulary = vocabulary
        self.context = context
        self._engine = engine
        self._room = room
        self._numbers = itertools.count()

    @property
    def device(self) -> str:
        """Where it runs."""
        return str(self._engine.vllm_config.device_config.device_type)

    @property
    def dtype(self) -> str:
        """Number type of its weights."""
        return str(self._engine.vllm_config.model_config.dtype).removeprefix("torch.")

    @classmethod
    def load(
        cls, folder: Path, *, device: str = AUTO, dtype: str = AUTO, context: int = CONTEXT, rows: int = 16
    ) -> VllmBackend:
        """Load the checkpoint in `folder` with room for `rows` requests; a guided text takes two.

        Raises BackendError when vLLM isn't installed or can't start, CheckpointError, InvalidRequest.
        """
        verify_lm(folder)
        if dtype == "float16":
            raise InvalidRequest("dtype", "be bfloat16 or float32 for the language model", dtype)
        if importlib.util.find_spec("vllm") is None:
            raise BackendError(f"vllm isn't installed; install it with: {INSTALL}")
        vocabulary = shared_vocabulary(folder)
        try:
            with _scoped():
                from studio.engine.lm.vllm_start import start

                engine = start(folder, vocabulary, device=device, dtype=dtype, context=context, rows=rows)
        except BackendError:
            raise
        except _START as error:
            raise BackendError(f"vllm can't start: {error}. If it is incomplete, install it with: {INSTALL}") from error
        config = engine.vllm_config
        room = _Room(
            rows=config.scheduler_config.max_num_seqs,
            prompts=config.scheduler_config.max_num_batched_tokens,
            blocks=config.cache_config.num_gpu_blocks - 1,  # vLLM keeps one for itself
            block=config.cache_config.block_size,
        )
        return cls(engine, vocabulary, config.model_config.max_model_len, room)

    def write(self, jobs: Sequence[Job], run: Run, phase: Phase) -> list[Written]:
        """Write all jobs, as many at once as there is room for; a pair out of step is a BackendError."""
        groups, written = list(self._groups(jobs)), list[Written]()
        for index, group in enumerate(groups):

            def listen(phase: Phase, done: int, total: int, before: int = index) -> None:
                run.step(phase, before * total + done, len(groups) * total)

            with _scoped():
                written += self._write(group, Run(listen), phase)
        return written

    def read(self, pairs: Sequence[tuple[Sequence[int], Sequence[int]]], run: Run) -> list[Reading]:
        """Return how likely each target is after its prompt, from vLLM's prompt log probabilities."""
        from vllm import SamplingParams

        found = []
        params = SamplingParams(temperature=0.0, max_tokens=1, prompt_logprobs=0, detokenize=False)
        for index, (prompt, target) in enumerate(pairs):
            run.step(Phase.READING, index, len(pairs))
            with _scoped():
                output = self._finish({self._add((*prompt, *target), params): None}, Run(), Phase.READING, 1)
            (answer,) = output.values()
            tail = answer.prompt_logprobs[-len(target) :]
            own = [step[token] for step, token in zip(tail, target, strict=True)]
            found.append(Reading(logprobs=tuple(one.logprob for one in own), ranks=tuple(one.rank for one in own)))
        return found

    def close(self) -> None:
        """Free the model's memory; the backend can't be used afterwards."""
        from vllm.distributed import cleanup_dist_env_and_memory  # type: ignore[import-not-found]

        with _scoped():
            self._engine.engine_core.shutdown()
            del self._engine
            cleanup_dist_env_and_memory()
        shared_vocabulary.cache_clear()

    def _groups(self, jobs: Sequence[Job]) -> Iterator[list[Job]]:
        """Cut the jobs so that preemption can't happen: it would take one half of a pair."""
        group: list[Job] = []
        for job in jobs:
            if not self._room.holds([job]):
                tokens = self._room.blocks * self._room.block
                raise OutOfMemory(f"one text does not fit vllm's cache of {tokens} tokens; try {_LESS_WORK}")
            if not self._room.holds([*group, job]):
                yield group
                group = []
            group.append(job)
        yield group

    def _write(self, jobs: Sequence[Job], run: Run, phase: Phase) -> list[Written]:
        from vllm import SamplingParams

        keys: list[list[str]] = []
        for job in jobs:
            params = params_of(job, f"text-{next(self._numbers)}", self.vocabulary)
            keys.append(
                [self._add(ids, SamplingParams(**one)) for ids, one in zip(prompts_of(job), params, strict=True)]
            )
        limit = max(job.limit for job in jobs)
        waiting = dict.fromkeys(itertools.chain.from_iterable(keys))
        place = torch.device(self.device)
        done = within_memory(place, lambda: self._finish(waiting, run, phase, limit), _LESS_WORK)
        return [
            joined(job, [done[key].outputs[0].token_ids if key in done else [] for key in own], self.vocabulary)
            for job, own in zip(jobs, keys, strict=True)
        ]

    def _add(self, ids: Sequence[int], params: SamplingParams) -> str:
        key = f"request-{next(self._numbers)}"
        self._engine.add_request(key, {"prompt_token_ids": list(ids)}, params)
        return key

    def _finish(self, waiting: dict[str, None], run: Run, phase: Phase, limit: int) -> dict[str, RequestOutput]:
        """Step until every request is done; whatever stops us, no request stays behind."""
        done: dict[str, RequestOutput] = {}
        try:
            for step in itertools.count():
                run.step(phase, min(step, limit), limit)
                if not self._engine.has_unfinished_requests():
                    return done
                done |= {output.request_id: output for output in self._engine.step() if output.finished}
        finally:
            if left := [key for key in waiting if key not in done]:
                self._engine.abort_request(left)
        return done


@contextmanager
def _scoped() -> Iterator[None]:
    """Keep vLLM's warnings to itself, and inductor out: its first compilation takes half a minute on a CPU."""
    import torch._dynamo

    logging.getLogger("vllm").setLevel(logging.ERROR)
    with warnings.catch_warnings(), torch._dynamo.config.patch(disable=True):
        warnings.simplefilter("ignore")
        yield
