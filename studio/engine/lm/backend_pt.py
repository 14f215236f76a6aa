"""The language model on transformers' Qwen3: our own loop, conditional and unconditional rows in one batch.

Importing this module takes seconds (transformers); `planner.load_backend` does it when a model is wanted.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

from studio.engine.device import AUTO, choose_device, name_of, release, within_memory
from studio.engine.lm.backend import CONTEXT, Job, Reading, Written
from studio.engine.lm.cache import KeyValueCache
from studio.engine.lm.checkpoint import verify_lm
from studio.engine.lm.decide import Columns, Decider, Row
from studio.engine.lm.qwen import choose_lm_dtype, load_model
from studio.engine.lm.vocabulary import Vocabulary, load_vocabulary
from studio.engine.run import Phase, Run
from studio.errors import CheckpointError

if TYPE_CHECKING:
    from transformers.models.qwen3.modeling_qwen3 import Qwen3ForCausalLM, Qwen3Model

_LESS_WORK = "a smaller LM batch chunk size, a shorter duration or a smaller language model"
_READ_AT_ONCE = 128  # target tokens whose logits are held together
_FEW = 4096  # columns worth computing one by one


class TorchBackend:
    """One loaded checkpoint; either published layout, tied or untied head."""

    name = "pt"

    def __init__(self, model: Qwen3ForCausalLM, vocabulary: Vocabulary, context: int) -> None:
        self.vocabulary = vocabulary
        self.context = min(context, model.config.max_position_embeddings)
        self._body: Qwen3Model = model.model
        self._head: Tensor = model.lm_head.weight  # [vocabulary, hidden]
        self._place = self._head.device
        self._decider = Decider(vocabulary, self._place)

    @property
    def device(self) -> str:
        """Where it runs."""
        return str(self._place)

    @property
    def dtype(self) -> str:
        """Number type of its weights."""
        return name_of(self._head.dtype)

    @classmethod
    def load(cls, folder: Path, *, device: str = AUTO, dtype: str = AUTO, context: int = CONTEXT) -> TorchBackend:
        """Load the checkpoint in `folder`; raises CheckpointError, InvalidRequest (device, dtype) or OutOfMemory."""
        verify_lm(folder)
        place = choose_device(device)
        kind = choose_lm_dtype(dtype, place)
        vocabulary = load_vocabulary(folder)
        model = within_memory(place, lambda: load_model(folder, kind, place), "a smaller language model")
        if model.lm_head.weight.shape[0] != vocabulary.size:
            raise CheckpointError(f"{folder}: the weights have another vocabulary than config.json says")
        return cls(model, vocabulary, context)

    def write(self, jobs: Sequence[Job], run: Run, phase: Phase) -> list[Written]:
        """Write all jobs at once; a job that is done leaves the batch."""
        return within_memory(self._place, lambda: self._write(jobs, run, phase), _LESS_WORK)

    def read(self, pairs: Sequence[tuple[Sequence[int], Sequence[int]]], run: Run) -> list[Reading]:
        """Return how likely each target is after its prompt; a prompt that several targets share is run once."""
        found: dict[int, Reading] = {}
        by_prompt: dict[tuple[int, ...], list[int]] = {}
        for index, (prompt, _target) in enumerate(pairs):
            by_prompt.setdefault(tuple(prompt), []).append(index)
        for prompt, members in by_prompt.items():
            cache = KeyValueCache()
            for index in members:
                run.step(Phase.READING, len(found), len(pairs))
                work = partial(self._read, prompt, list(pairs[index][1]), cache)
                found[index] = within_memory(self._place, work, _LESS_WORK)
        return [found[index] for index in range(len(pairs))]

    def close(self) -> None:
        """Free the model's memory; the backend can't be used afterwards."""
        del self._body, self._head, self._decider
        release(self._place)

    @torch.inference_mode()
    def _write(self, jobs: Sequence[Job], run: Run, phase: Phase) -> list[Written]:
        prompts = [job.prompt for job in jobs] + [job.negative for job in jobs if job.guided]
        others = iter(range(len(jobs), len(prompts)))
        rows = [
            Row.start(job, self.vocabulary, index, next(others) if job.guided else None)
            for index, job in enumerate(jobs)
        ]
        batch = _Batch(self._body, prompts)
        total, active = max(job.limit for job in jobs), rows
        for step in range(total + 1):
            run.step(phase, step, total)
            active = self._keep(active, batch)
            if not active:
                break
            tokens = self._decider.choose(active, partial(self._logits, batch.hidden))
            for row, token in zip(active, tokens, strict=True):
                row.cursor.advance(token)
                batch.put(row, token)
            if any(not _finished(row) for row in active):
                batch.advance()
        return [written(row, self.vocabulary.special.end) for row in rows]

    def _keep(self, rows: list[Row], batch: _Batch) -> list[Row]:
        """Drop finished rows from the batch and say where the others are now."""
        going = [row for row in rows if not _finished(row)]
        if len(going) < len(rows) and going:
            places = [row.main for row in going] + [row.other for row in going if row.other is not None]
            batch.select(places)
            others = iter(range(len(going), len(places)))
            for index, row in enumerate(going):
                row.main, row.other = index, None if row.other is None else next(others)
        return going

    def _logits(self, hidden: Tensor, rows: list[int], columns: Columns | None) -> Tensor:
        """Return logits `[rows, columns]`, float32; the head is applied to the wanted columns only where that pays."""
        chosen = hidden[rows]
        if columns is None:
            return F.linear(chosen, self._head).float()
        if columns.codes:
            parts = [F.linear(chosen, self._head[run]) for run in columns.runs]
            return torch.cat(parts, dim=-1).float()
        if len(columns.ids) <= _FEW:
            return F.linear(chosen, self._head.index_select(0, columns.ids)).float()
        return columns.of(F.linear(chosen, self._head)).float()

    @torch.inference_mode()
    def _read(self, prompt: tuple[int, ...], target: list[int], cache: KeyValueCache) -> Reading:
        """Run the target after the prompt; `cache` holds the prompt but its last token, once it was run."""
        kept = len(prompt) - 1
        if kept and not cache.get_seq_length():
            run_tokens(self._body, [list(prompt[:-1])], cache)
        cache.crop(kept)
        ids = [prompt[-1], *target[:-1]]
        places = torch.arange(kept + len(ids), device=self._place)
        mask = (places <= places[kept:, None])[None, None]  # [1, 1, new, all]
        states = run_tokens(self._body, [ids], cache, places[None, kept:], mask)[0]
        wanted = torch.tensor(target, device=self._place)[:, None]
        logprobs: list[float] = []
        ranks: list[int] = []
        for some, true in zip(torch.split(states, _READ_AT_ONCE), torch.split(wanted, _READ_AT_ONCE), strict=True):
            scores = F.linear(some, self._head).float().log_softmax(-1)
            own = scores.gather(-1, true)
            logprobs += own[:, 0].tolist()
            ranks += (1 + (scores > own).sum(-1)).tolist()
        return Reading(logprobs=tuple(logprobs), ranks=tuple(ranks))


class _Batch:
    """The rows in the model: their last hidden states, their cache and the tokens that come next."""

    def __init__(self, body: Qwen3Model, prompts: Sequence[tuple[int, ...]]) -> None:
        """Run each different prompt alone: no padding is computed, and no result depends on the batch."""
        self._body, self._place = body, body.embed_tokens.weight.device
        different = list(dict.fromkeys(prompts))
        parts = [KeyValueCache() for _ in different]
        last = [run_tokens(body, [list(ids)], part)[:, -1] for ids, part in zip(different, parts, strict=True)]
        which = torch.tensor([different.index(prompt) for prompt in prompts], device=self._place)
        self._cache = KeyValueCache.joined(parts)
        self._cache.select(which)
        self.hidden = torch.cat(last).index_select(0, which)  # [rows, hidden]
        longest = self._cache.get_seq_length()
        self._padding = [longest - len(prompt) for prompt in prompts]  # empty places before each row's prompt
        self._next = [0] * len(prompts)

    def put(self, row: Row, token: int) -> None:
        """Set the next token of a text, in both its rows."""
        self._next[row.main] = token
        if row.other is not None:
            self._next[row.other] = token

    def advance(self) -> None:
        """Run every row's next token."""
        length = self._cache.get_seq_length()
        padding = torch.tensor(self._padding, device=self._place)[:, None]
        mask = None
        if any(self._padding):
            mask = (torch.arange(length + 1, device=self._place) >= padding)[:, None, None]  # [rows, 1, 1, tokens]
        states = run_tokens(self._body, [[token] for token in self._next], self._cache, length - padding, mask)
        self.hidden = states[:, -1]

    def select(self, places: list[int]) -> None:
        """Keep only these rows."""
        index = torch.tensor(places, device=self._place)
        self._cache.select(index)
        self.hidden = self.hidden.index_select(0, index)
        self._padding = [self._padding[place] for place in places]
        self._next = [self._next[place] for place in places]


def run_tokens(
    body: Qwen3Model,
    ids: list[list[int]],
    cache: KeyValueCache,
    positions: Tensor | None = None,
    mask: Tensor | None = None,
) -> Tensor:
    """Return hidden states `[rows, tokens, hidden]`; without a mask tokens see all before them, from position 0 on."""
    inputs = torch.tensor(ids, device=body.embed_tokens.weight.device)
    if positions is None:
        positions = torch.arange(inputs.shape[1], device=inputs.device)[None]
    output = body(
        input_ids=inputs,
        position_ids=positions,
        attention_mask={"full_attention": mask},
        past_key_values=cache,
        use_cache=True,
    )
    states: Tensor = output.last_hidden_state
    return states


def _finished(row: Row) -> bool:
    return row.cursor.done or len(row.cursor.tokens) >= row.job.limit


def written(row: Row, end: int) -> Written:
    """Return what a row has written, without the end of the turn."""
    tokens = row.cursor.tokens
    text = tokens[:-1] if tokens and tokens[-1] == end else tokens
    return Written(tokens=tuple(text), complete=row.cursor.done, log=tuple(row.cursor.log))
