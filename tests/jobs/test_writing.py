"""What the worker makes of jobs for the language model, and of music jobs that think first."""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from pathlib import Path

import pytest

from studio.engine.lm.requests import CreateRequest, FormatRequest, UnderstandRequest
from studio.engine.requests import AudioFormat, Metas, TextToMusic
from studio.engine.thinking import Thinking
from studio.errors import BackendError, CheckpointError, InvalidRequest, StudioError
from studio.jobs.presence import best_worker
from studio.jobs.spec import Encode, Generate, Initialize, LanguageModel, Payload, ScoreTake, Write, pack, unpack
from studio.storage.states import JobState, WorkerState
from tests.engine.lm.tiny import save_lm
from tests.jobs.fakes import Garage, song
from tests.jobs.shop import Shop, serving
from tests.jobs.test_worker import ENDED
from tests.jobs.writers import CAPTION, Desk, HearingEngine
from tests.services.conftest import until

LM = LanguageModel(name="lm", backend="vllm", fallback=True)
THINK = Generate(
    model="fake",
    audio_format=AudioFormat.WAV,
    request=TextToMusic(caption="piano", seeds=(7, 8)),
    thinking=Thinking(),
    lm=LM,
)
ASKS = [
    CreateRequest(query="rain", seed=3),
    FormatRequest(caption="rock", metas=Metas(bpm=120), duration=30.0, seed=1),
    UnderstandRequest(codes=(1, 2)),
]


def finish(shop: Shop, desk: Desk, *payloads: Payload, garage: Garage | None = None) -> list[str]:
    """Submit and serve until all ended."""
    job_ids = [shop.submit(payload) for payload in payloads]
    worker = shop.worker(garage or Garage(), desk)
    with serving(worker):
        until(lambda: all(shop.job(job_id).state in ENDED for job_id in job_ids))
    return job_ids


@pytest.mark.parametrize(
    "payload",
    [
        THINK,
        song(1),
        Initialize(model="fake", init_llm=True, lm=LM),
        Initialize(model="fake", init_llm=False),
        Encode(model="fake", source=Path("/tmp/a.wav")),
        *(Write(lm=LM, ask=ask) for ask in ASKS),
        ScoreTake(take_id="t", sensitivity=0.2, lm=LM),
        ScoreTake(take_id="t", sensitivity=1, lm=None),
    ],
)
def test_a_payload_survives_its_row(payload: Payload) -> None:
    assert unpack(payload.kind, pack(payload)) == payload


def test_a_row_of_another_version_is_explained() -> None:
    with pytest.raises(StudioError, match="jobs of kind 'dance'"):
        unpack("dance", {})
    with pytest.raises(InvalidRequest, match="this version of the studio can read"):
        unpack("format", {"lm": {"name": "lm", "backend": "pt", "fallback": False}, "request": {"tempo": 1}})


def test_takes_that_think_store_plan_backend_notes_and_both_phases(shop: Shop) -> None:
    desk = Desk()
    desk.notes = ["vllm isn't installed; pt was used instead"]
    (job_id,) = finish(shop, desk, THINK)
    assert shop.job(job_id).state == JobState.DONE
    first, second = shop.takes()
    assert (first.requested["thinking"], first.requested["lm_backend"]) == (True, "vllm")
    assert first.effective["lm_backend"] == "pt"
    assert first.effective["notes"] == desk.notes
    assert (first.effective["bpm"], second.effective["bpm"]) == (67, 68)
    assert (first.effective["audio_codes"][0], second.effective["audio_codes"][0]) == (7, 8)
    assert first.effective["cot_caption"] == CAPTION
    assert {"lm_facts", "lm_codes", "lm_total", "total", "save", "wall"} <= set(first.timings)


def test_a_thinking_job_whose_language_model_fails_makes_no_music_without_it(shop: Shop) -> None:
    desk, garage = Desk(), Garage()
    desk.broken["lm"] = BackendError("vllm isn't installed")
    failed, plain = finish(shop, desk, THINK, song(1), garage=garage)
    assert (shop.job(failed).state, shop.job(failed).error) == (JobState.FAILED, "vllm isn't installed")
    assert shop.job(plain).state == JobState.DONE
    assert garage.built[0].steps_run == list(range(8))


@pytest.mark.parametrize("phase", [0, 5])
def test_cancel_while_it_thinks(shop: Shop, phase: int) -> None:
    steps: list[int] = []
    job_ids: list[str] = []

    def cancel(step: int) -> None:
        steps.append(step)
        if len(steps) == phase + 1:
            shop.queue.request_cancel(job_ids[0])

    job_ids.append(shop.submit(THINK))
    with serving(shop.worker(Garage(), Desk(cancel))):
        until(lambda: shop.job(job_ids[0]).state in ENDED)
    assert shop.job(job_ids[0]).state == JobState.CANCELLED
    assert len(steps) == phase + 1
    assert shop.takes() == []


