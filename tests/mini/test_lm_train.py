"""Training the mini language model goes on from an exported one, with what it is told to learn from."""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from mini import data
from mini.codes import read_codec
from mini.lm import bank, muon, train

MINI = Path("data/models/acestep-5Hz-lm-mini")
BASE = Path("data/models/acestep-mini-base")


@pytest.mark.parametrize("halves", [False, True])
def test_muon_takes_the_steps_of_torchs_own(halves: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Up to what half precision costs torch's."""
    monkeypatch.setattr(muon, "HALVES", halves)
    torch.manual_seed(0)
    ours = [torch.nn.Parameter(torch.randn(shape)) for shape in ((12, 40), (40, 12), (16, 16))]
    theirs = [torch.nn.Parameter(one.detach().clone()) for one in ours]
    start = [one.detach().clone() for one in ours]
    mine = muon.Muon(ours, lr=0.02, weight_decay=0.02)
    stock = torch.optim.Muon(theirs, lr=0.02, weight_decay=0.02, adjust_lr_fn="match_rms_adamw")
    for _ in range(3):
        for one, other in zip(ours, theirs, strict=True):
            one.grad = torch.randn_like(one)
            other.grad = one.grad.clone()
        mine.step()
        stock.step()
    for one, other, before in zip(ours, theirs, start, strict=True):
        assert (one - other).norm() < 0.05 * (one - before).norm()


def test_a_matrix_without_a_gradient_stays() -> None:
    still = torch.nn.Parameter(torch.ones(3, 4))
    muon.Muon([still], lr=0.1, weight_decay=0.5).step()
    assert still.detach().equal(torch.ones(3, 4))


def test_kinds_have_shares() -> None:
    assert train._share("plan") == ("plan", train.SHARES["plan"])
    assert train._share("text plan=0.25") == ("text plan", 0.25)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("plans", "kind must be one of .*, got 'plans'"),
        ("plan=often", "share of plan must be above 0 and at most 1, got 'often'"),
        ("plan=0", "share of plan must be above 0 and at most 1, got '0'"),
        ("plan=nan", "share of plan must be above 0 and at most 1, got 'nan'"),
    ],
)
def test_a_wrong_kind_or_share_is_said(text: str, said: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match=said):
        train._share(text)


def test_an_earlier_model_brings_its_tokenizer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(train, "TOKENIZER", tmp_path / "lm_tokenizer")
    train._take_tokenizer(MINI)
    assert (tmp_path / "lm_tokenizer" / "tokenizer.json").read_bytes() == (MINI / "tokenizer.json").read_bytes()
    other = shutil.copytree(MINI, tmp_path / "other")
    (other / "tokenizer.json").write_text("{}")
    with pytest.raises(SystemExit, match=r"tokenizer\.json must be that of the work folder"):
        train._take_tokenizer(other)


def test_a_bank_is_made_with_the_tokenizer_of_a_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its held-out songs are the last ones, as many as asked for."""
    monkeypatch.setattr(data, "WORK", tmp_path)
    monkeypatch.setattr(bank, "BANK", tmp_path / "lm_bank.npz")
    codec = read_codec(BASE)
    latents = codec.mean.numpy() + codec.spread.numpy() * np.random.default_rng(0).normal(size=(3, 3, 50, 64))
    latents = latents.astype(np.float16)
    np.savez(tmp_path / "songs_000.npz", latents=latents, tracks=np.zeros(3, int))
    found = bank._encode(tmp_path / "songs_000.npz", 0, 0, BASE)
    assert found["codes"].shape == (3, 10)
    mixes = torch.from_numpy(latents[:, data.MIX])
    assert found["codes"].tolist() == codec.codes(codec.standardise(mixes)).tolist()
    facts = {"chunks": np.zeros((4096, 5, 64)), "mean": np.zeros(64), "spread": np.ones(64)}
    bank._write(found | facts | {"held_out": np.array(1)})
    assert bank.load_bank(tmp_path / "lm_bank.npz").held_out.tolist() == [False, False, True]
