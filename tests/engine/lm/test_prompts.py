"""Every prompt byte for byte, written out here once more by hand, and compared with the chat template."""

from __future__ import annotations

import pytest
from jinja2 import Template

from studio.engine.lm import prompts
from studio.engine.lm.metadata import Facts, reasoning
from tests.engine.lm.tiny import CHAT

SYS = "<|im_start|>system\n# Instruction\nGenerate audio semantic tokens based on the given conditions:\n\n<|im_end|>\n"


def test_plan() -> None:
    user = "<|im_start|>user\n# Caption\ncalm piano\n\n# Lyric\nhello\nworld\n<|im_end|>\n"
    assert prompts.plan_prompt("calm piano", "hello\nworld") == f"{SYS}{user}<|im_start|>assistant\n"


def test_codes_leave_the_turn_open() -> None:
    user = "<|im_start|>user\n# Caption\nc\n\n# Lyric\nl\n<|im_end|>\n"
    thought = reasoning(Facts(bpm=120, language="no"))
    expected = f"{SYS}{user}<|im_start|>assistant\n<think>\nbpm: 120\nlanguage: 'no'\n</think>\n\n"
    assert prompts.codes_prompt("c", "l", thought) == expected


@pytest.mark.parametrize(
    ("negative", "user"),
    [("", "NO USER INPUT"), (" \n", "NO USER INPUT"), ("NO USER INPUT", "NO USER INPUT"), ("loud noise", "loud noise")],
)
def test_codes_move_away_from_the_bare_negative_prompt(negative: str, user: str) -> None:
    expected = f"{SYS}<|im_start|>user\n{user}<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n"
    assert prompts.codes_without(negative) == expected


def test_understand() -> None:
    system = (
        "<|im_start|>system\n# Instruction\nUnderstand the given musical conditions and describe the audio semantics "
        "accordingly:\n\n<|im_end|>\n"
    )
    user = "<|im_start|>user\n<|audio_code_3|><|audio_code_63999|><|im_end|>\n<|im_start|>assistant\n"
    assert prompts.understand_prompt([3, 63_999]) == system + user
    without = "<|im_start|>user\nNO USER INPUT<|im_end|>\n<|im_start|>assistant\n"
    assert prompts.without(prompts.UNDERSTAND, "") == system + without


@pytest.mark.parametrize(
    ("query", "instrumental", "user"),
    [
        ("a soft song", False, "a soft song\n\ninstrumental: false"),
        ("a soft song", True, "a soft song\n\ninstrumental: true"),
        ("", True, "NO USER INPUT\n\ninstrumental: true"),
    ],
)
def test_create(query: str, instrumental: bool, user: str) -> None:
    system = "# Instruction\nExpand the user's input into a more detailed and specific musical description:\n\n"
    expected = f"<|im_start|>system\n{system}<|im_end|>\n<|im_start|>user\n{user}<|im_end|>\n<|im_start|>assistant\n"
    assert prompts.create_prompt(query, instrumental) == expected


@pytest.mark.parametrize(
    ("caption", "lyrics", "user"),
    [
        ("c", "l", "# Caption\nc\n\n# Lyric\nl"),
        ("", "", "# Caption\nNO USER INPUT\n\n# Lyric\n[Instrumental]"),
    ],
)
def test_format(caption: str, lyrics: str, user: str) -> None:
    system = "# Instruction\nFormat the user's input into a more detailed and specific musical description:\n\n"
    expected = f"<|im_start|>system\n{system}<|im_end|>\n<|im_start|>user\n{user}<|im_end|>\n<|im_start|>assistant\n"
    assert prompts.format_prompt(caption, lyrics) == expected


def test_the_chat_template_writes_the_same() -> None:
    system = {"role": "system", "content": f"# Instruction\n{prompts.PLAN}\n\n"}
    user = {"role": "user", "content": "# Caption\nc\n\n# Lyric\nl\n"}
    rendered = Template(CHAT, keep_trailing_newline=True).render(messages=[system, user], add_generation_prompt=True)
    assert prompts.plan_prompt("c", "l") == rendered
