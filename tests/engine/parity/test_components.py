"""The networks alone give what the original's gave."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from studio.engine.conditioning import Texts, encode_condition
from studio.engine.dit import Velocity
from studio.engine.samplers import Noise
from studio.engine.tasks import cover_hints, decode_codes
from tests.engine.parity.recordings import LARGEST_ERROR, Recording, error, whole_recordings

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
    inputs = recording.inputs
    states = encode_condition(
        recording.models.condition_encoder,
        texts_of(inputs),
        inputs[f"refer_packed{suffix}"],
        inputs[f"refer_order{suffix}"],
    )
    assert error(states, recording.outputs[f"{case}/hidden"]) <= LARGEST_ERROR


@EVERY
@pytest.mark.parametrize(("case", "frames"), [("dit_odd", 19), ("dit_even", 18)])
@torch.inference_mode()
def test_velocity(recording: Recording, case: str, frames: int) -> None:
    """Our way through the DiT's modules and the stock forward both give the recorded velocity."""
    inputs, dit = recording.inputs, recording.models.transformer
    latents, context, times = inputs["xt"][:, :frames], inputs["context"][:, :frames], inputs["t"]
    ours = [
        Velocity(dit, inputs["enc"][row : row + 1], context[row : row + 1])(latents[row : row + 1], float(time))[0]
        for row, time in enumerate(times)
    ]
    (stock,) = dit(latents, times, times, inputs["enc"], context, return_dict=False)
    recorded = recording.outputs[f"{case}/v"]
    assert error(torch.cat(ours), recorded) <= LARGEST_ERROR
    assert error(stock, recorded) <= LARGEST_ERROR


@EVERY
@torch.inference_mode()
def test_long_sequence(recording: Recording) -> None:
    """1500 frames: the sliding window runs in blocks."""
    inputs = recording.inputs
    velocity = Velocity(recording.models.transformer, inputs["enc"][:1], inputs["long_context"])
    prompted, _ = velocity(inputs["long_xt"], float(inputs["t"][0]))
    assert error(prompted, recording.outputs["long/fp32"]) <= LARGEST_ERROR


@EVERY
@torch.inference_mode()
def test_codes(recording: Recording) -> None:
    models, inputs, outputs = recording.models, recording.inputs, recording.outputs
    quantized, indices = models.audio_tokenizer.tokenize(inputs["src_latents"], recording.silence)
    assert torch.equal(indices.int(), outputs["tokenize/indices"])
    assert error(quantized, outputs["tokenize/quantized"]) <= LARGEST_ERROR
    frames = inputs["src_latents"].shape[1]
    hints = cover_hints(
        models.audio_tokenizer, models.audio_token_detokenizer, inputs["src_latents"], recording.silence
    )
    assert error(hints, outputs["tokenize/hints"][:, :frames]) <= LARGEST_ERROR
    decoded = decode_codes(models.audio_tokenizer, models.audio_token_detokenizer, inputs["codes"].squeeze(-1))
    assert error(decoded, outputs["codes/hints"]) <= LARGEST_ERROR


@EVERY
def test_noise_is_the_originals(recording: Recording) -> None:
    recorded = recording.outputs["noise/per_item"]
    noise = Noise((11, 12), recorded.shape[1], recorded.shape[2], torch.device("cpu"), torch.float32).draw()
    assert torch.equal(noise, recorded)
