"""A server that fails in every way it can is named; what a good one gets is all that a text depends on."""

from __future__ import annotations

import json
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from studio.engine.lm.backend import Job, job_from_json
from studio.engine.lm.backend_remote import RemoteBackend
from studio.engine.lm.backends import load_backend
from studio.engine.lm.planner import Planner
from studio.engine.lm.requests import Draw
from studio.engine.run import Phase, Run
from studio.errors import BackendError, Cancelled, InvalidRequest
from tests.engine.lm.jobs import codes_job
from tests.engine.lm.stub_server import Body, StubServer, events, serve


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[StubServer]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with serve() as stub:
        yield stub


@pytest.fixture
def remote(server: StubServer, lm_path: Path) -> RemoteBackend:
    return load(server, lm_path)


def load(server: StubServer, folder: Path, key: str = "secret") -> RemoteBackend:
    return RemoteBackend.load(folder, url=server.url, api_key=key)


def write(remote: RemoteBackend, *jobs: Job, run: Run | None = None) -> list[tuple[int, ...]]:
    return [text.tokens for text in remote.write(jobs, run or Run(), Phase.CODES)]


def song(remote: RemoteBackend, **changes: object) -> Job:
    return codes_job(remote.vocabulary, "rock", count=8, **changes)  # type: ignore[arg-type]


def codes(remote: RemoteBackend, count: int = 8) -> list[int]:
    return [remote.vocabulary.first_code + index for index in range(count)]


def test_both_halves_carry_the_whole_job_and_agree(server: StubServer, remote: RemoteBackend) -> None:
    server.writes = lambda body: events(codes(remote))
    job = song(remote, seed=7, draw=Draw(top_k=3))
    assert write(remote, job) == [tuple(codes(remote))]
    asked = sorted(server.asked, key=lambda body: len(str(body["token_ids"])))
    assert [tuple(body["token_ids"]) for body in asked] == [job.negative, job.prompt]  # type: ignore[arg-type]
    tickets = [json.loads(body["sampling_params"]["extra_args"]["studio"]) for body in asked]  # type: ignore[index]
    assert [ticket["role"] for ticket in tickets] == ["other", "main"]
    assert tickets[0]["pair"] == tickets[1]["pair"]
    there = job_from_json(tickets[0]["job"])
    assert (there.seed, there.stream, there.draw, there.scale) == (7, "codes", job.draw, 2.0)
    assert there.grammar == job.grammar


def test_texts_of_two_calls_never_share_a_pair(server: StubServer, remote: RemoteBackend) -> None:
    server.writes = lambda body: events(codes(remote))
    write(remote, song(remote), song(remote))
    write(remote, song(remote))
    pairs = [json.loads(body["sampling_params"]["extra_args"]["studio"])["pair"] for body in server.asked]  # type: ignore[index]
    assert len(set(pairs)) == 3
    assert len(pairs) == 6


def test_a_text_without_guidance_is_one_request(server: StubServer, remote: RemoteBackend) -> None:
    server.writes = lambda body: events(codes(remote))
    assert write(remote, song(remote, scale=1.0)) == [tuple(codes(remote))]
    assert len(server.asked) == 1


def test_progress_rises_and_ends_at_the_length(server: StubServer, remote: RemoteBackend) -> None:
    server.writes = lambda body: events(codes(remote))
    seen: list[tuple[int, int]] = []
    write(remote, song(remote), run=Run(lambda _phase, done, total: seen.append((done, total))))
    assert seen == sorted(seen)
    assert seen[-1] == (8, 8)


def test_a_cancel_ends_the_texts_over_there(server: StubServer, remote: RemoteBackend) -> None:
    def endless(body: Body) -> Iterator[str]:
        while True:
            yield from events(codes(remote, 1), end=False)
            time.sleep(0.01)

    server.writes = endless
    with pytest.raises(Cancelled):
        write(remote, song(remote), run=Run(cancelled=iter([False, False, True]).__next__))
    for _ in range(500):
        if server.broken == 2:
            break
        time.sleep(0.02)
    assert server.broken == 2


Script = Callable[[RemoteBackend, Body], Iterator[str]]


def is_main(body: Body) -> bool:
    return '"role": "main"' in body["sampling_params"]["extra_args"]["studio"]  # type: ignore[index]


def out_of_step(remote: RemoteBackend, body: Body) -> Iterator[str]:
    return events(codes(remote) if is_main(body) else codes(remote)[::-1])


def half_missing(remote: RemoteBackend, body: Body) -> Iterator[str]:
    return events(codes(remote) if is_main(body) else [])


def ended_by_the_processor(remote: RemoteBackend, body: Body) -> Iterator[str]:
    return events([*codes(remote, 3), remote.vocabulary.special.pad])


def no_codes(remote: RemoteBackend, body: Body) -> Iterator[str]:
    return events([remote.vocabulary.special.newline] * 8)


