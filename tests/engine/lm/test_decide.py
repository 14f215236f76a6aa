"""The chooser both backends share, on logits no model would give."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from studio.engine.lm.backend import Job
from studio.engine.lm.decide import Columns, Decider, Row
from studio.engine.lm.grammar import GrammarSpec, Mode
from studio.engine.lm.metadata import FIELDS
from studio.engine.lm.requests import Draw
from studio.engine.lm.results import parse_answer
from studio.engine.lm.vocabulary import Span
from studio.engine.requests import KEY_SCALES, LANGUAGES, TIME_SIGNATURES
from tests.engine.lm.tiny import small_vocabulary

VOCABULARY = small_vocabulary()
DECIDER = Decider(VOCABULARY, torch.device("cpu"))


class Logits:
    """Full rows, of which the chooser reads what it needs; counts how often."""

    def __init__(self, rows: torch.Tensor) -> None:
        self.rows, self.reads = rows, 0

    def __call__(self, which: list[int], columns: Columns | None) -> torch.Tensor:
        self.reads += 1
        return self.rows[which] if columns is None else columns.of(self.rows[which])


def job(spec: GrammarSpec, draw: Draw, *, seed: int = 0, scale: float = 1.0) -> Job:
    return Job(prompt=(), grammar=spec, draw=draw, seed=seed, stream="s", limit=2000, scale=scale)


@settings(deadline=None, max_examples=40)
@given(
    seed=st.integers(0, 2**32),
    size=st.sampled_from([0.0, 1.0, 1e4, 1e30]),
    newlines=st.sampled_from([0.0, 1e31]),
    draw=st.builds(
        Draw,
        temperature=st.sampled_from([0.0, 0.01, 0.85, 2.0]),
        top_k=st.sampled_from([0, 1, 7]),
        top_p=st.sampled_from([0.0, 0.01, 0.9, 1.0]),
        repetition_penalty=st.sampled_from([0.5, 1.0, 2.0]),
    ),
    scale=st.sampled_from([1.0, 2.0]),
)
def test_every_value_is_legal_whatever_the_logits(
    seed: int, size: float, newlines: float, draw: Draw, scale: float
) -> None:
    spec = GrammarSpec(mode=Mode.FACTS, fields=FIELDS, values=(("bpm", "77"),), longest=30)
    row = Row.start(job(spec, draw, seed=seed, scale=scale), VOCABULARY, 0, 1 if scale > 1 else None)
    generator = torch.Generator().manual_seed(seed)
    while not row.cursor.done:
        logits = torch.randn(2, VOCABULARY.size, generator=generator) * size
        logits[:, list(VOCABULARY.breaks)] += newlines  # also keeps captions short
        row.cursor.advance(DECIDER.choose([row], Logits(logits))[0])
    facts = parse_answer(VOCABULARY, row.cursor.tokens).facts
    assert facts.bpm == 77
    assert facts.duration is not None
    assert 10 <= facts.duration <= 30
    assert facts.keyscale in KEY_SCALES
    assert facts.language in LANGUAGES
    assert facts.timesignature in TIME_SIGNATURES


def test_a_forced_token_needs_no_logits() -> None:
    row = Row.start(job(GrammarSpec(mode=Mode.FACTS, fields=("bpm",)), Draw()), VOCABULARY, 0, None)
    logits = Logits(torch.zeros(1, VOCABULARY.size))
    assert DECIDER.choose([row], logits) == [VOCABULARY.special.think]
    assert logits.reads == 0


def test_rows_with_equal_settings_are_drawn_together_and_alone_alike() -> None:
    spec = GrammarSpec(mode=Mode.CODES, least=9, most=9)
    rows = [Row.start(job(spec, Draw(), seed=seed), VOCABULARY, seed, None) for seed in range(4)]
    values = torch.randn(4, VOCABULARY.size, generator=torch.Generator().manual_seed(1))
    logits = Logits(values)
    together = DECIDER.choose(rows, logits)
    assert logits.reads == 1
    assert together == [DECIDER.choose([row], Logits(values))[0] for row in rows]


@pytest.mark.parametrize(("likely", "goes_on"), [(" soft", True), ("rock", False), ("\n", False)])
def test_after_a_line_end_the_likeliest_token_decides(likely: str, goes_on: bool) -> None:
    """An indentation goes on with the caption; anything else ends it, and the next name is forced (quirk 8)."""
    spec = GrammarSpec(mode=Mode.FACTS, fields=("caption", "duration"))
    row = Row.start(job(spec, Draw(temperature=0.0)), VOCABULARY, 0, None)
    row.cursor.replay(VOCABULARY.encode("<think>\ncaption: rock\n"))
    logits = torch.zeros(1, VOCABULARY.size)
    logits[0, VOCABULARY.encode(likely)[0]] = 5.0
    (token,) = DECIDER.choose([row], Logits(logits))
    if goes_on:
        assert token == VOCABULARY.encode(likely)[0]
    else:
        assert token == VOCABULARY.encode("duration:")[0]
    assert (token in VOCABULARY.span(Span.INDENTED)) is goes_on


def test_the_language_is_the_likeliest_even_when_hot() -> None:
    spec = GrammarSpec(mode=Mode.FACTS, fields=("language",))
    logits = torch.zeros(1, VOCABULARY.size)
    logits[0, VOCABULARY.encode(" ja")[0]] = 0.01
    for seed in range(20):
        row = Row.start(job(spec, Draw(temperature=2.0), seed=seed), VOCABULARY, 0, None)
        row.cursor.replay(VOCABULARY.encode("<think>\nlanguage:"))
        assert DECIDER.choose([row], Logits(logits)) == [VOCABULARY.encode(" ja")[0]]


def test_guidance_pushes_away_from_the_other_row() -> None:
    spec = GrammarSpec(mode=Mode.CODES, least=1, most=1)
    values = torch.zeros(2, VOCABULARY.size)
    first = VOCABULARY.first_code
    values[0, first : first + 2] = torch.tensor([2.0, 1.9])
    values[1, first : first + 2] = torch.tensor([2.0, 0.0])
    alone = Row.start(job(spec, Draw(temperature=0.0)), VOCABULARY, 0, None)
    guided = Row.start(job(spec, Draw(temperature=0.0), scale=2.0), VOCABULARY, 0, 1)
    assert DECIDER.choose([alone, guided], Logits(values)) == [first, first + 1]
