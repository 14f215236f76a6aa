"""The exported language model computes what the trained one does."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from mini.lm.network import HEAD, Listener, look_back, widened
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