def broken_off(remote: RemoteBackend, body: Body) -> Iterator[str]:
    return events(codes(remote), end=False)


def failing(remote: RemoteBackend, body: Body) -> Iterator[str]:
    yield from events(codes(remote, 3), end=False)
    yield 'data: {"error": {"message": "EngineCore died", "code": 500}}\n\n'
    yield "data: [DONE]\n\n"


@pytest.mark.parametrize(
    ("script", "message"),
    [
        (out_of_step, "out of step"),
        (half_missing, "out of step"),
        (ended_by_the_processor, "out of step"),
        (no_codes, "no audio code"),
        (broken_off, "broke off while it wrote"),
        (failing, "failed while it wrote: .*EngineCore died"),
    ],
)
def test_a_text_that_went_wrong_is_thrown_away(
    server: StubServer, remote: RemoteBackend, script: Script, message: str
) -> None:
    server.writes = lambda body: script(remote, body)
    with pytest.raises(BackendError, match=message):
        write(remote, song(remote))


def test_a_wrong_key_is_said(server: StubServer, lm_path: Path) -> None:
    for key in ("", "other"):
        with pytest.raises(BackendError, match="refuses the API key; STUDIO_LM_API_KEY must be the key it"):
            load(server, lm_path, key)


@pytest.mark.parametrize(
    "answer",
    [
        (200, '{"choices": []}'),
        (400, '{"error": {"message": "extra_args is damaged (studio protocol 0)"}}'),
        (403, '{"error": {"message": "Scale-out endpoints are disabled. Restart vllm serve with ..."}}'),
        (404, '{"detail":"Not Found"}'),
    ],
)
def test_a_server_without_our_processor_is_refused(server: StubServer, lm_path: Path, answer: tuple[int, str]) -> None:
    server.greets = answer
    with pytest.raises(BackendError, match=r"without the studio's processor.*studio lm-server NAME"):
        load(server, lm_path)


def test_another_model_is_refused(server: StubServer, lm_path: Path) -> None:
    server.models = {"data": [{"id": "acestep-5Hz-lm-4B", "max_model_len": 1024}]}
    with pytest.raises(BackendError, match="serves acestep-5Hz-lm-4B, not acestep-5Hz-lm-tiny"):
        load(server, lm_path)


@pytest.mark.parametrize("answer", [{"detail": "hello"}, {"data": [{"id": "acestep-5Hz-lm-tiny"}]}, ["no object"]])
def test_another_kind_of_server_is_refused(server: StubServer, lm_path: Path, answer: object) -> None:
    server.models = answer
    with pytest.raises(BackendError, match="is no vLLM server"):
        load(server, lm_path)


def test_nobody_there_is_said_and_a_fallback_is_noted(server: StubServer, lm_path: Path) -> None:
    server.server_close()  # the port is free now
    with pytest.raises(BackendError, match="can't be reached"):
        load(server, lm_path)
    loaded = load_backend(lm_path, "remote", url=server.url, device="cpu", fallback=True)
    assert loaded.backend.name == "pt"
    assert "can't be reached" in loaded.notes[0]
    assert loaded.notes[0].endswith("; pt was used instead")


@pytest.mark.parametrize("url", ["", "host:8731", "ftp://host"])
def test_an_address_that_is_none(lm_path: Path, url: str) -> None:
    with pytest.raises(InvalidRequest, match="lm_url must be the address of a language model server"):
        load_backend(lm_path, "remote", url=url)


def test_no_weights_are_needed_here(server: StubServer, lm_path: Path, tmp_path: Path) -> None:
    folder = tmp_path / lm_path.name
    shutil.copytree(lm_path, folder, ignore=shutil.ignore_patterns("*.safetensors"))
    planner = Planner.load(lm_path.name, dirs=[tmp_path], backend="remote", url=f"{server.url}/v1/", api_key="secret")
    own = planner.backend
    assert (own.name, own.device, own.dtype, own.context) == ("remote", server.url, "as served", 1024)


def test_log_probabilities_come_from_the_prompt(server: StubServer, remote: RemoteBackend) -> None:
    server.answers = {"prompt_logprobs": [None, *({str(n): {"logprob": -n / 10, "rank": n}} for n in (2, 3, 4))]}
    (reading,) = remote.read([((1, 2), (3, 4))], Run())
    assert (reading.logprobs, reading.ranks) == ((-0.3, -0.4), (3, 4))
    assert server.asked[-1]["token_ids"] == [1, 2, 3, 4]
    server.answers = {"prompt_logprobs": None}
    with pytest.raises(BackendError, match="without log probabilities"):
        remote.read([((1,), (2,))], Run())


def test_it_works_in_a_thread(server: StubServer, remote: RemoteBackend) -> None:
    server.writes = lambda body: events(codes(remote))
    found: list[list[tuple[int, ...]]] = []
    thread = threading.Thread(target=lambda: found.append(write(remote, song(remote))))
    thread.start()
    thread.join()
    assert found == [[tuple(codes(remote))]]
