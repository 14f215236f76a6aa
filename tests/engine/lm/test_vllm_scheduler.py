"""Which requests of a vLLM server must wait, so that the halves of a pair are always in the same step."""

from __future__ import annotations

import time
from types import SimpleNamespace

import pytest

from studio.engine.lm.pairs import params_of
from tests.engine.lm.conftest import needs_vllm
from tests.engine.lm.jobs import codes_job
from tests.engine.lm.tiny import small_vocabulary

pytestmark = needs_vllm
VOCABULARY = small_vocabulary()


class Asked:
    """A request of vLLM, as far as the scheduler looks at it."""

    def __init__(self, name: str, params: object = None, tokens: int = 100, age: float = 0.0) -> None:
        self.request_id = name
        self.sampling_params = SimpleNamespace(extra_args=params and params["extra_args"])  # type: ignore[index]
        self.num_tokens = self.num_prompt_tokens = tokens
        self.max_tokens = 30
        self.arrival_time = time.time() - age


def pair(name: str, *, tokens: int = 100, age: float = 0.0, scale: float = 2.0) -> list[Asked]:
    params = params_of(codes_job(VOCABULARY, "rock", scale=scale), name, VOCABULARY)
    return [Asked(f"{name}{index}", one, tokens, age) for index, one in enumerate(params)]


def held(waiting: list[Asked], running: int = 0, *, rows: int = 4, tokens: int = 1000, blocks: int = 100) -> str:
    """Return the names of those that wait, in a server of that size with blocks of 32 tokens."""
    from vllm.v1.core.sched.request_queue import FCFSRequestQueue

    from studio.engine.lm.vllm_scheduler import PairScheduler

    scheduler = PairScheduler.__new__(PairScheduler)
    scheduler.waiting = FCFSRequestQueue(waiting)
    scheduler.running = [Asked(f"r{index}", tokens=10) for index in range(running)]
    scheduler.max_num_running_reqs, scheduler.max_num_scheduled_tokens = rows, tokens
    scheduler.cache_config, scheduler.block_size = SimpleNamespace(num_gpu_blocks=blocks + 1), 32
    scheduler.max_model_len = 1024
    return " ".join(request.request_id for request in scheduler._held())


def test_a_half_waits_for_its_partner_but_not_for_ever() -> None:
    first, second = pair("a")
    assert held([first]) == "a0"
    assert held([first, *pair("b"), second]) == ""
    assert held([first, *pair("b")]) == "a0"
    assert held(pair("old", age=11.0)[:1]) == ""


def test_a_pair_goes_in_whole_or_not_at_all() -> None:
    assert held([*pair("a"), *pair("b"), *pair("c")]) == "c0 c1"  # four rows
    assert held(pair("a"), running=3) == "a0 a1"
    assert held([*pair("a"), *pair("b")], tokens=350) == "b0 b1"
    assert held([*pair("a"), *pair("b")], blocks=15) == "b0 b1"  # five blocks each at full length


def test_nobody_overtakes() -> None:
    assert held([*pair("a"), *pair("b", tokens=900), Asked("c", tokens=5)]) == "b0 b1 c"


def test_what_never_fits_does_not_wait_for_ever() -> None:
    assert held(pair("big", tokens=900)) == ""
    assert held(pair("big", tokens=900), running=1) == "big0 big1"


@pytest.mark.parametrize("waiting", [[Asked("other")], pair("alone", scale=1.0)])
def test_requests_without_a_partner_run_at_once(waiting: list[Asked]) -> None:
    assert held(waiting) == ""
