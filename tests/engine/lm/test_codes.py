"""Codes as text and as numbers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from studio.engine.lm.codes import check_codes, count_for, format_codes, parse_codes
from studio.engine.lm.vocabulary import from_tokenizer
from studio.errors import InvalidRequest
from tests.engine.lm.tiny import small_tokenizer


@given(st.lists(st.integers(0, 63_999), min_size=1), st.sampled_from(["", " ", "\n", ", "]))
def test_what_is_written_is_read(codes: list[int], separator: str) -> None:
    assert parse_codes(separator.join(format_codes([code]) for code in codes)).codes == tuple(codes)


def test_a_number_above_the_codebook_is_clamped_and_said() -> None:
    parsed = parse_codes("<|audio_code_5|><|audio_code_64000|><|audio_code_65534|>")
    assert parsed.codes == (5, 63_999, 63_999)
    assert parsed.clamped == (64_000, 65_534)
    assert parsed.duration == 0.6
    assert parse_codes("<|audio_code_9|>", codebook=8).codes == (7,)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "at least one code"),
        ("  \n", "at least one code"),
        ("hello", "character 1 starts something else, got 'hello'"),
        ("<|audio_code_1|> oops <|audio_code_2|>", "character 18 starts something else, got 'oops'"),
        ("<|audio_code_1|><|audio_code_|>", "got '<|audio_code_|>'"),
        ("<|audio_code_-1|>", "got '<|audio_code_-1|>'"),
        ("x" * 99, "x…"),
    ],
)
def test_what_is_no_code_is_shown(text: str, message: str) -> None:
    with pytest.raises(InvalidRequest, match="audio_codes must") as caught:
        parse_codes(text)
    assert message in str(caught.value)


@pytest.mark.parametrize(("seconds", "count"), [(2, 10), (12.9, 64), (12.6, 63), (0.19, 0), (600, 3000)])
def test_seconds_hold_whole_codes(seconds: float, count: int) -> None:
    assert count_for(seconds) == count


@pytest.mark.parametrize("codes", [(), (64_000,), (-1,), (True,), (1.0,)])
def test_codes_outside_the_codebook_are_refused(codes: tuple[int, ...]) -> None:
    with pytest.raises(InvalidRequest, match="audio_codes must"):
        check_codes(codes)


def test_the_codebook_follows_from_the_tokenizer_of_the_language_model() -> None:
    tokenizer = small_tokenizer(12)
    vocabulary = from_tokenizer(tokenizer, tokenizer.get_vocab_size())
    assert (vocabulary.codes, vocabulary.surplus) == (12, 0)
    with pytest.raises(InvalidRequest, match="from 0 to 11"):
        check_codes((12,), vocabulary.codes)
