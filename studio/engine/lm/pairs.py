"""What a text is to vLLM, here or elsewhere: one request, or two whose answers must agree (lm.md 9.3)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from studio.engine.lm.backend import Job, Written
from studio.engine.lm.constrain import Cursor
from studio.engine.lm.grammar import Mode, grammar_for
from studio.engine.lm.tickets import MAIN, OTHER, ticket
from studio.engine.lm.vocabulary import Vocabulary
from studio.errors import BackendError


def prompts_of(job: Job) -> list[tuple[int, ...]]:
    """Return the prompts of a job's requests."""
    return [job.prompt, job.negative] if job.guided else [job.prompt]


def params_of(job: Job, pair: str, vocabulary: Vocabulary) -> list[Mapping[str, object]]:
    """Return the sampling parameters of a job's requests; `pair` names the text and no other."""
    special = vocabulary.special
    return [
        {
            "temperature": 0.0,  # the processor leaves one token, whatever the temperature
            "max_tokens": job.limit,
            "stop_token_ids": [special.end, special.pad],
            "detokenize": False,
            "extra_args": ticket(pair, role, job),
        }
        for role in (MAIN, OTHER)[: len(prompts_of(job))]
    ]


def joined(job: Job, answers: Sequence[Sequence[int]], vocabulary: Vocabulary) -> Written:
    """Return what a job's requests wrote; raises BackendError where they were out of step or left the grammar."""
    special, text = vocabulary.special, answers[0]
    if not text or special.pad in text or any(list(answer) != list(text) for answer in answers):
        raise BackendError("vllm ran the two halves of a guided text out of step; the text was thrown away")
    cursor = Cursor(grammar_for(vocabulary, job.grammar), debug=job.debug)
    cursor.replay(text)
    tokens = tuple(text[:-1] if text[-1] == special.end else text)
    if job.grammar.mode is Mode.CODES and len(vocabulary.codes_in(tokens)) < len(tokens):
        raise BackendError("vllm wrote something that is no audio code; the text was thrown away")
    return Written(tokens=tokens, complete=cursor.done, log=tuple(cursor.log))
