"""The published tokenizer facts and vectors of lm.md section 11, on the real ids."""

from __future__ import annotations

import hashlib

import pytest

from studio.engine.lm import prompts
from studio.engine.lm.grammar import Grammar, GrammarSpec, Mode, grammar_for
from studio.engine.lm.vocabulary import Span
from studio.engine.requests import KEY_SCALES, LANGUAGES
from tests.engine.lm.tiny import REAL_SIZE, real_layout


def walk(grammar: Grammar, prefer: list[int] | None = None) -> list[int]:
    """Follow what is forced; where there is a choice take the next of `prefer`."""
    state, tokens, chosen = grammar.start, [], iter(prefer or [])
    while not grammar.done(state):
        forced = grammar.allowed(state).forced
        tokens.append(next(chosen) if forced is None else forced)
        state = grammar.advance(state, tokens[-1])
    return tokens


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("hello", "14990"),
        (" Hello  ", "21927 256"),
        ("<think>\n\n</think>", "151667 271 151668"),
        ("<|im_start|>user\nx<|im_end|>\n", "151644 872 198 87 151645 198"),
        ("<|audio_code_0|><|audio_code_42|><|audio_code_65534|>", "151669 151711 217203"),
        ("<|audio_code_65535|>", "27 91 16736 4136 62 21 20 20 18 20 91 29"),
        ("bpm:", "65 5187 25"),
        ("caption:", "23347 25"),
        ("duration:", "17021 25"),
        ("genres:", "63911 25"),
        ("keyscale:", "10563 2246 25"),
        ("language:", "11528 25"),
        ("timesignature:", "15136 622 1568 25"),
        (" D♭ minor", "422 145761 8922"),
        (" Db major", "11988 3598"),
        (" F♯ minor", "434 145346 8922"),
        (prompts.NO_REASONING + "\n\n", "151667 271 151668 271"),
    ],
)
def test_texts_have_the_published_ids(text: str, ids: str) -> None:
    assert real_layout().encode(text) == [int(id_) for id_ in ids.split()]


def test_a_code_that_is_not_spelled_canonically_is_ordinary_text() -> None:
    vocabulary = real_layout()
    assert vocabulary.codes_in(vocabulary.encode("<|audio_code_0001|>")) == ()
    assert vocabulary.codes_in(vocabulary.encode("<|audio_code_1|>")) == (1,)


def test_the_plan_prompt_has_the_published_ids() -> None:
    expected = (
        "151644 8948 198 2 29051 198 31115 7699 41733 11211 3118 389 279 2661 4682 1447 151645 198 151644 872 198 2 "
        "37600 198 5416 76 26278 271 2 15953 2216 198 14990 1879 198 151645 198 151644 77091 198"
    )
    assert real_layout().encode(prompts.plan_prompt("calm piano", "hello world")) == [*map(int, expected.split())]


def test_the_create_prompt_has_the_published_ids() -> None:
    expected = (
        "151644 8948 198 2 29051 198 38946 279 1196 594 1946 1119 264 803 11682 323 3151 17795 4008 1447 151645 198 "
        "151644 872 198 64 8413 5492 271 66368 278 25 895 151645 198 151644 77091 198"
    )
    assert real_layout().encode(prompts.create_prompt("a soft song", False)) == [*map(int, expected.split())]


def test_ids_of_the_layout() -> None:
    vocabulary = real_layout()
    special = vocabulary.special
    assert (special.pad, special.start, special.end) == (151643, 151644, 151645)
    assert (special.think, special.think_end, special.newline) == (151667, 151668, 198)
    assert (vocabulary.first_code, vocabulary.codes, vocabulary.surplus) == (151669, 64_000, 1_535)
    assert vocabulary.code_ids([63_999]) == [215_668]
    assert vocabulary.codes_in([217_203, 215_669, 215_668, 151_668]) == (63_999,)


