"""Whatever the logits: the output parses and every value is legal."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from studio.engine.lm.constrain import Cursor
from studio.engine.lm.grammar import CAPTION_TOKENS, Grammar, GrammarSpec, Mode, grammar_for
from studio.engine.lm.metadata import FIELDS, Facts, parse_facts
from studio.engine.lm.vocabulary import Span
from studio.engine.requests import KEY_SCALES, LANGUAGES, TIME_SIGNATURES
from studio.errors import BackendError, CheckpointError
from tests.engine.lm.tiny import small_vocabulary

VOCABULARY = small_vocabulary()
LEGAL = {
    "bpm": {str(bpm) for bpm in range(30, 301)},
    "keyscale": set(KEY_SCALES),
    "language": set(LANGUAGES),
    "timesignature": set(TIME_SIGNATURES),
    "duration": {str(seconds) for seconds in range(10, 601)},
}


def write(grammar: Grammar, seed: int, *, newlines: float = 0.0, limit: int = 2000, debug: bool = False) -> Cursor:
    """Take the highest of random logits among what is allowed, as a backend does; `newlines` favours line ends."""
    rng, cursor = np.random.default_rng(seed), Cursor(grammar, debug=debug)
    for _ in range(limit):
        if cursor.done:
            return cursor
        logits = rng.standard_normal(VOCABULARY.size)
        logits[list(VOCABULARY.breaks)] += newlines
        allowed = cursor.allowed
        ids = np.array(allowed.ids) if allowed.span is None else VOCABULARY.span(allowed.span)
        token = int(ids[logits[ids].argmax()])
        if allowed.otherwise is not None and int(logits.argmax()) not in set(ids.tolist()):
            token = allowed.otherwise
        cursor.advance(token)
    return cursor


def read(cursor: Cursor) -> Facts:
    """Parse what stands between the think tags."""
    special = VOCABULARY.special
    assert cursor.tokens[0] == special.think
    return parse_facts(VOCABULARY.decode(cursor.tokens[1 : cursor.tokens.index(special.think_end)]))


told = st.fixed_dictionaries({}, optional={name: st.sampled_from(sorted(LEGAL[name])) for name in LEGAL})


@settings(deadline=None, max_examples=150)
@given(
    seed=st.integers(0, 2**32),
    newlines=st.sampled_from([-9.0, 0.0, 5.0, 9.0]),
    fields=st.sets(st.sampled_from(FIELDS)),
    values=told,
    longest=st.integers(10, 600),
)
@example(seed=1, newlines=-99.0, fields=set(FIELDS), values={}, longest=10)
@example(seed=1, newlines=99.0, fields=set(FIELDS), values={}, longest=600)
def test_facts_are_legal_whatever_the_logits(
    seed: int, newlines: float, fields: set[str], values: dict[str, str], longest: int
) -> None:
    spec = GrammarSpec(mode=Mode.FACTS, fields=tuple(fields), values=tuple(values.items()), longest=longest)
    grammar = grammar_for(VOCABULARY, spec)
    cursor = write(grammar, seed, newlines=newlines)
    assert cursor.done
    assert grammar.longest is not None
    assert len(cursor.tokens) <= grammar.longest
    assert not VOCABULARY.codes_in(cursor.tokens)
    found = {name: str(value) for name, value in read(cursor).known().items()}
    assert values.items() <= found.items()
    wanted = fields | values.keys()
    assert wanted - {"caption", "genres"} <= found.keys() <= wanted  # a caption of unprintable bytes may read as empty
    for name in found.keys() & LEGAL.keys():
        assert found[name] in LEGAL[name]
    if "duration" in fields - values.keys():
        assert 10 <= int(found["duration"]) <= longest
    text = VOCABULARY.decode(cursor.tokens)
    names = [line.partition(":")[0] for line in text.split("\n")[1:-1] if line[:1] not in (" ", "\t", "")]
    assert names == [name for name in FIELDS if name in wanted]


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 2**32), least=st.integers(0, 20), more=st.integers(0, 20))
def test_codes_are_legal_whatever_the_logits(seed: int, least: int, more: int) -> None:
    most = max(1, least + more)
    cursor = write(grammar_for(VOCABULARY, GrammarSpec(mode=Mode.CODES, least=least, most=most)), seed)
    codes = VOCABULARY.codes_in(cursor.tokens)
    assert cursor.done
    assert least <= len(codes) <= most
    assert [*VOCABULARY.code_ids(codes), VOCABULARY.special.end][: len(cursor.tokens)] == cursor.tokens
    assert max(codes, default=0) < VOCABULARY.codes == 40


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 2**32))
def test_a_description_ends_in_text_without_codes_or_tags(seed: int) -> None:
    grammar = grammar_for(VOCABULARY, GrammarSpec(mode=Mode.DESCRIPTION, fields=FIELDS))
    assert grammar.longest is None
    cursor = write(grammar, seed, limit=900)
    text = cursor.tokens[cursor.tokens.index(VOCABULARY.special.think_end) + 1 :]
    forbidden = {*range(VOCABULARY.first_code, VOCABULARY.size), VOCABULARY.special.think, VOCABULARY.special.start}
    assert not forbidden & set(text)
    assert VOCABULARY.special.end not in text[:-1]


def test_a_caption_is_ended_after_its_cap() -> None:
    grammar = grammar_for(VOCABULARY, GrammarSpec(mode=Mode.FACTS, fields=("caption", "duration")))
    cursor = write(grammar, 3, newlines=-99.0)
    names = VOCABULARY.encode("<think>\ncaption:")
    assert cursor.tokens.index(VOCABULARY.special.newline, len(names)) - len(names) == CAPTION_TOKENS
    assert read(cursor).duration is not None


def test_a_language_is_the_likeliest_one_not_a_drawn_one() -> None:
    grammar = grammar_for(VOCABULARY, GrammarSpec(mode=Mode.FACTS, fields=("language",)))
    state = grammar.start
    for token in VOCABULARY.encode("<think>\nlanguage:"):
        state = grammar.advance(state, token)
    assert grammar.allowed(state).greedy
    assert len(grammar.allowed(state).ids) == 51


def test_equal_specs_share_one_grammar_and_survive_json() -> None:
    spec = GrammarSpec(mode=Mode.DESCRIPTION, fields=("bpm", "caption"), values=(("language", "ja"),), longest=240)
    assert GrammarSpec.from_json(spec.to_json()) == spec
    assert grammar_for(VOCABULARY, GrammarSpec.from_json(spec.to_json())) is grammar_for(VOCABULARY, spec)


def test_a_token_that_is_not_allowed_is_an_error() -> None:
    cursor = Cursor(grammar_for(VOCABULARY, GrammarSpec(mode=Mode.FACTS, fields=("bpm",))))
    with pytest.raises(BackendError, match="not allowed here"):
        cursor.advance(VOCABULARY.special.newline)


def test_the_debug_log_names_the_row_and_the_token() -> None:
    spec = GrammarSpec(mode=Mode.FACTS, fields=("bpm",), values=(("language", "en"),))
    cursor = write(grammar_for(VOCABULARY, spec), 0, debug=True)
    assert len(cursor.log) == len(cursor.tokens)
    assert cursor.log[0].startswith("0 think: 1 allowed, '<think>'")
    assert any(" bpm value: 9 allowed" in line for line in cursor.log)
    assert any("language value: 1 allowed, ' en'" in line for line in cursor.log)


def test_surplus_codes_are_in_no_set() -> None:
    surplus = set(range(VOCABULARY.first_code + VOCABULARY.codes, VOCABULARY.size))
    assert len(surplus) == 3 + 5
    assert all(not surplus & set(VOCABULARY.span(span).tolist()) for span in Span)


def test_a_tokenizer_that_joins_name_and_value_is_refused() -> None:
    from dataclasses import replace

    class Joined:
        def encode(self, text: str, add_special_tokens: bool) -> object:
            return type("E", (), {"ids": [hash(text) % 1000]})()

    with pytest.raises(CheckpointError, match="can't be constrained"):
        grammar_for(replace(VOCABULARY, tokenizer=Joined()), GrammarSpec(mode=Mode.FACTS, fields=("bpm",)))
