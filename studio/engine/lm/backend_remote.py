"""The language model on a vLLM server elsewhere: the grammar, the guidance and the draw happen over there.

This machine needs the checkpoint's config.json and tokenizer.json, no weights, no vLLM and no graphics card.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path

from studio.engine.lm.backend import CONTEXT, Job, Reading, Written
from studio.engine.lm.checkpoint import verify_lm
from studio.engine.lm.pairs import joined, params_of, prompts_of
from studio.engine.lm.remote_client import Connection, LmServer
from studio.engine.lm.vocabulary import Vocabulary, shared_vocabulary
from studio.engine.run import Phase, Run
from studio.errors import BackendError, InvalidRequest

_LOOK = 0.2  # seconds between two looks at progress and cancel


class RemoteBackend:
    """One checkpoint on one server, which must serve it under its folder's name."""

    name = "remote"
    dtype = "as served"

    def __init__(self, server: LmServer, vocabulary: Vocabulary, context: int) -> None:
        self.vocabulary = vocabulary
        self.context = context
        self._server = server

    @property
    def device(self) -> str:
        """Where it runs: the server's address."""
        return self._server.url

    @classmethod
    def load(cls, folder: Path, *, url: str, api_key: str = "", context: int = CONTEXT) -> RemoteBackend:
        """Meet the server that has the checkpoint in `folder`.

        Raises BackendError when it can't be reached, refuses the key, serves another model or lacks our processor.
        """
        verify_lm(folder, weights=False)
        if not url.startswith(("http://", "https://")):
            raise InvalidRequest("lm_url", "be the address of a language model server such as http://host:8731", url)
        server = LmServer(url, api_key)
        there = asyncio.run(_meet(server, folder.resolve().name))
        return cls(server, shared_vocabulary(folder), min(context, there))

    def write(self, jobs: Sequence[Job], run: Run, phase: Phase) -> list[Written]:
        """Write all jobs, as many at once as the server has room for; a pair out of step is a BackendError."""
        return asyncio.run(self._write(jobs, run, phase))

    def read(self, pairs: Sequence[tuple[Sequence[int], Sequence[int]]], run: Run) -> list[Reading]:
        """Return how likely each target is after its prompt, from the server's prompt log probabilities."""
        return asyncio.run(self._read(pairs, run))

    def close(self) -> None:
        """Forget the vocabulary; the server goes on for others."""
        shared_vocabulary.cache_clear()

    async def _write(self, jobs: Sequence[Job], run: Run, phase: Phase) -> list[Written]:
        texts: list[list[list[int]]] = [[[] for _ in prompts_of(job)] for job in jobs]
        async with self._server.connect() as connection:
            tasks = [
                asyncio.create_task(_collect(connection, ids, params, into))
                for job, parts in zip(jobs, texts, strict=True)
                for ids, params, into in zip(
                    prompts_of(job), params_of(job, uuid.uuid4().hex, self.vocabulary), parts, strict=True
                )
            ]
            try:
                await _watch(tasks, [text for parts in texts for text in parts], run, phase, jobs)
            finally:  # whatever stops us, the server stops too
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
        return [joined(job, parts, self.vocabulary) for job, parts in zip(jobs, texts, strict=True)]

    async def _read(self, pairs: Sequence[tuple[Sequence[int], Sequence[int]]], run: Run) -> list[Reading]:
        params = {"temperature": 0.0, "max_tokens": 1, "prompt_logprobs": 0, "detokenize": False}
        found = []
        async with self._server.connect() as connection:
            for index, (prompt, target) in enumerate(pairs):
                run.step(Phase.READING, index, len(pairs))
                answer = await connection.answer((*prompt, *target), params)
                found.append(_reading(answer, target))
        return found


async def _meet(server: LmServer, name: str) -> int:
    async with server.connect() as connection:
        context = await connection.context_of(name)
        await connection.check_processor()
        return context


async def _collect(connection: Connection, ids: Sequence[int], params: Mapping[str, object], into: list[int]) -> None:
    async for tokens in connection.stream(ids, params):
        into += tokens


async def _watch(
    tasks: Sequence[asyncio.Task[None]], texts: Sequence[list[int]], run: Run, phase: Phase, jobs: Sequence[Job]
) -> None:
    """Report the longest text until all are done; the first failure ends the wait."""
    limit, waiting = max(job.limit for job in jobs), set(tasks)
    while waiting:
        run.step(phase, min(max(map(len, texts)), limit), limit)
        done, waiting = await asyncio.wait(waiting, timeout=_LOOK, return_when=asyncio.FIRST_EXCEPTION)
        for task in done:
            task.result()
    run.step(phase, min(max(map(len, texts)), limit), limit)


def _reading(answer: Mapping[str, object], target: Sequence[int]) -> Reading:
    try:
        steps = answer["prompt_logprobs"]
        if not isinstance(steps, list):
            raise TypeError(f"prompt_logprobs is {steps!r}")
        own = [step[str(token)] for step, token in zip(steps[-len(target) :], target, strict=True)]
        return Reading(
            logprobs=tuple(float(one["logprob"]) for one in own), ranks=tuple(int(one["rank"]) for one in own)
        )
    except (KeyError, TypeError, ValueError) as error:
        raise BackendError(f"the language model server answered without log probabilities: {error!r}") from error
