"""Times and scores of whole takes: of a tiny random model and of the bundled one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
import torch

from studio.engine.engine import Engine
from studio.engine.requests import TextToMusic
from studio.engine.score.lrc import LyricLine, cues, read_lrc, read_vtt, write_vtt
from studio.engine.score.lyrics import FinishedTake, align_lyrics, lyric_scores
from studio.engine.score.tokens import LyricTokens, lyric_tokens
from studio.errors import CheckpointError, InvalidRequest
from tests.engine.score.conftest import ROOT

if TYPE_CHECKING:
    from diffusers import AceStepTransformer1DModel
    from transformers import PreTrainedTokenizerFast

LYRICS = "[verse]\nwalking home\nunder the rain\n\n[chorus]\nsing 你好\n"
LINES = ["[verse]", "walking home", "under the rain", "[chorus]", "sing 你好"]


def tiny_take(lyrics: LyricTokens, dtype: torch.dtype = torch.float32) -> FinishedTake:
    generator = torch.Generator().manual_seed(3)

    def draw(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=generator)

    return FinishedTake(
        latents=draw(151, 8),
        states=draw(1, lyrics.rows.stop + 4, 32).to(dtype),
        context=draw(1, 151, 16).to(dtype),
        lyrics=lyrics,
        seconds=6.0,
        steps=8,
    )


def check_in_order(lines: tuple[LyricLine, ...], seconds: float) -> None:
    assert [line.text for line in lines] == LINES
    assert all(before.end is not None and before.end <= after.start for before, after in pairwise(lines))
    assert lines[0].start == 0
    assert lines[-1].end is not None
    assert lines[-1].end <= seconds


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_take_gets_lines_tokens_and_a_score(
    tiny_transformer: Callable[..., AceStepTransformer1DModel],
    byte_tokenizer: PreTrainedTokenizerFast,
    dtype: torch.dtype,
) -> None:
    transformer = tiny_transformer().to(dtype)
    take = tiny_take(lyric_tokens(byte_tokenizer, LYRICS, "en"), dtype)
    alignment = align_lyrics(transformer, byte_tokenizer, take)
    check_in_order(alignment.lines, take.seconds)
    assert "".join(token.text for token in alignment.tokens) == LYRICS
    assert alignment.tokens[-1].end == pytest.approx(6.0 * 75 / 76)  # 76 tokens of 80 ms, the last begins at 75
    assert alignment.heard
    assert 0 < alignment.score < 1
    assert alignment.lrc.splitlines()[0] == "[00:00.00][verse]"
    assert any("2.6" in note for note in alignment.notes)


def test_the_model_hears_noise_and_the_lightly_noised_take(
    tiny_transformer: Callable[..., AceStepTransformer1DModel], byte_tokenizer: PreTrainedTokenizerFast
) -> None:
    transformer, fed = tiny_transformer(), dict[str, torch.Tensor]()
    transformer.register_forward_pre_hook(lambda _module, _args, inputs: fed.update(inputs), with_kwargs=True)
    take = tiny_take(lyric_tokens(byte_tokenizer, LYRICS, "en"))
    lyric_scores(transformer, byte_tokenizer, take)
    noise = torch.randn(1, 151, 8, generator=torch.Generator().manual_seed(42))[0]
    torch.testing.assert_close(fed["hidden_states"], torch.stack([noise, noise / 8 + take.latents * 7 / 8]))
    assert fed["timestep"].tolist() == fed["timestep_r"].tolist() == [1.0, 0.125]
    assert torch.equal(fed["encoder_hidden_states"][1:], take.states)
    assert torch.equal(fed["context_latents"][1:], take.context)


def test_lyrics_nothing_points_to_are_spread_evenly_and_said(
    tiny_transformer: Callable[..., AceStepTransformer1DModel], byte_tokenizer: PreTrainedTokenizerFast
) -> None:
    transformer = tiny_transformer()
    for layer in transformer.layers:
        layer.cross_attn.norm_q.weight.zero_()  # every row is looked at equally
    take = tiny_take(lyric_tokens(byte_tokenizer, "aa\nbb\ncc\n", "en"))
    alignment = align_lyrics(transformer, byte_tokenizer, take)
    assert [line.start for line in alignment.lines] == pytest.approx([0, 2, 4], abs=0.1)
    assert not alignment.heard
    assert "spread evenly" in alignment.notes[-1]
    assert alignment.score == 0


def test_times_come_from_the_heads_the_config_names(
    tiny_transformer: Callable[..., AceStepTransformer1DModel], byte_tokenizer: PreTrainedTokenizerFast
) -> None:
    take = tiny_take(lyric_tokens(byte_tokenizer, LYRICS, "en"))
    transformer = tiny_transformer()
    usual = align_lyrics(transformer, byte_tokenizer, take)
    transformer.register_to_config(lyric_alignment_layers_config={"0": [0, 1], "1": [2]})
    named = align_lyrics(transformer, byte_tokenizer, take)
    assert named.notes == ()
    assert named.tokens != usual.tokens


def test_the_same_take_gives_the_same_times_whatever_was_drawn_before(
    tiny_transformer: Callable[..., AceStepTransformer1DModel], byte_tokenizer: PreTrainedTokenizerFast
) -> None:
    take = tiny_take(lyric_tokens(byte_tokenizer, LYRICS, "en"))
    transformer = tiny_transformer()
    first = align_lyrics(transformer, byte_tokenizer, take)
    torch.manual_seed(99)
    state = torch.get_rng_state()
    assert align_lyrics(transformer, byte_tokenizer, take) == first
    assert torch.equal(torch.get_rng_state(), state)


def test_scores_of_noise_and_take(
    tiny_transformer: Callable[..., AceStepTransformer1DModel], byte_tokenizer: PreTrainedTokenizerFast
) -> None:
    take = tiny_take(lyric_tokens(byte_tokenizer, LYRICS, "en"))
    transformer = tiny_transformer()
    scores = lyric_scores(transformer, byte_tokenizer, take)
    alone = align_lyrics(transformer, byte_tokenizer, take).quality
    assert scores.take.confidence == pytest.approx(alone.confidence, abs=1e-4)
    assert scores.take.score == pytest.approx(alone.score, abs=2e-4)
    assert scores.noise != scores.take
    other = replace(take, latents=take.latents.flip(0))
    assert lyric_scores(transformer, byte_tokenizer, other).noise == scores.noise


def test_a_model_without_the_heads_is_refused(
    tiny_transformer: Callable[..., AceStepTransformer1DModel], byte_tokenizer: PreTrainedTokenizerFast
) -> None:
    take = tiny_take(lyric_tokens(byte_tokenizer, LYRICS, "en"))
    with pytest.raises(CheckpointError, match="can't time lyrics"):
        align_lyrics(tiny_transformer(num_hidden_layers=2), byte_tokenizer, take)


def test_what_cant_be_listened_to_is_refused(byte_tokenizer: PreTrainedTokenizerFast) -> None:
    with pytest.raises(InvalidRequest, match="lyrics must not be empty"):
        tiny_take(lyric_tokens(byte_tokenizer, "", "en"))
    take = tiny_take(lyric_tokens(byte_tokenizer, LYRICS, "en"))
    for change in ({"steps": 0}, {"seconds": 0.0}, {"states": take.states[:, :5]}):
        with pytest.raises(InvalidRequest):
            replace(take, **change)


@pytest.mark.slow
def test_the_bundled_model_end_to_end() -> None:
    engine = Engine.load(ROOT / "data" / "models" / "acestep-mini-turbo", device="cpu")
    request = TextToMusic(caption="calm folk", lyrics=LYRICS, vocal_language="en", seeds=(5,), duration=10.0)
    take = engine.generate(request)[0]
    alignment = engine.time_lyrics(take)
    check_in_order(alignment.lines, 10.0)
    assert len({line.start for line in alignment.lines}) == len(LINES)
    assert "2.6" in alignment.notes[0]
    read = read_lrc(alignment.lrc)
    assert [line.text for line in read] == LINES
    assert [line.start for line in read] == pytest.approx([line.start for line in alignment.lines], abs=0.0051)
    subtitles = cues(read, total=10.0)
    assert read_vtt(write_vtt(subtitles)) == subtitles
    assert subtitles[-1].end == 10.0
    scores = engine.score_lyrics(take)
    assert scores.take.score == pytest.approx(alignment.score, abs=2e-3)
