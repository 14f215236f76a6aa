"""The training network is the stock model: what is learned with padding masked holds without padding."""

from __future__ import annotations

import torch

from mini.composer.tempo import BANK_FRAMES
from mini.network import WIDTH, Mini
from studio.engine.requests import MAX_DURATION


def test_without_padding_the_velocity_is_the_stock_forward() -> None:
    torch.manual_seed(0)
    model = Mini(300).eval()
    torch.nn.init.normal_(model.dit.proj_out_conv.weight, std=0.1)
    noisy, t = torch.randn(2, 200, 64), torch.tensor([0.3, 0.9])
    states, context = torch.randn(2, 20, WIDTH), model.context(torch.tensor([0, 0]), 200)
    with torch.no_grad():
        ours = model.velocity(noisy, t, states, torch.ones(2, 20), context)
        stock = model.dit(noisy, t, t, states, context).sample
    torch.testing.assert_close(ours, stock, atol=2e-5, rtol=1e-4)


def test_padding_changes_nothing() -> None:
    torch.manual_seed(0)
    model = Mini(300).eval()
    tokens, words = torch.randint(3, 300, (1, 20)), torch.randint(3, 300, (1, 12))
    full, full_mask = model.encode(tokens, torch.ones_like(tokens), words, torch.ones_like(words))
    pad = torch.zeros(1, 12, dtype=torch.long)
    padded, mask = model.encode(
        torch.cat([tokens, pad], 1),
        torch.cat([torch.ones_like(tokens), pad], 1),
        torch.cat([words, pad], 1),
        torch.cat([torch.ones_like(words), pad], 1),
    )
    assert int(mask.sum()) == int(full_mask.sum()) == 33
    torch.testing.assert_close(padded[:, :33], full, atol=2e-5, rtol=1e-4)


def test_the_clocks_last_as_long_as_the_longest_piece() -> None:
    assert MAX_DURATION * 25 == BANK_FRAMES
