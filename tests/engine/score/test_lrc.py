"""LRC and WebVTT: what is written can be read, what others write too, what can't be read is named by its line."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from studio.engine.score.lrc import LyricLine, cues, read_lrc, read_vtt, write_lrc, write_vtt
from studio.errors import InvalidRequest

CENTISECONDS = st.integers(0, 100 * 60 * 120)
WORDS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1).map(
    lambda text: text.replace("\r", " ").replace("\n", " ").strip()
)
SHOWN = WORDS.filter(bool)


def at(start: float, text: str, end: float | None = None) -> LyricLine:
    return LyricLine(start, end, text)


@given(st.lists(st.tuples(CENTISECONDS, SHOWN), max_size=8))
def test_lrc_round_trip(drawn: list[tuple[int, str]]) -> None:
    lines = [at(hundredths / 100, text) for hundredths, text in sorted(drawn, key=lambda entry: entry[0])]
    assert read_lrc(write_lrc(lines)) == lines


@pytest.mark.parametrize(
    "text", ["[00:12.00]hi", "[3:4] x", "[1:2:3]", "[12:ab", "[-1:00]", "[ar:me]", "[offset:9]", "[verse]"]
)
def test_texts_that_look_like_times_survive(text: str) -> None:
    lines = [at(1.5, text), at(2.0, "end")]
    assert read_lrc(write_lrc(lines)) == lines


def test_lrc_has_two_digits_each_and_no_newline_at_the_end() -> None:
    lines = [at(0, "[Verse]"), at(61.239, "a"), at(6000.5, "b")]
    assert write_lrc(lines) == "[00:00.00][Verse]\n[01:01.24]a\n[100:00.50]b"
    assert write_lrc([]) == ""


def test_seconds_never_show_as_sixty() -> None:
    assert write_lrc([at(59.994, "a"), at(59.999, "b"), at(119.996, "c")]) == "[00:59.99]a\n[01:00.00]b\n[02:00.00]c"
    assert read_lrc("[00:60.00]from the original") == [at(60.0, "from the original")]


@pytest.mark.parametrize(
    ("stamp", "seconds"),
    [("[01:02]", 62), ("[1:02.5]", 62.5), ("[01:02.25]", 62.25), ("[01:02.125]", 62.125), ("[100:00.00]", 6000)],
)
def test_fractions_of_any_length_are_read(stamp: str, seconds: float) -> None:
    assert read_lrc(f"{stamp} la ") == [at(seconds, "la")]


def test_several_times_repeat_the_text_in_order_of_time() -> None:
    assert read_lrc("[00:10.00][00:01.00]chorus\n[00:05.00]verse") == [
        at(1, "chorus"),
        at(5, "verse"),
        at(10, "chorus"),
    ]


def test_a_second_time_can_be_the_end() -> None:
    text = "[00:01.00][00:03.50]a\n[00:09.00][00:08.00]b\n[00:12.00]c"
    assert read_lrc(text, second_is_end=True) == [at(1, "a", 3.5), at(9, "b", 9), at(12, "c")]


def test_a_time_without_text_ends_the_line_before() -> None:
    assert read_lrc("[00:01.00]a\n[00:03.00]\n[00:04.00]  \n[00:08.00]b") == [at(1, "a", 3), at(8, "b")]
    assert read_lrc("[00:01.00]") == []


def test_headers_comments_and_blank_lines_are_left_out() -> None:
    text = "\ufeff[ar:Somebody]\r\n[ti: A [live] song]\r\n[length: 03:20]\r\n\r\n# note\r\n[Verse]\r\n[00:01.00]a\r\n"
    assert read_lrc(text) == [at(1, "a")]


def test_offset_moves_everything_wherever_it_stands() -> None:
    text = "[00:00.20]a\n[offset:+500]\n[00:02.00][00:03.00]b"
    assert read_lrc(text) == [at(0, "a"), at(1.5, "b"), at(2.5, "b")]
    assert read_lrc("[Offset: -250]\n[00:01.00]a") == [at(1.25, "a")]


@pytest.mark.parametrize(
    ("text", "line", "value"),
    [
        ("[00:01.00]a\n[00:75.00]b", 2, "[00:75.00]"),
        ("\n\n[00:xx]b", 3, "[00:xx]"),
        ("[00:01.0000]b", 1, "[00:01.0000]"),
        ("[00:01.00][0:1:2]b", 1, "[0:1:2]"),
        ("[-1:00.00]b", 1, "[-1:00.00]"),
        ("[12.5]b", 1, "[12.5]"),
        ("[00:10.00 b", 1, "[00:10.00 b"),
        ("[offset:soon]", 1, "soon"),
        ("[99999:00]b", 1, "[99999:00]"),
        (f"[{'9' * 5000}:00]", 1, f"[{'9' * 5000}:00]"),
    ],
)
def test_what_cant_be_read_is_named_by_its_line(text: str, line: int, value: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        read_lrc(text)
    assert f"in line {line}," in str(caught.value)
    assert caught.value.value == value


@pytest.mark.parametrize(
    ("start", "end"), [(-1, None), (float("nan"), None), (float("inf"), None), (2, 1), (0, float("nan"))]
)
def test_a_line_refuses_times_that_are_none(start: float, end: float | None) -> None:
    with pytest.raises(InvalidRequest):
        LyricLine(start, end, "a")


def test_lines_less_than_two_seconds_after_a_subtitles_start_join_it() -> None:
    lines = [at(5.5, "d"), at(0, "a"), at(1.5, "b"), at(2, "c"), at(3, "  ")]
    assert cues(lines, total=9) == [at(0, "a\nb", 2), at(2, "c", 5.5), at(5.5, "d", 9)]


def test_the_last_subtitle_stays_when_nothing_says_how_long() -> None:
    assert cues([at(4, "a")]) == [at(4, "a", 9)]
    assert cues([at(4, "a")], total=3) == [at(4, "a", 7)]
    assert cues([], total=3) == []


def test_an_end_of_its_own_comes_first() -> None:
    assert cues([at(1, "a", 2.5), at(4, "b", 4), at(9, "c", 10)], total=20) == [
        at(1, "a", 2.5),
        at(4, "b", 7),
        at(9, "c", 10),
    ]


def test_a_joined_subtitle_ends_with_its_last_line() -> None:
    assert cues([at(1, "a", 1.5), at(2, "b", 3)]) == [at(1, "a\nb", 3)]
    assert cues([at(1, "a", 1.5), at(2, "b"), at(8, "c", 9)]) == [at(1, "a\nb", 8), at(8, "c", 9)]


MILLISECONDS = st.integers(0, 3 * 3600 * 1000)


@given(st.lists(st.tuples(MILLISECONDS, MILLISECONDS, st.lists(SHOWN, min_size=1, max_size=3)), max_size=6))
def test_vtt_round_trip(drawn: list[tuple[int, int, list[str]]]) -> None:
    subtitles = [at(min(a, b) / 1000, "\n".join(texts), max(a, b) / 1000) for a, b, texts in drawn]
    assert read_vtt(write_vtt(subtitles)) == subtitles


def test_vtt_text() -> None:
    assert write_vtt([at(0.5, "Tom & <Ann> -->\n\nla", 3661.25)]) == (
        "WEBVTT\n\n00:00:00.500 --> 01:01:01.250\nTom &amp; &lt;Ann&gt; --&gt;\nla\n"
    )
    assert write_vtt([]) == "WEBVTT\n"


def test_vtt_needs_ends() -> None:
    with pytest.raises(InvalidRequest, match="end must be known"):
        write_vtt([at(1, "a")])


def test_vtt_of_others_is_read() -> None:
    text = (
        "\ufeffWEBVTT - made elsewhere\r\nKind: captions\r\n\r\nNOTE\r\nnothing --> here\r\n\r\n"
        "STYLE\r\n::cue {}\r\n\r\nintro\r\n00:01.000 --> 00:02.500 align:start line:0\r\n"
        "<v Ann><i>one</i> &amp; two</v>\r\n&nbsp;three\r\n\r\n"
        "NOTES\r\n01:00:00.000-->01:00:01.000\r\nlate\r\n\r\n00:05.000 --> 00:06.000\r\n"
    )
    assert read_vtt(text) == [at(1, "one & two\n\xa0three", 2.5), at(3600, "late", 3601)]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", 1),
        ("00:01.000 --> 00:02.000\na", 1),
        ("WEBVTTX", 1),
        ("WEBVTT\n\nname\nno times", 4),
        ("WEBVTT\n\n00:61.000 --> 00:62.000\na", 3),
        ("WEBVTT\n\n00:03.000 --> 00:02.000\na", 3),
        ("WEBVTT\n\n00:01.000 --> 00:02.000\na\n\n1 --> 2\nb", 6),
    ],
)
def test_broken_vtt_is_named_by_its_line(text: str, line: int) -> None:
    with pytest.raises(InvalidRequest, match=rf"in line {line},"):
        read_vtt(text)
