"""The loop against a plain one without cache, masks or batches; seeds, cancel, and what loading refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

from studio.engine.lm.backend import Job
from studio.engine.lm.backend_pt import TorchBackend
from studio.engine.lm.checkpoint import find_lms, resolve_lm
from studio.engine.lm.grammar import Mode, grammar_for
from studio.engine.lm.requests import Draw
from studio.engine.run import Phase, Run
from studio.errors import Cancelled, CheckpointError, InvalidRequest, NotFound
from tests.engine.lm.jobs import CAPTIONS, GREEDY, codes_job, facts_job
from tests.engine.lm.tiny import save_lm


@torch.inference_mode()
def plain_greedy(folder: Path, backend: TorchBackend, job: Job) -> tuple[int, ...]:
    """One token at a time, everything computed anew, full logits: slow and plain."""
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    grammar, tokens = grammar_for(backend.vocabulary, job.grammar), list[int]()
    state = grammar.start

    def logits(prompt: tuple[int, ...]) -> torch.Tensor:
        return model(torch.tensor([[*prompt, *tokens]])).logits[0, -1]

    while not grammar.done(state) and len(tokens) < job.limit:
        row = logits(job.prompt)
        if job.scale > 1:
            other = logits(job.negative)
            row = other + job.scale * (row - other)
        allowed = grammar.allowed(state)
        ids = list(allowed.ids) if allowed.span is None else backend.vocabulary.span(allowed.span).tolist()
        if allowed.otherwise is not None and int(row.argmax()) not in ids:
            ids = [allowed.otherwise]
        tokens.append(ids[int(row[ids].argmax())])
        state = grammar.advance(state, tokens[-1])
    return tuple(tokens)


@pytest.mark.parametrize("scale", [1.0, 2.0])
@pytest.mark.parametrize("shape", ["lm_path", "bare_path", "sharded_path"])
def test_codes_equal_a_plain_loop(request: pytest.FixtureRequest, shape: str, scale: float) -> None:
    folder = request.getfixturevalue(shape)
    backend = TorchBackend.load(folder, device="cpu")
    jobs = [codes_job(backend.vocabulary, caption, scale=scale) for caption in CAPTIONS[:3]]
    written = backend.write(jobs, Run(), Phase.CODES)
    assert [text.tokens for text in written] == [plain_greedy(folder, backend, job) for job in jobs]
    assert all(text.complete for text in written)
    assert len({text.tokens for text in written}) == 3


@pytest.mark.parametrize("scale", [1.0, 1.5])
def test_facts_equal_a_plain_loop(lm_path: Path, pt: TorchBackend, scale: float) -> None:
    jobs = [facts_job(pt.vocabulary, caption, limit=60, scale=scale) for caption in CAPTIONS[:2]]
    written = pt.write(jobs, Run(), Phase.THINKING)
    assert [text.tokens for text in written] == [plain_greedy(lm_path, pt, job) for job in jobs]


def test_an_untied_head_is_used(tmp_path: Path) -> None:
    folder = save_lm(tmp_path / "lm", bare=False, tied=False)
    backend = TorchBackend.load(folder, device="cpu")
    job = codes_job(backend.vocabulary, "rock")
    assert backend.write([job], Run(), Phase.CODES)[0].tokens == plain_greedy(folder, backend, job)


def test_a_take_is_the_same_alone_and_in_any_batch(pt: TorchBackend) -> None:
    draws = [Draw(), Draw(temperature=1.3, top_p=1.0), Draw(top_k=5), Draw(repetition_penalty=1.5)]
    jobs = [
        codes_job(pt.vocabulary, caption, count=10 + 5 * index, scale=1.0 + index / 2, seed=index, draw=draw)
        for index, (caption, draw) in enumerate(zip(CAPTIONS, draws, strict=False))
    ]
    together = pt.write(jobs, Run(), Phase.CODES)
    assert together == [pt.write([job], Run(), Phase.CODES)[0] for job in jobs]
    assert together[::-1] == pt.write(jobs[::-1], Run(), Phase.CODES)
    assert [len(text.tokens) for text in together] == [10, 15, 20, 25]


def test_facts_in_one_batch_are_those_of_each_alone(pt: TorchBackend) -> None:
    jobs = [facts_job(pt.vocabulary, caption, seed=seed, draw=Draw()) for seed, caption in enumerate(CAPTIONS[:4])]
    together = pt.write(jobs, Run(), Phase.THINKING)
    assert together == [pt.write([job], Run(), Phase.THINKING)[0] for job in jobs]
    assert len({len(text.tokens) for text in together}) > 1  # so rows did leave the batch at different steps


def test_seeds_decide(pt: TorchBackend) -> None:
    jobs = [codes_job(pt.vocabulary, "rock", seed=seed, draw=Draw()) for seed in (5, 6, 5)]
    first, second, again = (text.tokens for text in pt.write(jobs, Run(), Phase.CODES))
    assert first == again != second


def test_guidance_and_penalty_change_what_is_written(pt: TorchBackend) -> None:
    def write(scale: float, draw: Draw = GREEDY) -> tuple[int, ...]:
        return pt.write([codes_job(pt.vocabulary, "rock", scale=scale, draw=draw)], Run(), Phase.CODES)[0].tokens

    assert len({write(1.0), write(2.0), write(5.0)}) == 3
    strict = write(1.0, Draw(temperature=0.0, repetition_penalty=2.0))
    assert len(set(strict)) > len(set(write(1.0)))


def test_a_limit_is_said(pt: TorchBackend) -> None:
    written = pt.write([facts_job(pt.vocabulary, "rock", limit=5)], Run(), Phase.THINKING)[0]
    assert len(written.tokens) == 5
    assert not written.complete


def test_every_step_is_reported_and_can_stop(pt: TorchBackend) -> None:
    seen: list[tuple[Phase, int, int]] = []
    pt.write([codes_job(pt.vocabulary, "rock")], Run(lambda *step: seen.append(step)), Phase.CODES)
    assert seen == [(Phase.CODES, step, 30) for step in range(31)]
    stop = Run(cancelled=iter([False] * 4 + [True]).__next__)
    with pytest.raises(Cancelled, match="during codes at 4 of 30"):
        pt.write([codes_job(pt.vocabulary, "rock")], stop, Phase.CODES)


def test_reading_gives_log_probabilities_and_ranks(lm_path: Path, pt: TorchBackend) -> None:
    prompt, target = pt.vocabulary.encode("hello world"), pt.vocabulary.encode("bpm: 120\nlanguage: en\n")
    reading = pt.read([(prompt, target), (prompt, target[:1])], Run())
    model = AutoModelForCausalLM.from_pretrained(lm_path, dtype=torch.float32).eval()
    with torch.inference_mode():
        scores = model(torch.tensor([[*prompt, *target]])).logits[0, len(prompt) - 1 : -1].log_softmax(-1)
    own = [float(row[id_]) for row, id_ in zip(scores, target, strict=True)]
    assert reading[0].logprobs == pytest.approx(own, abs=1e-4)
    assert list(reading[0].ranks) == [1 + int((row > row[id_]).sum()) for row, id_ in zip(scores, target, strict=True)]
    assert reading[1].logprobs == pytest.approx(own[:1], abs=1e-4)


def test_sixteen_bit_floats_are_refused(lm_path: Path) -> None:
    with pytest.raises(InvalidRequest, match="dtype must be bfloat16 or float32 for the language model"):
        TorchBackend.load(lm_path, device="cpu", dtype="float16")
    assert TorchBackend.load(lm_path, device="cpu", dtype="bfloat16").dtype == "bfloat16"


def _edit_config(folder: Path, **changes: object) -> None:
    file = folder / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


def _drop(folder: Path, name: str) -> None:
    tensors = load_file(folder / "model.safetensors")
    save_file({key: tensor for key, tensor in tensors.items() if key != name}, folder / "model.safetensors")


BREAK = {
    "weights missing": (lambda f: (f / "model.safetensors").unlink(), "model.safetensors is missing"),
    "pickle only": (
        lambda f: (f / "model.safetensors").rename(f / "pytorch_model.bin"),
        "pytorch_model.bin is not used: only safetensors",
    ),
    "cut": (lambda f: (f / "model.safetensors").write_bytes(b"x" * 99), "truncated or damaged"),
    "no tokenizer": (lambda f: (f / "tokenizer.json").unlink(), "tokenizer.json is missing"),
    "not a tokenizer": (lambda f: (f / "tokenizer.json").write_text("{}"), "is no tokenizer"),
    "no config": (lambda f: (f / "config.json").unlink(), "config.json can't be read"),
    "other model": (lambda f: _edit_config(f, architectures=["LlamaForCausalLM"]), "'LlamaForCausalLM' can't be used"),
    "no size": (lambda f: _edit_config(f, vocab_size="many"), "vocab_size must be a whole number"),
    "too small": (lambda f: _edit_config(f, vocab_size=100), "the model has only 100 rows"),
    "a tensor lost": (lambda f: _drop(f, "model.norm.weight"), "missing_keys 1, first model.norm.weight"),
    "no embedding": (lambda f: _drop(f, "model.embed_tokens.weight"), "hold no embed_tokens.weight"),
    "other width": (lambda f: _edit_config(f, intermediate_size=48), "don't fit|can't be loaded"),
}


@pytest.mark.parametrize("how", BREAK)
def test_a_broken_folder_says_what_is_broken(tmp_path: Path, how: str) -> None:
    folder = save_lm(tmp_path / "acestep-5Hz-lm-broken", bare=False)
    spoil, message = BREAK[how]
    spoil(folder)
    with pytest.raises(CheckpointError, match=message):
        TorchBackend.load(folder, device="cpu")


def test_folders_are_found_by_name(lm_path: Path, bare_path: Path, tmp_path: Path) -> None:
    (tmp_path / "acestep-5Hz-lm-empty").mkdir()
    dirs = [lm_path.parent, bare_path.parent, tmp_path, tmp_path / "nowhere"]
    found = {info.name: info.problem for info in find_lms(dirs)}
    assert list(found) == ["acestep-5Hz-lm-bare", "acestep-5Hz-lm-empty", "acestep-5Hz-lm-tiny"]
    assert found["acestep-5Hz-lm-tiny"] == ""
    assert "config.json can't be read" in found["acestep-5Hz-lm-empty"]
    assert resolve_lm("acestep-5Hz-lm-tiny", dirs) == lm_path == resolve_lm(lm_path)
    with pytest.raises(NotFound, match="no language model called 'x'; there are: acestep-5Hz-lm-bare, "):
        resolve_lm("x", dirs)


def test_surplus_codes_and_rows_without_a_token_are_never_written(pt: TorchBackend) -> None:
    hot = Draw(temperature=2.0, top_p=1.0)
    jobs = [codes_job(pt.vocabulary, "rock", count=200, scale=1.0, seed=seed, draw=hot) for seed in range(3)]
    for text in pt.write(jobs, Run(), Phase.CODES):
        assert len(pt.vocabulary.codes_in(text.tokens)) == 200
        assert max(text.tokens) < pt.vocabulary.first_code + pt.vocabulary.codes


def test_the_grammar_is_one_object(pt: TorchBackend) -> None:
    job = codes_job(pt.vocabulary, "rock")
    assert job.grammar.mode is Mode.CODES
    assert grammar_for(pt.vocabulary, job.grammar) is grammar_for(pt.vocabulary, job.grammar)
