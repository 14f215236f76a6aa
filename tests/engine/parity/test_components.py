"""The networks alone give what the original's gave."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from studio.engine.conditioning import Texts, encode_condition
from studio.engine.dit import Velocity
from studio.engine.samplers import Noise
from studio.engine.tasks import cover_hints, decode_codes
from tests.engine.parity.recordings import LARGEST_ERROR, Recording, error, recorded, whole_recordings

EVERY = pytest.mark.parametrize("recording", whole_recordings())


def texts_of(inputs: dict[str, Tensor], caption: str = "text") -> Texts:
    return Texts(
        caption=inputs[f"{caption}_hidden_states"],
        caption_mask=inputs[f"{caption}_attention_mask"],
        lyrics=inputs["lyric_hidden_states"],
        lyrics_mask=inputs["lyric_attention_mask"],
        notes=(),
    )


@EVERY
@pytest.mark.parametrize(("case", "suffix"), [("encoder", ""), ("encoder_3refs", "3")])
@torch.inference_mode()
def test_condition_encoder(recording: Recording, case: str, suffix: str) -> None:
    inputs, expected = recording.inputs, recorded(recording, f"{case}/hidden")
    states = encode_condition(
        recording.models.condition_encoder,
        texts_of(inputs),
        inputs[f"refer_packed{suffix}"],
        inputs[f"refer_order{suffix}"],
    )
    assert error(states, expected) <= LARGEST_ERROR


@EVERY
@pytest.mark.parametrize(("case", "frames"), [("dit_odd", 19), ("dit_even", 18)])
@torch.inference_mode()
def test_velocity(recording: Recording, case: str, frames: int) -> None:
    """Our way through the DiT's modules and the stock forward both give the recorded velocity."""
    inputs, dit = recording.inputs, recording.models.transformer
    expected = recorded(recording, f"{case}/v")
    latents, context, times = inputs["xt"][:, :frames], inputs["context"][:, :frames], inputs["t"]
    ours = [
        Velocity(dit, inputs["enc"][row : row + 1], context[row : row + 1])(latents[row : row + 1], float(time))[0]
        for row, time in enumerate(times)
    ]
    (stock,) = dit(latents, times, times, inputs["enc"], context, return_dict=False)
    assert error(torch.cat(ours), expected) <= LARGEST_ERROR
    assert error(stock, expected) <= LARGEST_ERROR


@EVERY
@torch.inference_mode()
def test_a_second_time_has_its_own_embedding(recording: Recording) -> None:
    """Sampling never asks for r other than t; the weights that read it are mapped all the same."""
    inputs, times = recording.inputs, recording.inputs["t"]
    expected = recorded(recording, "dit_r_half/v")
    (stock,) = recording.models.transformer(
        inputs["xt"], times, times / 2, inputs["enc"], inputs["context"], return_dict=False
    )
    assert error(stock, expected) <= LARGEST_ERROR


@EVERY
@torch.inference_mode()
def test_long_sequence(recording: Recording) -> None:
    """1500 frames: the sliding window runs in blocks."""
    inputs, expected = recording.inputs, recorded(recording, "long/fp32")
    velocity = Velocity(recording.models.transformer, inputs["enc"][:1], inputs["long_context"])
    prompted, _ = velocity(inputs["long_xt"], float(inputs["t"][0]))
    assert error(prompted, expected) <= LARGEST_ERROR


@EVERY
@torch.inference_mode()
def test_codes(recording: Recording) -> None:
    models, inputs = recording.models, recording.inputs
    expected = [recorded(recording, f"tokenize/{name}") for name in ("indices", "quantized", "hints")]
    quantized, indices = models.audio_tokenizer.tokenize(inputs["src_latents"], recording.silence)
    assert torch.equal(indices.int(), expected[0])
    assert error(quantized, expected[1]) <= LARGEST_ERROR
    frames = inputs["src_latents"].shape[1]
    hints = cover_hints(
        models.audio_tokenizer, models.audio_token_detokenizer, inputs["src_latents"], recording.silence
    )
    assert error(hints, expected[2][:, :frames]) <= LARGEST_ERROR


@EVERY
@torch.inference_mode()
def test_hints_of_given_codes(recording: Recording) -> None:
    models, expected = recording.models, recorded(recording, "codes/hints")
    codes = recording.inputs["codes"].squeeze(-1)
    assert error(decode_codes(models.audio_tokenizer, models.audio_token_detokenizer, codes), expected) <= LARGEST_ERROR


@EVERY
def test_noise_is_the_originals(recording: Recording) -> None:
    expected = recorded(recording, "noise/per_item")
    noise = Noise((11, 12), expected.shape[1], expected.shape[2], torch.device("cpu"), torch.float32).draw()
    assert torch.equal(noise, expected)
