"""Times the language model: our loop against transformers.generate, vLLM against our loop, and the constraint's cost.

usage: PYTHONPATH=. python bench/lm.py [--size small|0.6B] [--tokens 24] [--rounds 3] [--only pt,constraint,vllm]

Random weights over the real vocabulary of 217,204; rounds are interleaved, medians and ratios printed, of the clock and
of CPU time. The tokenizer is the tests' stand-in with the real ids (tests/engine/lm/tiny.py). vllm runs where it is
installed: .venv-vllm/bin/python -m bench.lm --only vllm
"""

from __future__ import annotations

import argparse
import importlib.util
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import torch
from transformers import LogitsProcessor, LogitsProcessorList, Qwen3Config, Qwen3ForCausalLM

from studio.engine.lm import prompts
from studio.engine.lm.backend import Job
from studio.engine.lm.backend_pt import TorchBackend
from studio.engine.lm.constrain import Cursor
from studio.engine.lm.decide import Columns, Decider, Row
from studio.engine.lm.grammar import GrammarSpec, Mode, grammar_for
from studio.engine.lm.metadata import Facts, reasoning
from studio.engine.lm.qwen import load_model
from studio.engine.lm.requests import Draw
from studio.engine.lm.sampling import draw_tokens
from studio.engine.lm.vocabulary import Vocabulary
from studio.engine.run import Phase, Run
from tests.engine.lm.tiny import REAL_SIZE, real_layout

SIZES = {
    "small": {"hidden_size": 256, "intermediate_size": 768, "num_hidden_layers": 8, "num_attention_heads": 8},
    "0.6B": {"hidden_size": 1024, "intermediate_size": 3072, "num_hidden_layers": 28, "num_attention_heads": 16},
}
DRAW = Draw(temperature=0.85, top_p=0.9)
CAPTION = "A bright pop song with drums, bass and a warm female vocal that slowly builds over soft strings."
LYRICS = "[Verse]\n" + "We sing tonight under a warm and open sky\n" * 12


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--size", choices=SIZES, default="small")
    parser.add_argument("--tokens", type=int, default=24)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--batches", default="1,2,8")
    parser.add_argument("--only", default="pt,constraint,vllm")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    print(f"{options.size}, float32, cpu, {torch.get_num_threads()} threads, {options.tokens} codes a take")
    with tempfile.TemporaryDirectory() as folder:
        path = save(Path(folder), options.size)
        model = load_model(path, torch.float32, torch.device("cpu"))
        backend = TorchBackend(model, real_layout(), 8192)
        batches = [int(batch) for batch in options.batches.split(",")]
        if "pt" in options.only:
            against_generate(model, backend, batches, options.tokens, options.rounds)
        if "constraint" in options.only:
            constraint(backend, options.tokens)
        if "vllm" in options.only:
            against_vllm(path, backend, batches, options.tokens, options.rounds)
    return 0


def save(folder: Path, size: str) -> Path:
    """Random weights in the published shape, stored in bfloat16 as the published ones are."""
    torch.manual_seed(0)
    config = Qwen3Config(
        vocab_size=REAL_SIZE,
        num_key_value_heads=8,
        head_dim=128 if size == "0.6B" else 32,
        max_position_embeddings=40960,
        tie_word_embeddings=True,
        eos_token_id=151645,
        pad_token_id=151643,
        **SIZES[size],
    )
    Qwen3ForCausalLM(config).to(torch.bfloat16).save_pretrained(folder)
    real_layout().tokenizer.save(str(folder / "tokenizer.json"))
    return folder


def jobs(vocabulary: Vocabulary, batch: int, count: int, scale: float) -> list[Job]:
    """One song in several takes, as the studio asks for them."""
    thought = reasoning(Facts(bpm=120, caption=CAPTION, duration=30, keyscale="C major", language="en"))
    prompt = tuple(vocabulary.encode(prompts.codes_prompt(CAPTION, LYRICS, thought)))
    negative = tuple(vocabulary.encode(prompts.codes_without("")))
    spec = GrammarSpec(mode=Mode.CODES, least=count, most=count)
    return [
        Job(
            prompt=prompt,
            negative=negative,
            scale=scale,
            grammar=spec,
            draw=DRAW,
            seed=seed,
            stream="codes",
            limit=count,
        )
        for seed in range(batch)
    ]


