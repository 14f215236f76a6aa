"""Which rows are the lyrics, which text each token adds, which tokens are tags, which make a line."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from studio.engine.conditioning import MAX_LYRICS_TOKENS
from studio.engine.prompts import END
from studio.engine.score.align import cheapest_path, sharpen, token_spans
from studio.engine.score.lrc import write_lrc
from studio.engine.score.results import LyricToken
from studio.engine.score.tokens import lyric_lines, lyric_tokens, sung, token_texts

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

    from tests.engine.score.conftest import ScoreRecording


def timed(tokenizer: PreTrainedTokenizerFast, text: str) -> list[LyricToken]:
    """A second for each token."""
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    texts = token_texts(tokenizer, ids)
    return [
        LyricToken(id=one, text=text, start=float(number), end=number + 1.0)
        for number, (one, text) in enumerate(zip(ids, texts, strict=True))
    ]


def test_lines_and_tags_equal_the_originals(scoring: ScoreRecording, byte_tokenizer: PreTrainedTokenizerFast) -> None:
    lyrics = lyric_tokens(byte_tokenizer, scoring.facts["text"], "en")
    assert list(lyrics.ids) == scoring.tensors["ids"].tolist()
    sharp = sharpen(scoring.maps())
    spans = token_spans(cheapest_path(-sharp), len(sharp), scoring.facts["duration"], sharp.shape[1])
    texts = token_texts(byte_tokenizer, lyrics.ids)
    assert texts == [text for _id, text, *_times in scoring.facts["tokens"]]
    tokens = [
        LyricToken(id=one, text=text, start=start, end=end)
        for one, text, (start, end) in zip(lyrics.ids, texts, spans, strict=True)
    ]
    lines = lyric_lines(byte_tokenizer, tokens)
    assert [(line.text, line.start, line.end) for line in lines] == [
        (text, start, end) for text, start, end, _confidence in scoring.facts["sentences"]
    ]
    assert write_lrc(lines) == scoring.facts["lrc"]
    assert sung(byte_tokenizer, lyrics.ids) == [bool(flag) for flag in scoring.tensors["score_type_mask"]]


@pytest.mark.parametrize(("language", "shown"), [("zh", "zh"), ("yue", "yue"), ("", "en")])
def test_rows_begin_after_the_header(byte_tokenizer: PreTrainedTokenizerFast, language: str, shown: str) -> None:
    lyrics = lyric_tokens(byte_tokenizer, "la\n", language)
    assert lyrics.row == len(f"# Languages\n{shown}\n\n# Lyric\n")
    assert bytes(lyrics.ids) == b"la\n"
    assert lyrics.rows == slice(lyrics.row, lyrics.row + 3)


def test_rows_end_at_the_first_end_token(byte_tokenizer: PreTrainedTokenizerFast) -> None:
    assert bytes(lyric_tokens(byte_tokenizer, f"la{END}lu", "en").ids) == b"la"
    assert lyric_tokens(byte_tokenizer, "", "en").ids == ()


def test_rows_of_lyrics_that_were_cut_end_within_the_limit(byte_tokenizer: PreTrainedTokenizerFast) -> None:
    lyrics = lyric_tokens(byte_tokenizer, "la la\n" * 1000, "en")
    assert MAX_LYRICS_TOKENS - 1 <= lyrics.rows.stop <= MAX_LYRICS_TOKENS


def test_a_character_belongs_to_the_token_that_completes_it(byte_tokenizer: PreTrainedTokenizerFast) -> None:
    assert [token.text for token in timed(byte_tokenizer, "aé你\n")] == ["a", "", "é", "", "", "你", "\n"]


@given(st.text(max_size=40))
def test_token_texts_add_up_to_the_text(byte_tokenizer: PreTrainedTokenizerFast, text: str) -> None:
    texts = token_texts(byte_tokenizer, list(text.encode()))
    assert "".join(texts) == text.rstrip("\ufffd")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[a]b", "...b"),
        ("a[b", "a.."),
        ("a]b", "a]b"),
        ("[a][b]c", "......c"),
        ("[a]\n[b]\n", "...\n...\n"),
    ],
)
def test_what_is_sung_is_outside_brackets(byte_tokenizer: PreTrainedTokenizerFast, text: str, expected: str) -> None:
    flags = sung(byte_tokenizer, list(text.encode()))
    assert "".join(letter if flag else "." for letter, flag in zip(text, flags, strict=True)) == expected


def test_an_open_last_line_is_a_line_and_blank_ones_are_none(byte_tokenizer: PreTrainedTokenizerFast) -> None:
    lines = lyric_lines(byte_tokenizer, timed(byte_tokenizer, "\n  \nab \n\nc"))
    assert [(line.start, line.end, line.text) for line in lines] == [(4, 8, "ab"), (9, 10, "c")]


@given(st.text(alphabet="ab[] é你\n", max_size=40))
def test_lines_follow_each_other_and_hold_one_line(byte_tokenizer: PreTrainedTokenizerFast, text: str) -> None:
    lines = lyric_lines(byte_tokenizer, timed(byte_tokenizer, text))
    assert [line.text for line in lines] == [line.strip() for line in text.split("\n") if line.strip()]
    assert all(before.end is not None and before.end <= after.start for before, after in pairwise(lines))
