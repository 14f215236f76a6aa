"""A real vLLM server on this machine, with a key: on the bundled model it writes token for token what pt writes."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from pathlib import Path

import pytest

from studio.engine.lm.backend import BackendName
from studio.engine.lm.backend_pt import TorchBackend
from studio.engine.lm.backend_remote import RemoteBackend
from studio.engine.lm.backends import load_backend
from studio.engine.lm.pairs import params_of
from studio.engine.lm.planner import Planner
from studio.engine.lm.remote_client import Connection, LmServer
from studio.engine.lm.requests import Draw, PlanRequest
from studio.engine.lm.vllm_server import server_command
from studio.engine.run import Phase, Run
from studio.errors import BackendError, Cancelled, CheckpointError, InvalidRequest
from tests.engine.lm.conftest import needs_vllm
from tests.engine.lm.jobs import CAPTIONS, codes_job, facts_job, greedy_plan, planner_on

ROOT = Path(__file__).resolve().parents[3]
KEY = "a key of the tests"
ROWS = 8
on_server = [*needs_vllm, pytest.mark.timeout(1800)]


def test_the_command_names_the_model_by_its_folder(lm_path: Path) -> None:
    command = server_command(lm_path, port=99, context=1024, rows=6)
    assert {"--served-model-name=acestep-5Hz-lm-tiny", "--port=99", "--host=127.0.0.1", "--max-num-seqs=6"} < {*command}
    assert not any("key" in part.replace("kv-cache", "").lower() for part in command)  # others could read it in `ps`
    for changes, error in (({"dtype": "float16"}, InvalidRequest), ({"folder": lm_path.parent}, CheckpointError)):
        with pytest.raises(error):
            server_command(**{"folder": lm_path, "port": 99, **changes})  # type: ignore[arg-type]


def test_the_page_shows_the_command_as_it_is(lm_path: Path) -> None:
    shown = (ROOT / "docs" / "language-model.md").read_text()
    for part in server_command(lm_path, port=8731):
        name = part.partition("=")[0]
        assert name.startswith("/") or name in shown, name


@pytest.fixture(scope="module")
def url(song_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Serves the bundled model; half of what may arrive at once has room."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    log = tmp_path_factory.mktemp("server") / "log"
    with log.open("w") as output:
        environment = os.environ | {"VLLM_API_KEY": KEY, "PYTHONPATH": str(ROOT), "NO_PROXY": "127.0.0.1"}
        command = server_command(song_path, port=port, context=1024, rows=ROWS)
        server = subprocess.Popen(
            command, stdout=output, stderr=subprocess.STDOUT, env=environment, cwd=ROOT, start_new_session=True
        )
    try:
        for _ in range(6000):
            if "Application startup complete" in log.read_text():
                break
            assert server.poll() is None, log.read_text()[-3000:]
            time.sleep(0.2)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.send_signal(signal.SIGINT)
        try:
            server.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(server.pid, signal.SIGKILL)  # the group is the server's own


@pytest.fixture(scope="module")
def ours(song_path: Path) -> Iterator[TorchBackend]:
    backend = TorchBackend.load(song_path, device="cpu")
    yield backend
    backend.close()


@pytest.fixture(scope="module")
def theirs(url: str, song_path: Path) -> RemoteBackend:
    return RemoteBackend.load(song_path, url=url, api_key=KEY)


class TestOnServer:
    """Everything here asks the server; the first test waits for it to start."""

    pytestmark = on_server

    @pytest.mark.parametrize("scale", [1.0, 2.0])
    @pytest.mark.parametrize("batch", [1, 4])
    def test_greedy_plans_equal_pt(self, ours: TorchBackend, theirs: RemoteBackend, batch: int, scale: float) -> None:
        """Ten prompts, facts and the codes that follow from them."""
        here, there = planner_on(ours), planner_on(theirs)
        for caption in CAPTIONS:
            request = greedy_plan(caption, batch, scale, rewrite_caption=False)
            mine, its = here.plan(request).takes, there.plan(request).takes
            assert [(take.facts, take.codes) for take in its] == [(take.facts, take.codes) for take in mine]

    @pytest.mark.parametrize("scale", [1.0, 2.0])
    def test_greedy_codes_equal_pt(self, ours: TorchBackend, theirs: RemoteBackend, scale: float) -> None:
        """Ten texts at once are twenty requests for eight rows: pairs wait, and none is parted."""
        jobs = [codes_job(ours.vocabulary, caption, scale=scale) for caption in CAPTIONS]
        assert theirs.write(jobs, Run(), Phase.CODES) == ours.write(jobs, Run(), Phase.CODES)

    def test_greedy_facts_equal_pt(self, ours: TorchBackend, theirs: RemoteBackend) -> None:
        jobs = [
            facts_job(ours.vocabulary, caption, limit=80, scale=scale)
            for caption, scale in zip(CAPTIONS, (1.0, 2.0), strict=False)
        ]
        assert theirs.write(jobs, Run(), Phase.THINKING) == ours.write(jobs, Run(), Phase.THINKING)

    def test_drawn_codes_equal_pt_too(self, ours: TorchBackend, theirs: RemoteBackend) -> None:
        draws = [Draw(), Draw(temperature=1.3, top_k=9), Draw(repetition_penalty=1.4), Draw(top_p=1.0)]
        jobs = [codes_job(ours.vocabulary, "rock", seed=seed, draw=draw) for seed, draw in enumerate(draws)]
        assert theirs.write(jobs, Run(), Phase.CODES) == ours.write(jobs, Run(), Phase.CODES)

    def test_drawn_plans_equal_pt(self, url: str, song_path: Path, ours: TorchBackend) -> None:
        loaded = load_backend(song_path, "remote", url=url, api_key=KEY)
        assert loaded.requested is BackendName.REMOTE
        request = PlanRequest(caption="rock", seeds=(1, 2), max_duration=12.0, rewrite_caption=False)
        takes = [one.plan(request).takes for one in (planner_on(ours), Planner("lm", loaded))]
        assert [(take.facts, take.codes) for take in takes[0]] == [(take.facts, take.codes) for take in takes[1]]
        assert [take[0].effective["lm_backend"] for take in takes] == ["pt", "remote"]

    def test_a_late_half_is_waited_for(
        self, ours: TorchBackend, theirs: RemoteBackend, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        stream = Connection.stream

        async def late(self: Connection, ids: Sequence[int], params: Mapping[str, object]) -> AsyncIterator[list[int]]:
            if '"role": "other"' in str(params["extra_args"]):
                await asyncio.sleep(0.5)
            async for tokens in stream(self, ids, params):
                yield tokens

        monkeypatch.setattr(Connection, "stream", late)
        jobs = [codes_job(ours.vocabulary, caption) for caption in CAPTIONS[:3]]
        assert theirs.write(jobs, Run(), Phase.CODES) == ours.write(jobs, Run(), Phase.CODES)

    def test_half_a_pair_is_ended_and_writes_nothing(self, url: str, theirs: RemoteBackend) -> None:
        job = codes_job(theirs.vocabulary, "rock")
        params = params_of(job, "nobody else's", theirs.vocabulary)[0]

        async def alone() -> list[int]:
            async with LmServer(url, KEY).connect() as connection:
                return [token async for tokens in connection.stream(job.prompt, params) for token in tokens]

        assert asyncio.run(alone()) == [theirs.vocabulary.special.pad]

    def test_after_a_cancel_it_writes_as_before(self, ours: TorchBackend, theirs: RemoteBackend) -> None:
        jobs = [codes_job(ours.vocabulary, caption, count=400) for caption in CAPTIONS[:4]]
        with pytest.raises(Cancelled):
            theirs.write(jobs, Run(cancelled=iter([False] * 3 + [True]).__next__), Phase.CODES)
        job = codes_job(ours.vocabulary, "rock")
        assert theirs.write([job], Run(), Phase.CODES) == ours.write([job], Run(), Phase.CODES)

    def test_reading_equals_pt(self, ours: TorchBackend, theirs: RemoteBackend) -> None:
        pair = ours.vocabulary.encode("hello world"), ours.vocabulary.encode("bpm: 120\nlanguage: en\n")
        here, there = (backend.read([pair], Run())[0] for backend in (ours, theirs))
        assert there.logprobs == pytest.approx(here.logprobs, abs=1e-4)
        assert there.ranks == here.ranks

    def test_a_wrong_key_and_another_model_are_refused(self, url: str, song_path: Path, bare_path: Path) -> None:
        with pytest.raises(BackendError, match="refuses the API key"):
            RemoteBackend.load(song_path, url=url, api_key="wrong")
        with pytest.raises(BackendError, match=f"serves {song_path.name}, not acestep-5Hz-lm-bare"):
            RemoteBackend.load(bare_path, url=url, api_key=KEY)