class CodesOnly(LogitsProcessor):
    """What a processor for generate does: mask all but the codes."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self.first, self.last = vocabulary.first_code, vocabulary.first_code + vocabulary.codes

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        masked = torch.full_like(scores, -torch.inf)
        masked[:, self.first : self.last] = scores[:, self.first : self.last]
        return masked


class Paired(CodesOnly):
    """The same with guidance over one batch of conditional and unconditional rows; draws once for both."""

    scale = 2.0

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        main, other = scores.chunk(2)
        mixed = super().__call__(input_ids, other + self.scale * (main - other)) / DRAW.temperature
        ranked, ids = mixed.sort(descending=True)
        weights = ranked.softmax(-1)
        weights[weights.cumsum(-1) - weights >= DRAW.top_p] = 0
        tokens = ids.gather(-1, weights.multinomial(1)).repeat(2, 1)
        return torch.full_like(scores, -torch.inf).scatter_(-1, tokens, 0.0)


def against_generate(
    model: Qwen3ForCausalLM, backend: TorchBackend, batches: list[int], count: int, rounds: int
) -> None:
    print("\ntokens per second of all takes together, prompt included (CPU time of a token); ratios of both")
    for scale in (1.0, 2.0):
        for batch in batches:
            asked = jobs(backend.vocabulary, batch, count, scale)
            ways: dict[str, Callable[[], object]] = {
                "ours": lambda asked=asked: backend.write(asked, Run(), Phase.CODES),
                "generate": lambda asked=asked, scale=scale: generate(
                    model, backend, asked, count, scale, paired=False
                ),
            }
            if scale > 1:
                ways["generate, paired rows"] = lambda asked=asked: generate(
                    model, backend, asked, count, 2.0, paired=True
                )
            compare(f"CFG {scale:g}, batch {batch}", ways, batch * count, rounds)


@torch.inference_mode()
def generate(
    model: Qwen3ForCausalLM, backend: TorchBackend, asked: list[Job], count: int, scale: float, *, paired: bool
) -> None:
    """transformers' own loop: its stock guidance runs the unconditional row apart, `paired` puts both in one batch."""
    rows = [list(job.prompt) for job in asked]
    more: dict[str, object] = {"do_sample": True, "temperature": DRAW.temperature, "top_p": DRAW.top_p, "top_k": 0}
    processor = Paired(backend.vocabulary) if paired else CodesOnly(backend.vocabulary)
    if paired:
        rows += [list(job.negative) for job in asked]
        more = {"do_sample": False}
    elif scale > 1:
        more |= {"guidance_scale": scale, "negative_prompt_ids": torch.tensor([list(job.negative) for job in asked])}
    width = max(map(len, rows))
    ids = torch.tensor([[151643] * (width - len(row)) + row for row in rows])
    mask = torch.tensor([[0] * (width - len(row)) + [1] * len(row) for row in rows])
    ours, model.config._attn_implementation = model.config._attn_implementation, "sdpa"
    made = model.generate(
        ids,
        attention_mask=mask,
        max_new_tokens=count,
        min_new_tokens=count,
        logits_processor=LogitsProcessorList([processor]),
        pad_token_id=151643,
        **more,
    )
    model.config._attn_implementation = ours
    assert made.shape[1] == width + count