def test_words_are_kept_in_the_jobs_row(shop: Shop) -> None:
    desk = Desk()
    created, formatted, heard = finish(shop, desk, *(Write(lm=LM, ask=ask) for ask in ASKS))
    effective = {job_id: shop.job(job_id).effective or {} for job_id in (created, formatted, heard)}
    assert (effective[created]["caption"], effective[created]["seed"]) == (CAPTION, 3)
    assert (effective[formatted]["bpm"], effective[formatted]["duration"]) == (120, 30)
    assert (effective[heard]["bpm"], effective[heard]["lyrics"]) == (1, "[Instrumental]")
    assert {effective[job_id]["lm_backend_requested"] for job_id in effective} == {"vllm"}
    assert len(desk.built) == 1
    assert shop.job(created).kind == "create_sample"


def test_audio_becomes_codes(shop: Shop, tmp_path: Path) -> None:
    (job_id,) = finish(shop, Desk(), Encode(model="fake", source=tmp_path / "a.wav"), garage=Garage(HearingEngine()))
    assert shop.job(job_id).effective == {
        "model": "fake",
        "audio_codes": "<|audio_code_5|><|audio_code_6|><|audio_code_7|>",
    }


def test_the_row_tells_of_both_models_and_one_failure_is_not_the_others(shop: Shop) -> None:
    desk = Desk()
    desk.broken["torn"] = CheckpointError("model.safetensors is truncated")

    def told() -> tuple[WorkerState, object, dict[str, object]]:
        with shop.database.read() as session:
            row = best_worker(session, shop.clock, 30)
        assert row is not None
        return row.state, row.loaded.get("model"), row.loaded.get("lm", {})

    def initialize(**lm: object) -> None:
        job_id = shop.submit(Initialize(model="fake", **lm))  # type: ignore[arg-type]
        until(lambda: shop.job(job_id).state in ENDED)
        assert shop.job(job_id).state == JobState.DONE
        assert (shop.job(job_id).effective or {})["lm"] == told()[2]

    with serving(shop.worker(Garage(), desk)):
        initialize(init_llm=True, lm=LanguageModel(name="torn"))
        state, model, lm = told()
        assert (state, model, lm["state"]) == (WorkerState.READY, "fake", "failed")
        assert lm["error"] == "model.safetensors is truncated"
        initialize(init_llm=True, lm=LM)
        assert (told()[2]["state"], told()[2]["lm_backend"], told()[2]["backend"]) == ("ready", "pt", "vllm")
        initialize()
        assert told()[2]["state"] == "ready"
        initialize(init_llm=False)
        assert told()[2] == {}
        assert desk.built[0].unloaded


def test_the_language_model_of_the_settings_is_loaded_at_start(shop: Shop) -> None:
    object.__setattr__(shop.settings, "lm", "lm")
    object.__setattr__(shop.settings, "model", "fake")
    desk = Desk()
    with serving(shop.worker(Garage(), desk)):
        until(lambda: bool(desk.built))
    assert desk.built[0].wanted == LanguageModel(name="lm")
    assert desk.built[0].unloaded


def test_auto_without_any_language_model_says_so(shop: Shop) -> None:
    object.__setattr__(shop.settings, "lm", "auto")
    with serving(shop.worker(Garage(), Desk())):

        def failed() -> bool:
            with shop.database.read() as session:
                row = best_worker(session, shop.clock, 30)
            return row is not None and "no usable language model" in str(row.loaded.get("lm"))

        until(failed)


@pytest.mark.slow
def test_vllm_that_is_not_there_is_said_and_replaced_only_when_allowed(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The real planner, as Initialize and Generate reach it; what was used instead is in the row and in the take."""
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *more: None if name == "vllm" else find(name, *more))
    name = save_lm(shop.settings.models_dir / "acestep-5Hz-lm-tiny", bare=False).name
    strict = LanguageModel(name=name, backend="vllm", device="cpu")
    allowed = replace(strict, fallback=True)
    asked = [Initialize(model="fake", init_llm=True, lm=lm) for lm in (strict, allowed)]
    think = replace(THINK, thinking=Thinking(codes=False, caption=False), lm=allowed)
    job_ids = [shop.submit(payload) for payload in (*asked, think)]
    with serving(shop.worker(Garage())):
        until(lambda: all(shop.job(job_id).state in ENDED for job_id in job_ids))
    refused, replaced = ((shop.job(job_id).effective or {})["lm"] for job_id in job_ids[:2])
    assert refused["state"] == "failed"
    assert refused["error"].startswith("vllm isn't installed; install it with: pip install")
    assert (replaced["state"], replaced["lm_backend"], replaced["lm_backend_requested"]) == ("ready", "pt", "vllm")
    assert replaced["lm_notes"][0].endswith("; pt was used instead")
    (take, _other) = shop.takes()
    assert (take.requested["lm_backend"], take.effective["lm_backend"]) == ("vllm", "pt")
    assert replaced["lm_notes"][0] in take.effective["notes"]
