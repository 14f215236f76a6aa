"""A form becomes the request it means, or an error that names field, rule and value."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from studio.engine.sampling import MAX_SEED
from studio.engine.thinking import Thinking
from studio.errors import InvalidRequest
from studio.services.forms import DEFAULTS, audio_format, auto_score, build_request, build_thinking, complete_form
from studio.services.seeds import seeds_for

SONG = {"caption": "calm piano"}


@pytest.mark.parametrize(
    ("form", "field", "value"),
    [
        ({"caption": "", "lyrics": ""}, "caption", ""),
        ({"caption": " \n", "lyrics": "words", "instrumental": True}, "caption", " \n"),
        ({"caption": "x" * 512}, "caption", 512),
        ({"caption": None}, "caption", None),
        ({"lyrics": "x" * 4096}, "lyrics", 4096),
        ({"bpm": 29}, "bpm", 29),
        ({"bpm": "301"}, "bpm", 301),
        ({"bpm": 120.5}, "bpm", 120.5),
        ({"bpm": "fast"}, "bpm", "fast"),
        ({"bpm": True}, "bpm", True),
        ({"keyscale": "H major"}, "keyscale", "H major"),
        ({"timesignature": "5"}, "timesignature", "5"),
        ({"timesignature": 4.0}, "timesignature", 4.0),
        ({"duration": 5}, "duration", 5),
        ({"duration": 601}, "duration", 601),
        ({"duration": "long"}, "duration", "long"),
        ({"duration": float("nan")}, "duration", None),
        ({"duration": 10**400}, "duration", 10**400),
        ({"batch_size": 0}, "batch_size", 0),
        ({"batch_size": 9}, "batch_size", 9),
        ({"batch_size": None}, "batch_size", None),
        ({"inference_steps": 0}, "inference_steps", 0),
        ({"inference_steps": "8.5"}, "inference_steps", "8.5"),
        ({"shift": 0.5}, "shift", 0.5),
        ({"shift": float("inf")}, "shift", float("inf")),
        ({"vocal_language": "klingon"}, "vocal_language", "klingon"),
        ({"instrumental": "yes"}, "instrumental", "yes"),
        ({"audio_format": "ogg"}, "audio_format", "ogg"),
        ({"seed": "x"}, "seed", "x"),
        ({"seed": "1.5"}, "seed", "1.5"),
        ({"seed": 1.0}, "seed", 1.0),
        ({"seed": "-2"}, "seed", "-2"),
        ({"seed": "1, two"}, "seed", "two"),
        ({"seed": str(2**32)}, "seed", str(2**32)),
        ({"seed": "٣"}, "seed", "٣"),
        ({"seed": "9" * 5000}, "seed", "9" * 5000),
        ({"audio_codes": "<|audio_code_1|> and"}, "audio_codes", "and"),
        ({"audio_codes": "<|audio_code_64000|>"}, "audio_codes", 64000),
        ({"audio_codes": [1, 2]}, "audio_codes", [1, 2]),
        ({"audio_cover_strength": 1.1}, "audio_cover_strength", 1.1),
        ({"audio_cover_strength": ""}, "audio_cover_strength", ""),
        ({"thinking": "yes"}, "thinking", "yes"),
        ({"use_cot_metas": 1}, "use_cot_metas", 1),
        ({"formatted": None}, "formatted", None),
        ({"lm_temperature": 2.1}, "lm_temperature", 2.1),
        ({"lm_temperature": ""}, "lm_temperature", ""),
        ({"lm_top_k": -1}, "lm_top_k", -1),
        ({"lm_top_k": 1.5}, "lm_top_k", 1.5),
        ({"lm_top_p": "1.1"}, "lm_top_p", 1.1),
        ({"lm_cfg_scale": 0.9}, "lm_cfg_scale", 0.9),
        ({"lm_negative_prompt": "x" * 512}, "lm_negative_prompt", 512),
        ({"lm_batch_chunk_size": 33}, "lm_batch_chunk_size", 33),
        ({"lm_batch_chunk_size": None}, "lm_batch_chunk_size", None),
        ({"allow_lm_batch": "on"}, "allow_lm_batch", "on"),
        ({"auto_score": "yes"}, "auto_score", "yes"),
        ({"score_scale": 0}, "score_scale", 0),
        ({"tempo": 120}, "form", "tempo"),
    ],
)
def test_broken_rule_is_named(form: dict[str, object], field: str, value: object) -> None:
    with pytest.raises(InvalidRequest) as caught:
        whole = complete_form({**SONG, "use_random_seed": False, **form})
        audio_format(whole)
        build_request(whole)
        build_thinking(whole)
        auto_score(whole)
    assert caught.value.field == field
    if value is not None:
        assert caught.value.value == value
    assert str(caught.value).startswith(f"{field} must ")


def test_form_of_a_page_becomes_its_request() -> None:
    form = {
        "caption": "folk",
        "lyrics": "[verse]\nla",
        "vocal_language": "en",
        "bpm": "120",
        "keyscale": "am",
        "timesignature": 3,
        "duration": 30,
        "batch_size": 3,
        "inference_steps": 12.0,
        "shift": "2.5",
        "seed": "11, 22",
        "use_random_seed": False,
    }
    request = build_request(complete_form(form))
    assert (request.metas.bpm, request.metas.key_scale, request.metas.time_signature) == (120, "A minor", "3")
    assert (request.sampling.steps, request.sampling.shift, request.duration) == (12, 2.5, 30.0)
    assert (request.seeds[:2], len(request.seeds)) == ((11, 22), 3)


def test_defaults_leave_every_choice_to_the_checkpoint() -> None:
    request = build_request(complete_form(SONG))
    assert (request.metas.bpm, request.metas.key_scale, request.metas.time_signature) == (None, None, None)
    assert (request.sampling.steps, request.sampling.shift, request.duration) == (None, None, None)
    assert len(request.seeds) == DEFAULTS["batch_size"]
    assert json.loads(json.dumps(complete_form(SONG))) == {**DEFAULTS, **SONG}


def test_settings_of_the_language_model_are_the_engines_own_by_default() -> None:
    assert build_thinking(complete_form({**SONG, "thinking": True})) == Thinking()
    form = {"lm_top_k": "", "lm_top_p": "0.5", "use_cot_caption": False, "constrained_decoding_debug": True}
    asked = build_thinking(complete_form({**SONG, **form}))
    assert (asked.codes, asked.draw.top_k, asked.draw.top_p, asked.caption, asked.debug) == (False, 0, 0.5, False, True)


def test_codes_of_the_box_become_numbers() -> None:
    form = complete_form({**SONG, "audio_codes": "<|audio_code_1|> <|audio_code_63999|>\n"})
    assert build_request(form).audio_codes == (1, 63999)


@pytest.mark.parametrize(
    ("text", "count", "fixed"),
    [
        ("5", 1, [5]),
        (5, 1, [5]),
        ("5", 3, [5, None, None]),
        ("1,2,3", 2, [1, 2]),
        ("1，-1，3", 3, [1, None, 3]),
        (" 1 , ,3", 3, [1, None, 3]),
        ("", 2, [None, None]),
        ("-1", 2, [None, None]),
        (f"0,{MAX_SEED}", 2, [0, MAX_SEED]),
    ],
)
def test_seeds_go_position_by_position(text: object, count: int, fixed: list[int | None]) -> None:
    first, second = (seeds_for(text, count, use_random=False) for _ in range(2))
    assert len(first) == count
    for want, one, other in zip(fixed, first, second, strict=True):
        assert (one == want and other == want) if want is not None else one != other


def test_random_seeds_do_not_look_at_the_field() -> None:
    assert len(set(seeds_for("x", 8, use_random=True))) == 8


@settings(max_examples=50, deadline=None)
@given(st.text(max_size=30), st.integers(1, 8))
def test_any_text_gives_seeds_in_range_or_an_error(text: str, count: int) -> None:
    try:
        seeds = seeds_for(text, count, use_random=False)
    except InvalidRequest as error:
        assert error.field == "seed"
    else:
        assert len(seeds) == count
        assert all(0 <= seed <= MAX_SEED for seed in seeds)
