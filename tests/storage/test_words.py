"""Texts are brought to one form, and what a person typed is read as terms."""

from __future__ import annotations

import pytest

from studio.storage.words import Term, normal, terms


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("Été à la plage!", "ete a la plage"),
        ("Straße", "strasse"),
        ("lo-fi_beats 3.5", "lo fi beats 3 5"),
        ("春天的歌 song", "春 天 的 歌 song"),
        ("ｶﾀｶﾅ", "カ タ カ ナ"),
        ("봄 노래", "봄 노래"),
        ("हिन्दी", "हिन्दी"),
        ("  \n\t", ""),
    ],
)
def test_normal(text: str, kept: str) -> None:
    assert normal(text) == kept
    assert normal(kept) == kept


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("calm pia", (Term(("calm",), True, False), Term(("pia",), True, False))),
        ('"calm piano" -drums', (Term(("calm", "piano"), False, False), Term(("drums",), True, True))),
        ("lo-fi", (Term(("lo", "fi"), True, False),)),
        ("a", (Term(("a",), False, False),)),
        ('-"two words"', (Term(("two", "words"), False, True),)),
        ('"unclosed', (Term(("unclosed",), True, False),)),
        (' - "" * ', ()),
    ],
)
def test_terms(text: str, found: tuple[Term, ...]) -> None:
    assert terms(text) == found
