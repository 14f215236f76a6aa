"""Captured cross-attention against the original's, and that looking leaves no trace."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
import torch
from torch import Tensor

from studio.engine.score.attention import CONFIG_KEY, STANDARD_HEADS, WIDE_HEADS, listening, select_heads
from studio.errors import CheckpointError

if TYPE_CHECKING:
    from diffusers import AceStepTransformer1DModel

    from tests.engine.score.conftest import Recording

ALL = slice(None)


def velocity(transformer: AceStepTransformer1DModel, inputs: dict[str, Tensor]) -> Tensor:
    with torch.inference_mode():
        (result,) = transformer(
            hidden_states=inputs["xt"],
            timestep=inputs["t"],
            timestep_r=inputs["t"],
            encoder_hidden_states=inputs["enc"],
            context_latents=inputs["context"],
            return_dict=False,
        )
    return result


def test_maps_equal_the_originals(recording: Recording) -> None:
    theirs = recording.outputs["dit_attn/attn"]  # [layers, B, heads, N, L]
    every = {layer: range(theirs.shape[2]) for layer in range(int(recording.outputs["dit_attn/n_layers"]))}
    with listening(recording.transformer, every, ALL) as listener:
        result = velocity(recording.transformer, recording.inputs)
    expected = torch.cat(list(theirs), dim=1).transpose(-1, -2)
    torch.testing.assert_close(listener.maps(), expected, atol=1e-5, rtol=0)
    torch.testing.assert_close(result, recording.outputs["dit_attn/v"], atol=2e-4, rtol=0)


def test_only_the_named_heads_and_rows_are_kept_in_order(recording: Recording) -> None:
    theirs = recording.outputs["dit_attn/attn"]
    with listening(recording.transformer, {1: (0,), 2: (1, 3)}, slice(2, 7)) as listener:
        velocity(recording.transformer, recording.inputs)
    expected = torch.stack([theirs[1, :, 0], theirs[2, :, 1], theirs[2, :, 3]], dim=1).transpose(-1, -2)[:, :, 2:7]
    torch.testing.assert_close(listener.maps(), expected, atol=1e-5, rtol=0)


def _inputs(frames: int = 12, dtype: torch.dtype = torch.float32) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(1)
    shapes = {"xt": (1, frames, 8), "context": (1, frames, 16), "enc": (1, 9, 32)}
    drawn = {name: torch.randn(shape, generator=generator).to(dtype) for name, shape in shapes.items()}
    return drawn | {"t": torch.tensor([0.5], dtype=dtype)}


def _hooks(transformer: AceStepTransformer1DModel) -> int:
    return sum(len(module._forward_pre_hooks) + len(module._forward_hooks) for module in transformer.modules())


def test_listening_changes_nothing_and_ends(tiny_transformer: Callable[..., AceStepTransformer1DModel]) -> None:
    transformer = tiny_transformer()
    before = velocity(transformer, _inputs())
    with listening(transformer, {0: (1,), 4: (0, 3)}, ALL) as listener:
        during = velocity(transformer, _inputs())
        heard = listener.maps()
        velocity(transformer, _inputs(frames=20))
    assert torch.equal(before, during)
    assert heard.shape == (1, 3, 9, 6)
    assert listener.maps().shape == (1, 3, 9, 10)  # of the last forward
    velocity(transformer, _inputs(frames=30))
    assert listener.maps().shape == (1, 3, 9, 10)
    assert _hooks(transformer) == 0


def test_a_failed_forward_leaves_no_hook(tiny_transformer: Callable[..., AceStepTransformer1DModel]) -> None:
    transformer = tiny_transformer()
    wrong = _inputs() | {"enc": torch.zeros(1, 9, 31)}
    with pytest.raises(RuntimeError), listening(transformer, {0: (1,)}, ALL):
        velocity(transformer, wrong)
    assert _hooks(transformer) == 0


def test_an_unknown_layer_leaves_no_hook(tiny_transformer: Callable[..., AceStepTransformer1DModel]) -> None:
    transformer = tiny_transformer()
    with pytest.raises(AttributeError), listening(transformer, {0: (1,), 9: (0,)}, ALL):
        pass
    assert _hooks(transformer) == 0


def test_half_precision_gives_shares_too(tiny_transformer: Callable[..., AceStepTransformer1DModel]) -> None:
    transformer = tiny_transformer().to(torch.bfloat16)
    with listening(transformer, {3: (2,)}, ALL) as listener:
        velocity(transformer, _inputs(dtype=torch.bfloat16))
    maps = listener.maps()
    assert maps.dtype is torch.float32
    assert torch.equal(maps, maps.bfloat16().float())
    torch.testing.assert_close(maps.sum(dim=2), torch.ones(1, 1, 6), atol=0.02, rtol=0)


@pytest.mark.parametrize(
    ("config", "layers", "heads", "expected"),
    [
        ({"hidden_size": 2048, "encoder_hidden_size": 2048}, 24, 16, STANDARD_HEADS),
        ({"hidden_size": 2048, "encoder_hidden_size": None}, 24, 16, STANDARD_HEADS),
        ({"hidden_size": 2560, "encoder_hidden_size": 2048}, 32, 32, WIDE_HEADS),
        ({"hidden_size": 2560, "encoder_hidden_size": 2048, CONFIG_KEY: None}, 32, 32, WIDE_HEADS),
        ({"hidden_size": 2560, "encoder_hidden_size": 2048, CONFIG_KEY: {"7": [1, 2]}}, 32, 32, {7: (1, 2)}),
    ],
)
def test_the_table_is_the_configs_or_the_familys(
    config: dict[str, object], layers: int, heads: int, expected: dict[int, tuple[int, ...]]
) -> None:
    selection = select_heads(config, layers, heads)
    assert selection.heads == expected
    assert selection.notes == ()


def test_heads_a_model_lacks_are_left_out_and_named() -> None:
    selection = select_heads({}, layers=5, heads=5)
    assert selection.heads == {4: (3,)}
    (note,) = selection.notes
    assert "2.6, 3.10, 3.11, 5.8, 5.9, 6.8" in note
    assert "5 layers of 5 heads" in note


def test_a_model_with_none_of_them_says_so() -> None:
    with pytest.raises(CheckpointError, match="2 layers of 2 heads have none"):
        select_heads({}, layers=2, heads=2)


@pytest.mark.parametrize("table", [[1, 2], {"one": [1]}, {"1": 2}, {"1": ["x"]}, {"1": [-1]}, "2:6", {"1": [0.5]}])
def test_a_damaged_table_is_refused(table: object) -> None:
    with pytest.raises(CheckpointError, match=CONFIG_KEY):
        select_heads({CONFIG_KEY: table}, layers=8, heads=8)
