"""Keeps the two halves of a guided text in the same step of a vLLM server, where they arrive one after the other.

A pair is let in only when both halves are there and fit at their full length, so neither can wait, be cut or be thrown
out while the other goes on. vLLM's scheduler is no public interface: its version is pinned.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from vllm.v1.core.sched.scheduler import Scheduler  # type: ignore[import-not-found]  # an optional extra

from studio.engine.lm.tickets import read_ticket

if TYPE_CHECKING:
    from vllm.v1.core.sched.output import SchedulerOutput  # type: ignore[import-not-found]
    from vllm.v1.request import Request  # type: ignore[import-not-found]

PATIENCE = 10.0  # seconds a half waits for its partner; then it is let in alone, and our processor ends it


@dataclass(slots=True)
class _Room:
    """What is left of one step and of the cache."""

    rows: int
    tokens: int
    blocks: int

    def take(self, rows: int, tokens: int, blocks: int) -> bool:
        """Use some room up, if it is there."""
        if rows > self.rows or tokens > self.tokens or blocks > self.blocks:
            return False
        self.rows, self.tokens, self.blocks = self.rows - rows, self.tokens - tokens, self.blocks - blocks
        return True


class PairScheduler(Scheduler):  # type: ignore[misc]  # an optional extra, so without types here
    """First come, first served, by pairs."""

    def schedule(self, throttle_prefills: bool = False) -> SchedulerOutput:
        """Plan one step without the requests that must wait; they keep their place in the queue."""
        held = self._held()
        self.waiting.remove_requests(held)
        try:
            return super().schedule(throttle_prefills)
        finally:
            for request in held:
                self.waiting.add_request(request)

    def _held(self) -> list[Request]:
        room = self._room()
        held: list[Request] = []
        idle, full = not self.running, False
        for group in self._groups():
            if self._waits(group):
                held += group
                continue
            fits = not full and room.take(len(group), sum(one.num_tokens for one in group), self._blocks(group))
            if fits or idle:  # what does not fit an empty server never will: let it fail instead of waiting for ever
                idle = False
            else:
                full = True  # nobody overtakes
                held += group
        return held

    def _groups(self) -> list[list[Request]]:
        """Return the waiting requests in order, the halves of a pair together."""
        groups: dict[str, list[Request]] = {}
        for request in self.waiting:
            found = read_ticket(request.sampling_params and request.sampling_params.extra_args)
            groups.setdefault(found.pair if found else request.request_id, []).append(request)
        return list(groups.values())

    def _waits(self, group: list[Request]) -> bool:
        found = read_ticket(group[0].sampling_params and group[0].sampling_params.extra_args)
        return found is not None and len(group) < len(found.roles) and time.time() - group[0].arrival_time < PATIENCE

    def _room(self) -> _Room:
        running = len(self.running)
        blocks = self.cache_config.num_gpu_blocks - 1  # vLLM keeps one for itself
        return _Room(
            rows=self.max_num_running_reqs - running,
            tokens=self.max_num_scheduled_tokens - running,
            blocks=blocks - self._blocks(self.running),
        )

    def _blocks(self, requests: list[Request]) -> int:
        """Return how much of the cache requests need when they are as long as they may become."""
        lengths = [min(one.num_prompt_tokens + one.max_tokens, self.max_model_len) + 1 for one in requests]
        return sum(-(-length // self.block_size) for length in lengths)
