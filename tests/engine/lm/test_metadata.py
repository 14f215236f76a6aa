"""Facts as text: what the model was trained on, and what it may write back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from studio.engine.lm.metadata import Facts, facts_yaml, parse_facts, reasoning
from studio.engine.requests import KEY_SCALES, LANGUAGES, TIME_SIGNATURES

CAPTION = "A calm piano song with soft strings and a warm, intimate female vocal that slowly builds."


def test_the_example_of_the_specification() -> None:
    facts = Facts(
        bpm=120, caption=CAPTION, duration=200, genres="pop", keyscale="G major", language="en", timesignature="4/4"
    )
    assert reasoning(facts) == (
        "<think>\nbpm: 120\ncaption: A calm piano song with soft strings and a warm, intimate female vocal that\n"
        "  slowly builds.\nduration: 200\nkeyscale: G major\nlanguage: en\ntimesignature: 4\n</think>"
    )
    assert reasoning(Facts(genres="pop")) == "<think>\n\n</think>"


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("keyscale", "F# minor", "keyscale: F# minor"),
        ("keyscale", "B♭ major", "keyscale: B♭ major"),
        ("language", "no", "language: 'no'"),
        ("timesignature", "6/8", "timesignature: 6/8"),
        ("timesignature", "3", "timesignature: 3"),
        ("caption", "- it's: loud", "caption: '- it''s: loud'"),
        ("caption", "128", "caption: 128"),
    ],
)
def test_values_are_written_as_yaml_writes_them(name: str, value: str, text: str) -> None:
    assert facts_yaml({name: value}) == text


@pytest.mark.parametrize(
    ("text", "facts"),
    [
        ("bpm: 90\ncaption: a\n  b\n\n  c\nduration: 30", Facts(bpm=90, caption="a b c", duration=30)),
        ("language: 'no'", Facts(language="no")),
        ("caption: 'it''s: so\n  long'", Facts(caption="it's: so long")),
        ("caption: 'not closed", Facts(caption="'not closed")),
        ('caption: "two" words', Facts(caption='"two" words')),
        ("caption: a # b: c", Facts(caption="a # b: c")),
        ("<think>\nBPM : 77\nmood: happy\n  and sad\nkeyscale: N/A\n</think>", Facts(bpm=77)),
        ("bpm: fast\nduration: 9.5\ngenres:\nlanguage:", Facts()),
        ("nothing at all", Facts()),
        ("genres:pop rock\nkeyscale: C major", Facts(genres="pop rock", keyscale="C major")),
    ],
)
def test_what_is_read(text: str, facts: Facts) -> None:
    assert parse_facts(text) == facts


@given(
    st.builds(
        Facts,
        bpm=st.integers(30, 300),
        caption=st.text(st.characters(categories=["L", "N", "P", "S", "Zs"], exclude_characters=""), min_size=1)
        .map(lambda text: " ".join(text.split()))
        .filter(lambda text: text and text.lower() != "n/a"),
        duration=st.integers(10, 600),
        keyscale=st.sampled_from(KEY_SCALES),
        language=st.sampled_from(LANGUAGES),
        timesignature=st.sampled_from(TIME_SIGNATURES),
    )
)
def test_what_is_written_is_read(facts: Facts) -> None:
    block = reasoning(facts)
    assert block.startswith("<think>\n")
    assert parse_facts(block.removeprefix("<think>").removesuffix("</think>")) == facts
