"""The score against its formulas, computed once more by hand."""

from __future__ import annotations

import math

import pytest

from studio.engine.lm.backend import Reading
from studio.engine.lm.backend_pt import TorchBackend
from studio.engine.lm.metadata import Facts
from studio.engine.lm.quality import Part, ScoreRequest, information, recall, score, squash
from studio.engine.run import Phase, Run
from studio.errors import InvalidRequest

FACTS = Facts(bpm=120, caption="calm piano", keyscale="C major", language="en")
TAKE = ScoreRequest(codes=(1, 2, 3), caption="mine", lyrics="hello world", facts=FACTS)


def test_recall_counts_the_first_ten_ranks() -> None:
    assert recall(Reading(logprobs=(0.0,) * 4, ranks=(1, 2, 10, 11))) == pytest.approx((1 + 0.9 + 0.1 + 0) / 4)


@pytest.mark.parametrize("raw", [-2.0, -0.1, 0.0, 0.3, 900.0])
@pytest.mark.parametrize("sensitivity", [0.01, 0.1, 1.0])
def test_the_logistic_never_overflows(raw: float, sensitivity: float) -> None:
    power = -raw / sensitivity
    expected = 1 / (1 + math.exp(power)) if power < 700 else 0.0
    assert squash(raw, sensitivity) == pytest.approx(expected, abs=1e-12)


def test_the_total_weighs_caption_lyrics_and_facts(pt: TorchBackend) -> None:
    found = score(pt, TAKE, Run())
    assert found.fields.keys() == {"caption", "lyrics", "bpm", "keyscale", "language"}
    facts = [found.fields[name].score for name in ("bpm", "keyscale", "language")]
    assert found.parts["facts"] == pytest.approx(sum(facts) / 3)
    parts = found.parts
    expected = 0.5 * parts["caption"] + 0.3 * parts["lyrics"] + 0.2 * parts["facts"]
    assert found.total == pytest.approx(expected)
    assert 0 <= found.total <= 1
    assert found.requested["sensitivity"] == 0.5
    assert score(pt, TAKE, Run()) == found


def test_only_what_is_there_counts(pt: TorchBackend) -> None:
    found = score(pt, ScoreRequest(codes=(1,), facts=Facts(bpm=90)), Run())
    assert found.parts.keys() == {"facts"}
    assert found.total == found.fields["bpm"].score
    lyrics = score(pt, ScoreRequest(codes=(1,), lyrics="hello"), Run())
    assert lyrics.total == lyrics.fields["lyrics"].score
    with pytest.raises(InvalidRequest, match="caption must not be empty"):
        score(pt, ScoreRequest(codes=(1,)), Run())


def test_texts_are_scored_as_the_specification_writes_them(pt: TorchBackend) -> None:
    """Each against its own prompts, tokenised together with them."""
    vocabulary = pt.vocabulary
    head = (
        "<|im_start|>system\n# Instruction\nUnderstand the given musical conditions and describe the audio semantics "
        "accordingly:\n\n<|im_end|>\n<|im_start|>user\n"
    )
    heard = f"{head}<|audio_code_1|><|audio_code_2|><|audio_code_3|><|im_end|>\n<|im_start|>assistant\n"
    unheard = f"{head}NO USER INPUT<|im_end|>\n<|im_start|>assistant\n"

    def read(prompt: str, target: str) -> Reading:
        whole, start = vocabulary.encode(prompt + target), vocabulary.encode(prompt)
        return pt.read([(start, whole[len(start) :])], Run())[0]

    found = score(pt, TAKE, Run())
    key = recall(read(heard, "<think>\nkeyscale: C major\n</think>\n"))
    assert found.fields["keyscale"] == Part(raw=key, score=key)
    lyrics = "<think>\n</think>\n# Lyric\nhello world\n"
    raw = information(read(heard, lyrics), read(unheard, lyrics))
    assert found.fields["lyrics"].raw == pytest.approx(raw)
    caption = "<think>\ncaption: calm piano\n</think>\n"  # the model's caption, not the user's
    raw = information(read(heard, caption), read(unheard, caption))
    assert found.fields["caption"] == Part(raw=pytest.approx(raw), score=pytest.approx(squash(raw, 0.5)))


def test_sensitivity_changes_the_information_parts_only(pt: TorchBackend) -> None:
    sharp = score(pt, ScoreRequest(codes=(1, 2, 3), lyrics="hello world", facts=FACTS, sensitivity=0.01), Run())
    soft = score(pt, ScoreRequest(codes=(1, 2, 3), lyrics="hello world", facts=FACTS, sensitivity=1.0), Run())
    assert sharp.fields["bpm"] == soft.fields["bpm"]
    assert sharp.fields["lyrics"].raw == soft.fields["lyrics"].raw
    assert abs(sharp.fields["lyrics"].score - 0.5) > abs(soft.fields["lyrics"].score - 0.5)


@pytest.mark.parametrize("sensitivity", [0.0, 1.1, "high"])
def test_sensitivity_has_a_range(sensitivity: float) -> None:
    with pytest.raises(InvalidRequest, match="score_scale must be from"):
        ScoreRequest(codes=(1,), sensitivity=sensitivity)


def test_progress_is_reported(pt: TorchBackend) -> None:
    seen: list[Phase] = []
    score(pt, TAKE, Run(lambda phase, _done, _total: seen.append(phase)))
    assert seen == [Phase.READING] * 7  # five texts, two of them without the codes too
