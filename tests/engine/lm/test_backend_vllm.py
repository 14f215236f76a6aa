"""vLLM writes token for token what pt writes, and a pair out of step is an error."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from studio.engine.lm import backends
from studio.engine.lm.backend import BackendName, Job, job_from_json, job_to_json
from studio.engine.lm.backend_pt import TorchBackend
from studio.engine.lm.backend_vllm import VllmBackend
from studio.engine.lm.backends import load_backend
from studio.engine.lm.pairs import params_of
from studio.engine.lm.requests import Draw, PlanRequest
from studio.engine.run import Phase, Run
from studio.errors import BackendError, Cancelled, InvalidRequest, OutOfMemory
from tests.engine.lm.conftest import HAS_VLLM, MINI, needs_vllm
from tests.engine.lm.jobs import CAPTIONS, codes_job, facts_job, greedy_plan, planner_on
from tests.engine.lm.tiny import small_vocabulary


@pytest.fixture(scope="module")
def vllm(song_path: Path) -> Iterator[VllmBackend]:
    backend = VllmBackend.load(song_path, device="cpu", dtype="float32", context=2048, rows=8)
    yield backend
    backend.close()


@pytest.fixture(scope="module")
def pt(song_path: Path) -> Iterator[TorchBackend]:
    backend = TorchBackend.load(song_path, device="cpu")
    yield backend
    backend.close()


@pytest.mark.skipif(HAS_VLLM, reason="vllm is installed")
def test_without_vllm_the_message_says_how_to_get_it(lm_path: Path) -> None:
    with pytest.raises(BackendError, match=r"vllm isn't installed; install it with: pip install .*\[vllm\]"):
        load_backend(lm_path, "vllm", device="cpu")


def test_a_fallback_happens_only_when_allowed_and_is_said(lm_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(BackendError, match="isn't installed"):
        load_backend(lm_path, "vllm", device="cpu")
    loaded = load_backend(lm_path, "vllm", device="cpu", fallback=True)
    assert loaded.backend.name == "pt"
    assert loaded.requested is BackendName.VLLM
    assert loaded.notes[0].startswith("vllm isn't installed")
    assert loaded.notes[0].endswith("; pt was used instead")


def test_an_unknown_backend_is_refused(lm_path: Path) -> None:
    with pytest.raises(InvalidRequest, match="lm_backend must be one of pt, vllm, remote, got 'mlx'"):
        backends.load_backend(lm_path, "mlx")


@pytest.mark.parametrize("make", [codes_job, facts_job])
def test_a_job_survives_json(make: object) -> None:
    job = make(small_vocabulary(), "rock", draw=Draw(top_k=3))  # type: ignore[operator]
    copy = job_from_json(job_to_json(job))
    assert (copy.grammar, copy.draw, copy.seed, copy.stream, copy.limit, copy.scale) == (
        job.grammar,
        job.draw,
        job.seed,
        job.stream,
        job.limit,
        job.scale,
    )


class TestOnVllm:
    """Everything here runs the real engine."""

    pytestmark = needs_vllm

    @pytest.mark.parametrize("scale", [1.0, 2.0])
    @pytest.mark.parametrize("batch", [1, 4])
    def test_greedy_codes_equal_pt(self, pt: TorchBackend, vllm: VllmBackend, batch: int, scale: float) -> None:
        jobs = [codes_job(pt.vocabulary, caption, scale=scale) for caption in CAPTIONS]
        for at in range(0, len(jobs), batch):
            part = jobs[at : at + batch]
            assert vllm.write(part, Run(), Phase.CODES) == pt.write(part, Run(), Phase.CODES)

    @pytest.mark.parametrize("batch", [1, 4])
    def test_greedy_facts_equal_pt(self, pt: TorchBackend, vllm: VllmBackend, batch: int) -> None:
        jobs = [facts_job(pt.vocabulary, caption) for caption in CAPTIONS[:4]]
        for at in range(0, len(jobs), batch):
            part = jobs[at : at + batch]
            assert vllm.write(part, Run(), Phase.THINKING) == pt.write(part, Run(), Phase.THINKING)

    @pytest.mark.parametrize("scale", [1.0, 2.0])
    @pytest.mark.parametrize("batch", [1, 4])
    def test_greedy_plans_equal_pt(
        self, song_path: Path, pt: TorchBackend, vllm: VllmBackend, batch: int, scale: float
    ) -> None:
        """Ten prompts, facts and the codes that follow from them."""
        for caption in CAPTIONS:
            request = greedy_plan(caption, batch, scale, rewrite_caption=song_path == MINI)
            ours, theirs = (planner_on(backend).plan(request).takes for backend in (pt, vllm))
            assert [(take.facts, take.codes) for take in theirs] == [(take.facts, take.codes) for take in ours]
            assert len(ours[0].codes) in (50, 55, 60)
            assert [take.effective["lm_backend"] for take in (ours[0], theirs[0])] == ["pt", "vllm"]

    def test_drawn_plans_equal_pt(self, pt: TorchBackend, vllm: VllmBackend) -> None:
        """Each take draws its own facts and codes, the same on both backends."""
        request = PlanRequest(caption="rock", seeds=(1, 2, 3, 4), max_duration=12.0, rewrite_caption=False)
        ours, theirs = (planner_on(backend).plan(request).takes for backend in (pt, vllm))
        assert [(take.facts, take.codes) for take in theirs] == [(take.facts, take.codes) for take in ours]
        assert len({take.codes for take in ours}) == 4

    def test_a_take_is_its_seeds_whatever_the_batch(self, vllm: VllmBackend) -> None:
        planner = planner_on(vllm)
        request = PlanRequest(caption="rock", seeds=(1, 2, 3), max_duration=12.0, rewrite_caption=False)
        together = planner.plan(request).takes
        assert planner.plan(replace(request, parallel=False)).takes == together
        assert planner.plan(replace(request, chunk_size=2)).takes == together
        assert planner.plan(replace(request, seeds=(3,))).takes == together[2:]

    def test_drawn_codes_equal_pt_too(self, pt: TorchBackend, vllm: VllmBackend) -> None:
        draws = [Draw(), Draw(temperature=1.3, top_k=9), Draw(repetition_penalty=1.4), Draw(top_p=1.0)]
        jobs = [codes_job(pt.vocabulary, "rock", seed=seed, draw=draw) for seed, draw in enumerate(draws)]
        assert vllm.write(jobs, Run(), Phase.CODES) == pt.write(jobs, Run(), Phase.CODES)

    def test_more_texts_than_seats_run_in_groups(self, pt: TorchBackend, vllm: VllmBackend) -> None:
        jobs = [codes_job(pt.vocabulary, caption, count=8) for caption in CAPTIONS[:7]]
        seen: list[int] = []
        written = vllm.write(jobs, Run(lambda _phase, done, total: seen.append(done)), Phase.CODES)
        assert written == pt.write(jobs, Run(), Phase.CODES)
        assert seen == sorted(seen)
        assert seen[-1] == 16  # two groups of eight steps

    def test_a_text_too_long_for_the_cache_is_refused(self, vllm: VllmBackend) -> None:
        job = codes_job(vllm.vocabulary, "rock", count=100_000)
        with pytest.raises(OutOfMemory, match="does not fit vllm's cache"):
            vllm.write([job], Run(), Phase.CODES)

    def test_a_pair_out_of_step_is_an_error(self, vllm: VllmBackend) -> None:
        """One half is taken away while it runs: the other must not go on without it."""

        def take_away(phase: Phase, done: int, total: int) -> None:
            if done == 5:
                numbers = [int(key.split("-")[1]) for key in vllm._engine.output_processor.external_req_ids]
                vllm._engine.abort_request([f"request-{max(numbers)}"])

        with pytest.raises(BackendError, match="out of step"):
            vllm.write([codes_job(vllm.vocabulary, "rock")], Run(take_away), Phase.CODES)

    def test_half_a_pair_writes_nothing(self, vllm: VllmBackend) -> None:
        from vllm import SamplingParams

        job = codes_job(vllm.vocabulary, "rock")
        key = vllm._add(job.prompt, SamplingParams(**params_of(job, "alone", vllm.vocabulary)[0]))
        output = vllm._finish({key: None}, Run(), Phase.CODES, 30)[key]
        assert list(output.outputs[0].token_ids) == [vllm.vocabulary.special.pad]

    def test_a_damaged_ticket_is_refused_at_once(self, vllm: VllmBackend) -> None:
        from vllm import SamplingParams
        from vllm.exceptions import VLLMValidationError

        job = codes_job(vllm.vocabulary, "rock")
        for text in ("hello", "{}", '{"protocol": 1, "pair": "p", "role": "main", "job": "{}"}', '{"protocol": 0}'):
            with pytest.raises(VLLMValidationError, match=r"is damaged \(studio protocol 1\)"):
                vllm._add(job.prompt, SamplingParams(max_tokens=1, extra_args={"studio": text}))

    def test_after_an_error_and_a_cancel_it_writes_as_before(self, pt: TorchBackend, vllm: VllmBackend) -> None:
        stop = Run(cancelled=iter([False] * 4 + [True] * 9).__next__)
        with pytest.raises(Cancelled):
            vllm.write([codes_job(vllm.vocabulary, "rock")], stop, Phase.CODES)
        assert not vllm._engine.has_unfinished_requests()
        job = codes_job(vllm.vocabulary, "rock")
        assert vllm.write([job], Run(), Phase.CODES) == pt.write([job], Run(), Phase.CODES)

    def test_reading_equals_pt(self, pt: TorchBackend, vllm: VllmBackend) -> None:
        prompt, target = pt.vocabulary.encode("hello world"), pt.vocabulary.encode("bpm: 120\nlanguage: en\n")
        ours, theirs = (backend.read([(prompt, target)], Run())[0] for backend in (pt, vllm))
        assert theirs.logprobs == pytest.approx(ours.logprobs, abs=1e-4)
        assert theirs.ranks == ours.ranks

    def test_guidance_without_a_negative_prompt_is_none(self, pt: TorchBackend, vllm: VllmBackend) -> None:
        job = replace(codes_job(pt.vocabulary, "rock"), negative=())
        assert vllm.write([job], Run(), Phase.CODES) == pt.write([job], Run(), Phase.CODES)

    def test_what_stops_vllm_from_starting_is_said(self, lm_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        from studio.engine.lm import vllm_start

        def fail(*_: object, **__: object) -> None:
            raise RuntimeError("no kernel image")

        monkeypatch.setattr(vllm_start, "start", fail)
        with pytest.raises(BackendError, match=r"vllm can't start: no kernel image\. .* install it with: pip"):
            load_backend(lm_path, "vllm", device="cpu")

    def test_another_device_is_not_replaced(self, lm_path: Path) -> None:
        other = "cpu" if torch.cuda.is_available() else "cuda"
        with pytest.raises(BackendError, match=f"not on {other}"):
            VllmBackend.load(lm_path, device=other)


class TestShapesOnVllm:
    """The other published layouts; an engine for each, so they come last."""

    pytestmark = needs_vllm

    @pytest.mark.parametrize("shape", ["lm_path", "bare_path", "sharded_path"])
    def test_it_loads_and_writes_the_same(self, shape: str, request: pytest.FixtureRequest) -> None:
        """0.6B, 1.7B (no `model.` before names, Qwen3Model) and 4B (shards)."""
        folder = request.getfixturevalue(shape)
        ours = TorchBackend.load(folder, device="cpu")
        theirs = VllmBackend.load(folder, device="cpu", dtype="float32", context=1024, rows=8)
        jobs: list[Job] = [codes_job(ours.vocabulary, caption) for caption in CAPTIONS[:2]]
        try:
            assert theirs.write(jobs, Run(), Phase.CODES) == ours.write(jobs, Run(), Phase.CODES)
        finally:
            theirs.close()