def constraint(backend: TorchBackend, count: int) -> None:
    """The grammar's and the columns' own time, apart from the draw itself, as a share of a whole step."""
    vocabulary, decider = backend.vocabulary, Decider(backend.vocabulary, torch.device("cpu"))
    (job,) = jobs(vocabulary, 1, count, 1.0)
    step = seconds(lambda: backend.write([job], Run(), Phase.CODES)) / count
    logits = torch.randn(1, vocabulary.size) * 3
    free = typical(lambda: draw_tokens(logits, DRAW, [0.5]))
    print(
        f"\none row at {vocabulary.size:,} columns; a whole step takes {1e3 * step:.1f} ms (prompt spread over {count})"
    )
    print(f"{'draw without any constraint':34}{1e3 * free:8.2f} ms")
    for name, text in {
        "a name (forced)": "<think>\n",
        "bpm": "<think>\nbpm:",
        "caption": "<think>\nbpm: 120\ncaption: A calm",
        "caption, after a line end": "<think>\nbpm: 120\ncaption: A calm\n",
        "codes": "",
    }.items():
        spec = job.grammar if name == "codes" else GrammarSpec(mode=Mode.FACTS, fields=("bpm", "caption", "duration"))
        row = Row(job, Cursor(grammar_for(vocabulary, spec)), 0)
        row.cursor.replay(vocabulary.encode(text))
        seen: list[torch.Tensor] = []

        def read(which: list[int], columns: Columns | None, seen: list[torch.Tensor] = seen) -> torch.Tensor:
            seen[:] = [logits[which] if columns is None else columns.of(logits[which])]
            return seen[0]

        spent = typical(lambda row=row, read=read: decider.choose([row], read))
        # After a line end the last thing read may be the whole row: then the likeliest token decided, without a draw.
        drew = bool(seen) and seen[0].shape[-1] < vocabulary.size
        drawn = typical(lambda seen=seen: draw_tokens(seen[0], DRAW, [0.5])) if drew else 0.0
        alone = spent - drawn
        share = f"{1e3 * alone:6.2f} without the draw = {100 * alone / step:.2f} % of a step"
        print(f"{'choose, ' + name:34}{1e3 * spent:8.2f} ms, {share}")


def against_vllm(path: Path, backend: TorchBackend, batches: list[int], count: int, rounds: int) -> None:
    if importlib.util.find_spec("vllm") is None:
        print("\nvllm isn't installed here")
        return
    from studio.engine.lm.backend_vllm import VllmBackend

    start = time.perf_counter()
    other = VllmBackend.load(path, device="cpu", dtype="float32", context=2048, rows=2 * max(batches))
    print(f"\nvllm against pt; vllm loads in {time.perf_counter() - start:.1f} s, {torch.get_num_threads()} threads")
    for scale in (1.0, 2.0):
        for batch in batches:
            asked = jobs(backend.vocabulary, batch, count, scale)
            ways = {
                "pt": lambda asked=asked: backend.write(asked, Run(), Phase.CODES),
                "vllm": lambda asked=asked: other.write(asked, Run(), Phase.CODES),
            }
            compare(f"CFG {scale:g}, batch {batch}", ways, batch * count, rounds)
    other.close()


def compare(title: str, ways: dict[str, Callable[[], object]], tokens: int, rounds: int) -> None:
    """Run all ways in turn, `rounds` times after one to warm up; the ratio is of the first way to each other.

    Other programs hardly change the CPU time (all threads), which on a busy machine is the fairer figure.
    """
    spent: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    for turn in range(rounds + 1):
        for name, work in list(ways.items())[:: 1 if turn % 2 else -1]:
            taken = spans(work)
            if turn or not rounds:
                spent[name].append(taken)
    wall, used = ({name: statistics.median(one[at] for one in taken) for name, taken in spent.items()} for at in (0, 1))
    first, *others = ways
    rates = ", ".join(f"{name} {tokens / wall[name]:.1f} ({1e3 * used[name] / tokens:.1f} ms)" for name in ways)
    ratios = ", ".join(
        f"{first}/{name} {wall[name] / wall[first]:.2f}x ({used[name] / used[first]:.2f}x)" for name in others
    )
    print(f"{title:18} {rates}  |  {ratios}", flush=True)


def spans(work: Callable[[], object]) -> tuple[float, float]:
    """Return seconds on the clock and seconds of CPU time."""
    start, used = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - start, time.process_time() - used


def seconds(work: Callable[[], object]) -> float:
    """Return seconds of CPU time: what is measured with this runs on one thread, on a machine with other work."""
    return spans(work)[1]


def typical(work: Callable[[], object], times: int = 30) -> float:
    work()
    return statistics.median(seconds(work) for _ in range(times))


if __name__ == "__main__":
    sys.exit(main())
