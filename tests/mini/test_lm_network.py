"""The exported language model computes what the trained one does."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from mini.composer import draw_song
from mini.lm.network import (
    HEAD,
    HIT_CODES,
    LONGEST_ECHO,
    WIDTH,
    Listener,
    begin,
    echoes,
    look_back,
    part_again,
    read_narrow,
    widened,
)
from mini.lm.sequences import Heard
from studio.engine.lm.vocabulary import Vocabulary, load_vocabulary

MINI = Path("data/models/acestep-5Hz-lm-mini")


@pytest.fixture(scope="module")
def vocabulary() -> Vocabulary:
    if not (MINI / "tokenizer.json").is_file():
        pytest.skip("the mini language model is not bundled yet")
    return load_vocabulary(MINI)


def test_wider_heads_change_nothing(vocabulary: Vocabulary) -> None:
    torch.manual_seed(0)
    model = Listener(vocabulary).eval()
    look_back(model, (0.03, 0.1))
    ids = torch.randint(0, vocabulary.size, (2, 40))
    wide = widened(model.lm, vocabulary).eval()
    assert wide.config.head_dim == 2 * HEAD
    with torch.no_grad():
        trained, exported = model.lm(ids).logits, wide(ids).logits
    torch.testing.assert_close(exported, trained, atol=2e-3, rtol=1e-3)


def test_heads_of_the_first_layer_begin_by_looking_back(vocabulary: Vocabulary) -> None:
    """Changing one token changes what comes a lag later more than what comes at a place no head looks from."""
    torch.manual_seed(0)
    model = Listener(vocabulary).eval()
    look_back(model, (0.03, 0.1))
    ids = torch.randint(0, vocabulary.size, (1, 60))
    other = ids.clone()
    other[0, 20] = (ids[0, 20] + 77) % vocabulary.size
    places = torch.arange(60)[None]
    with torch.no_grad():
        change = (model.states(ids, places)[1][1] - model.states(other, places)[1][1]).square().sum(-1)[0]
    assert min(change[20 + lag] for lag in (1, 4, 7)) > 3 * change[20 + 25]


def test_an_exported_model_is_read_back(vocabulary: Vocabulary, tmp_path: Path) -> None:
    torch.manual_seed(0)
    model, again = Listener(vocabulary).eval(), Listener(vocabulary).eval()
    widened(model.lm, vocabulary).save_pretrained(tmp_path)
    read_narrow(again, tmp_path)
    ids = torch.randint(0, vocabulary.size, (1, 30))
    with torch.no_grad():
        torch.testing.assert_close(again.lm(ids).logits, model.lm(ids).logits, atol=1e-5, rtol=1e-4)


def test_a_code_is_its_hits_and_its_notes(vocabulary: Vocabulary) -> None:
    """The sums used in training are what the exported embeddings hold."""
    torch.manual_seed(0)
    model = Listener(vocabulary).eval()
    chunks = np.random.default_rng(0).normal(size=(vocabulary.codes, 5, 64)).astype(np.float32)
    begin(model, chunks, 0.4)
    model.hit_rows.data[3] += 1.0
    table = model.table().detach().clone()
    before = table[model.codes].view(-1, HIT_CODES, table.shape[1])
    assert (before[:, 3].mean() - before[:, 4].mean()).item() == pytest.approx(1.0, abs=0.1)
    ids, places = torch.randint(0, vocabulary.size, (1, 30)), torch.arange(30)[None]
    with torch.no_grad():
        trained = model.states(ids, places)[0]
        folded = model.fold().model(ids).last_hidden_state
    torch.testing.assert_close(folded, trained, atol=1e-4, rtol=1e-3)


def test_codes_of_an_exported_model_are_parted_without_changing_them(vocabulary: Vocabulary) -> None:
    torch.manual_seed(0)
    model = Listener(vocabulary).eval()
    before = model.table().detach().clone()
    part_again(model)
    torch.testing.assert_close(model.table(), before, atol=1e-6, rtol=1e-5)
    assert model.hit_rows.abs().max() > 0 and model.note_rows.abs().max() > 0


def test_the_contrast_is_lower_where_the_right_caption_makes_the_codes_likelier(vocabulary: Vocabulary) -> None:
    model = Listener(vocabulary).eval()
    count, first = 20, 4
    ids = torch.full((2, first + count), vocabulary.first_code + 5)
    heard = [Heard(first=first, count=count, song=draw_song(0), start=0.0, told=True)] * 2
    states = torch.zeros(2, first + count, WIDTH)
    towards = model.table()[vocabulary.first_code + 5].detach()
    with torch.no_grad():
        even = model.contrast_loss(states, ids, heard)
        states[0] = towards
        told = model.contrast_loss(states, ids, heard)
        swapped = model.contrast_loss(states.flip(0), ids, heard)
    assert even.item() == pytest.approx(np.log(2), abs=1e-4)
    assert told < even < swapped


def test_echoes_are_strong_at_the_period_of_the_hits() -> None:
    chunks = np.zeros((2, 5, 64), np.float32)
    chunks[1, 2, 48:] = 3.0  # a hit in the middle of a code
    codes = np.array([[0, 0, 1] * 20])
    mean = echoes(chunks, codes).mean((0, 1))
    for part in mean.split(LONGEST_ECHO):
        assert part[14] > 3 * part[[9, 11, 19]].abs().max()  # every 15 frames
