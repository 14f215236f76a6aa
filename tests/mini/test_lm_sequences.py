"""What the mini language model is trained on is what the engine will show it and let it write."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from mini.composer import Song, draw_song
from mini.data import move
from mini.lm import texts
from mini.lm.sequences import (
    Clip,
    Text,
    contrast_texts,
    copy_text,
    create_text,
    forgotten_text,
    format_text,
    plan_text,
    understand_text,
)
from studio.engine.lm import prompts
from studio.engine.lm.grammar import GrammarSpec, Mode, grammar_for
from studio.engine.lm.metadata import FIELDS, parse_facts, reasoning
from studio.engine.lm.vocabulary import Vocabulary, load_vocabulary
from studio.engine.spectral.layout import SEMITONES

Make = Callable[[Vocabulary, Song, np.random.Generator], Text]
MINI = Path("data/models/acestep-5Hz-lm-mini")
CODES = tuple(range(7, 67))


@pytest.fixture(scope="module")
def vocabulary() -> Vocabulary:
    if not (MINI / "tokenizer.json").is_file():
        pytest.skip("the mini language model is not bundled yet")
    return load_vocabulary(MINI)


def rng(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


def answer(vocabulary: Vocabulary, text: Text) -> list[int]:
    """The ids after the prompt: from <think> on."""
    return text.ids[text.ids.index(vocabulary.special.think) :]


def follow(vocabulary: Vocabulary, ids: list[int], spec: GrammarSpec) -> None:
    """Walk the grammar; every token must be one the model may write in its place."""
    grammar = grammar_for(vocabulary, spec)
    state = grammar.start
    for index, token in enumerate(ids):
        allowed = grammar.allowed(state)
        span = vocabulary.span(allowed.span).tolist() if allowed.span else []
        place = f"{vocabulary.decode(ids[:index])!r} then {vocabulary.decode([token])!r}"
        assert token in (*allowed.ids, *span, allowed.otherwise), f"{grammar.state_name(state)}: {place}"
        state = grammar.advance(state, token)
    assert grammar.done(state)


@pytest.mark.parametrize("seed", range(12))
def test_a_plan_is_the_engines_prompt_facts_and_codes(vocabulary: Vocabulary, seed: int) -> None:
    text = plan_text(vocabulary, draw_song(seed), rng(seed), Clip(draw_song(seed), CODES, 0.0))
    first = text.ids.index(vocabulary.code_ids(CODES)[0])
    shown = vocabulary.decode(text.ids[:first])
    asked = re.search(r"# Caption\n(.*?)\n\n# Lyric\n(.*?)\n<\|im_end\|>", shown, re.DOTALL)
    assert asked
    thought = re.search(r"<think>\n.*\n</think>", shown, re.DOTALL)
    assert thought
    facts = parse_facts(thought[0])
    assert text.ids[:first] == vocabulary.encode(prompts.codes_prompt(asked[1], asked[2], reasoning(facts)))
    assert vocabulary.codes_in(text.ids[first:]) == CODES
    assert text.ids[first + len(CODES) :] in ([], [vocabulary.special.end])


@pytest.mark.parametrize("seed", range(12))
def test_the_grammar_lets_the_model_write_a_plan_as_trained(vocabulary: Vocabulary, seed: int) -> None:
    text = plan_text(vocabulary, draw_song(seed), rng(seed))
    ids = answer(vocabulary, text)
    fields = tuple(name for name in FIELDS if f"\n{name}:" in vocabulary.decode(ids))
    follow(vocabulary, ids, GrammarSpec(mode=Mode.FACTS, fields=fields))


@pytest.mark.parametrize("make", [create_text, format_text])
@pytest.mark.parametrize("seed", range(8))
def test_the_grammar_lets_the_model_write_a_song_as_trained(vocabulary: Vocabulary, make: Make, seed: int) -> None:
    ids = answer(vocabulary, make(vocabulary, draw_song(seed), rng(seed)))
    follow(vocabulary, ids, GrammarSpec(mode=Mode.DESCRIPTION, fields=FIELDS))


@pytest.mark.parametrize("seed", range(8))
def test_codes_to_understand_stand_in_the_engines_prompt(vocabulary: Vocabulary, seed: int) -> None:
    text = understand_text(vocabulary, Clip(draw_song(seed), CODES, 3.2), rng(seed))
    prompt = vocabulary.encode(prompts.understand_prompt(CODES))
    assert text.ids[: len(prompt)] == prompt
    assert text.heard is not None
    assert vocabulary.codes_in(text.ids[text.heard.first : text.heard.first + text.heard.count]) == CODES
    assert not any(text.weights[: len(prompt)])
    assert parse_facts(vocabulary.decode(answer(vocabulary, text))).bpm == draw_song(seed).bpm


def test_a_rewritten_caption_begins_with_the_users_words() -> None:
    for seed in range(40):
        song, caption = draw_song(seed), texts.user_caption(draw_song(seed), rng(seed))
        written = texts.rewritten(caption, song, rng(seed))
        assert written.startswith(caption)
        if "drums" not in song.tracks and len(caption) < 100:
            assert "drum" in written


@pytest.mark.parametrize("seed", range(8))
def test_words_nobody_knows_are_copied(vocabulary: Vocabulary, seed: int) -> None:
    text = copy_text(vocabulary, draw_song(seed), rng(seed))
    shown = vocabulary.decode(text.ids)
    asked = re.search(r"# Caption\n(.*?)\n\n# Lyric", shown, re.DOTALL)
    facts = parse_facts(shown)
    assert asked and facts.caption == asked[1]
    assert any(text.weights)


def test_codes_of_a_plan_are_told_their_facts(vocabulary: Vocabulary) -> None:
    text = plan_text(vocabulary, draw_song(3), rng(3), Clip(draw_song(3), CODES, 0.0))
    assert text.heard is not None and text.heard.told
    assert vocabulary.codes_in(text.ids[text.heard.first : text.heard.first + text.heard.count]) == CODES


@pytest.mark.parametrize("seed", range(8))
def test_a_wrong_caption_is_wrong_about_the_drums_and_the_codes_stay(vocabulary: Vocabulary, seed: int) -> None:
    song = draw_song(seed)
    right, wrong = contrast_texts(vocabulary, Clip(song, CODES, 0.0), rng(seed))
    for text in (right, wrong):
        assert text.heard is not None
        assert vocabulary.codes_in(text.ids[text.heard.first : text.heard.first + text.heard.count]) == CODES
    assert right.heard and wrong.heard
    assert set(right.heard.song.tracks) ^ set(wrong.heard.song.tracks) <= {"drums", "bass"}
    assert ("drums" in wrong.heard.song.tracks) != ("drums" in song.tracks)
    facts = [parse_facts(vocabulary.decode(text.ids[: text.heard.first])) for text in (right, wrong) if text.heard]
    assert (facts[0].bpm, facts[0].keyscale) == (facts[1].bpm, facts[1].keyscale) == (song.bpm, facts[0].keyscale)


def test_guidance_moves_away_from_what_was_trained_without_a_prompt(vocabulary: Vocabulary) -> None:
    text = forgotten_text(vocabulary, Clip(draw_song(1), CODES, 0.0), rng(0))
    prompt = vocabulary.encode(prompts.codes_without(""))
    assert text.ids[: len(prompt)] == prompt
    assert vocabulary.codes_in(text.ids[len(prompt) :]) == CODES


def test_a_number_and_a_key_are_one_token(vocabulary: Vocabulary) -> None:
    name = len(vocabulary.encode("keyscale:"))
    assert [len(vocabulary.encode(f"keyscale: {key}\n")) - name for key in ("C major", "F# minor", "Bb major")] == [
        2
    ] * 3
    assert {len(vocabulary.encode(f"bpm: {bpm}\n")) for bpm in range(30, 301)} == {len(vocabulary.encode("bpm:")) + 2}


def test_codes_are_those_of_the_minis_audio_tokenizer(vocabulary: Vocabulary) -> None:
    assert (vocabulary.codes, vocabulary.surplus) == (4096, 0)


def test_a_song_moved_up_has_its_notes_higher() -> None:
    latents: NDArray[np.float16] = np.zeros((3, 64), np.float16)
    latents[:, 10], latents[:, SEMITONES] = 1.0, 2.0
    for semitones in (-4, 3):
        moved = move(latents, semitones)
        assert moved[0, :SEMITONES].argmax() == 10 + semitones
        assert (moved[:, SEMITONES] == 2.0).all()