def test_the_caption_set_is_the_published_one_without_the_ends_it_lets_through() -> None:
    """The original's 153,203 ids hold the end of the turn, tags and surplus codes: quirk 10, fixed here."""
    original = [id_ for id_ in range(REAL_SIZE) if id_ != 63 and not 151_669 <= id_ <= 215_668]
    digest = hashlib.sha256(b"".join(id_.to_bytes(4, "little") for id_ in original)).hexdigest()
    assert len(original) == 153_203
    assert digest == "9ec7a08d09dc67d8ef5d0543e53fe70c0458983fd1de0ce4830bbe4ff0068cc8"
    vocabulary = real_layout()
    ours = set(vocabulary.span(Span.CAPTION).tolist())
    assert ours < set(original)
    letters = {id_: vocabulary.decode([id_]) for id_ in range(256)}
    controls = {id_ for id_, letter in letters.items() if not letter.isprintable() and letter not in "\t\n"}
    assert len(controls) == 31
    assert set(original) - ours == {*range(151_643, 151_669), *range(215_669, 217_204), *controls}


def test_first_tokens_of_every_language() -> None:
    published = (
        "ar 796, az 12376, bg 8951, bn 40597, ca 2162, cs 10532, da 2994, de 409, el 655, en 662, es 1531, fa 2218, "
        "fi 9136, fr 1422, he 566, hi 15588, hr 18026, ht 34323, hu 32965, id 877, is 374, it 432, ja 11937, ko 15236, "
        "la 1187, lt 25175, ms 9829, ne 834, nl 20216, no 902, pa 7106, pl 625, pt 10817, ro 926, ru 11122, sa 822, "
        "sk 1901, sr 18962, sv 13559, sw 2021, ta 9450, te 1013, th 270, tl 29796, tr 489, uk 14670, ur 4335, vi 3275, "
        "yue 379+361, zh 59748, unknown 9788"
    )
    ids = dict(pair.split() for pair in published.split(", "))
    assert sorted(ids) == sorted(LANGUAGES)
    vocabulary = real_layout()
    assert {code: "+".join(map(str, vocabulary.encode(f" {code}"))) for code in LANGUAGES} == ids


def test_the_tree_of_keys_begins_as_published() -> None:
    spec = GrammarSpec(mode=Mode.FACTS, fields=("keyscale",))
    grammar = grammar_for(real_layout(), spec)
    state = grammar.start
    for token in real_layout().encode("<think>\nkeyscale:"):
        state = grammar.advance(state, token)
    assert grammar.allowed(state).ids == (356, 362, 422, 425, 434, 468, 479, 3680, 11988, 25570)
    after = {letter: set(grammar.allowed(grammar.advance(state, id_)).ids) for letter, id_ in (("A", 362), ("B", 425))}
    assert after["A"] == {2, 145346, 145761, 3598, 8922}  # no b: " Ab" is one token
    assert after["B"] == {2, 65, 145346, 145761, 3598, 8922}


def test_every_token_is_forced_when_all_is_told() -> None:
    values = (("bpm", "120"), ("duration", "95"), ("keyscale", "C major"), ("timesignature", "4"))
    tokens = walk(grammar_for(real_layout(), GrammarSpec(mode=Mode.FACTS, values=values)))
    text = "<think>\nbpm: 120\nduration: 95\nkeyscale: C major\ntimesignature: 4\n</think>"
    assert real_layout().decode(tokens) == text
    assert tokens == real_layout().encode(text)  # canonical, bpm: too (quirk 6)


def test_ten_codes_for_two_seconds() -> None:
    grammar = grammar_for(real_layout(), GrammarSpec(mode=Mode.CODES, least=10, most=10))
    state, counts = grammar.start, []
    while not grammar.done(state):
        counts.append(grammar.count(grammar.allowed(state)))
        state = grammar.advance(state, 151_669)
    assert counts == [64_000] * 10
    assert grammar.allowed(state).ids == (151_645,)


def test_without_a_length_the_end_is_allowed_beside_the_codes() -> None:
    grammar = grammar_for(real_layout(), GrammarSpec(mode=Mode.CODES, least=0, most=600))
    assert grammar.count(grammar.allowed(grammar.start)) == 64_001
    assert grammar.done(grammar.advance(grammar.start, 151_645))


def test_every_key_leads_to_itself() -> None:
    vocabulary = real_layout()
    grammar = grammar_for(vocabulary, GrammarSpec(mode=Mode.FACTS, fields=("keyscale",)))
    for key in KEY_SCALES:
        state = grammar.start
        for token in vocabulary.encode(f"<think>\nkeyscale: {key}\n</think>"):
            state = grammar.advance(state, token)
        assert grammar.done(state)
