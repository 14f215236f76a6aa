"""Trains the mini 5 Hz language model on a CPU; it saves every two minutes and resumes where it stopped.

One stage. A step is a few thousand tokens of one kind of example: codes to describe, songs to plan, wishes, texts to
format. The model that is kept is a running average of the trained one.
"""

from __future__ import annotations

import argparse
import copy
import shutil
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from mini import data
from mini.composer import draw_song
from mini.lm.bank import load_bank
from mini.lm.muon import HALVES, Muon
from mini.lm.network import Listener, begin, begin_numbers, look_back, part_again, read_narrow, speak_up
from mini.lm.sequences import (
    Clip,
    Text,
    contrast_texts,
    copy_text,
    create_text,
    forgotten_text,
    format_text,
    plan_text,
    understand_text,
)
from mini.lm.vocabulary import make_vocabulary

STATE = data.WORK / "lm_train.pt"
TOKENIZER = data.WORK / "lm_tokenizer"
TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json")
RATE, REST_RATE, EMBEDDING_RATE = 2.5e-3, 1.5e-3, 6e-3
STATE_SIZES = (0.031, 0.12)  # of the states before the first two layers when training begins
SHORTEST = 50  # codes of a clip
ASKED = {
    "place": 0.2,
    "pooled": 0.5,
    "tempo": 0.3,
    "key": 0.3,
    "metre": 0.1,
    "band": 1.0,
    "looks": 0.7,
    "drums": 2.5,
}  # weights of what the states are asked
SHARES = {  # of the steps
    "understand": 0.22,
    "plan": 0.4,
    "contrast": 0.2,
    "forgotten": 0.03,
    "text plan": 0.15,
    "copy": 0.14,
    "create": 0.03,
    "format": 0.03,
}
MISHEARD = 0.5  # share of the plans' texts in which some codes before are another song's, as one's own mistakes are
MISHEARD_CODES = 0.5  # of their codes at most
EASED = 150  # steps until what the states are asked counts in full, for heads that begin anew in an earlier model
CODE_SIZE = 0.38  # length of a code's embedding when training begins


class Trainer:
    """Model, optimisers and source of chance; everything a resumed run needs."""

    def __init__(
        self,
        tokens: int,
        earlier: Path | None = None,
        shares: Mapping[str, float] = SHARES,
        *,
        gentle: float = 1.0,
        same_codes: bool = False,
    ) -> None:
        self.tokens, self.shares, self.gentle, self.earlier = tokens, shares, gentle, earlier
        if earlier:
            _take_tokenizer(earlier)
        self.vocabulary = make_vocabulary(TOKENIZER)
        self.bank = load_bank()
        self.rows = np.flatnonzero(~self.bank.held_out)
        torch.manual_seed(0)
        self.model = Listener(self.vocabulary)
        if earlier:  # an exported model knows its words; codes may mean something else by now
            read_narrow(self.model, earlier)
            size = float(self.model.table()[self.model.codes].norm(dim=1).mean())
        else:
            size = CODE_SIZE
            begin_numbers(self.model, self.vocabulary)
            look_back(self.model, STATE_SIZES)
        if earlier and same_codes:
            part_again(self.model)
        else:
            begin(self.model, self.bank.chunks, size)
        if not earlier:
            speak_up(self.model)
        self.average = copy.deepcopy(self.model).requires_grad_(False)
        matrices = [part for part in self.model.lm.model.layers.parameters() if part.ndim == 2]
        tables = [self.model.lm.get_input_embeddings().weight, self.model.hit_rows, self.model.note_rows]
        chosen = set(map(id, [*matrices, *tables]))
        rest = [part for part in self.model.parameters() if id(part) not in chosen]
        self.optimizers: list[torch.optim.Optimizer] = [
            Muon(matrices, lr=RATE, weight_decay=0.02),
            torch.optim.AdamW(rest, lr=REST_RATE, betas=(0.9, 0.98), weight_decay=0.0),
            torch.optim.AdamW(tables, lr=EMBEDDING_RATE, betas=(0.9, 0.98), weight_decay=0.0),
        ]
        self.rng = np.random.default_rng(0)
        self.step, self.seconds, self.seen = 0, 0.0, 0

    def save(self) -> None:
        """Write everything to disk, whole or not at all."""
        content = {
            "model": self.model.state_dict(),
            "average": self.average.state_dict(),
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
            "rng": self.rng.bit_generator.state,
            "step": self.step,
            "seconds": self.seconds,
            "seen": self.seen,
        }
        temporary = STATE.with_suffix(".tmp")
        torch.save(content, temporary)
        temporary.rename(STATE)

    def resume(self) -> None:
        """Continue from the last save, if there is one."""
        if not STATE.exists():
            return
        content = torch.load(STATE, map_location="cpu", weights_only=False)
        self.model.load_state_dict(content["model"])
        self.average.load_state_dict(content["average"])
        for optimizer, state in zip(self.optimizers, content["optimizers"], strict=True):
            optimizer.load_state_dict(state)
        self.rng.bit_generator.state = content["rng"]
        self.step, self.seconds, self.seen = content["step"], content["seconds"], content["seen"]
        print(f"resumed at step {self.step}", flush=True)

    def run(self, steps: int, settle: int, save_every: float = 120.0) -> None:
        """Train until `steps`; over the last `settle` of them the rates fall to nothing."""
        batches, figures, last = self._batches(), defaultdict[str, list[float]](list), time.time()
        while self.step < steps:
            warm, left = min(1.0, (self.step + 1) / 50), min(1.0, (steps - self.step) / max(1, settle))
            for optimizer, rate in zip(self.optimizers, (RATE, REST_RATE, EMBEDDING_RATE), strict=True):
                optimizer.param_groups[0]["lr"] = self.gentle * rate * warm * (0.02 + 0.98 * left)
            for name, value in self._train_step(next(batches)).items():
                figures[name].append(value)
            self.step += 1
            if time.time() - last > save_every or self.step == steps:
                self.seconds += time.time() - last
                shown = " ".join(f"{name} {np.mean(values):.3f}" for name, values in sorted(figures.items()))
                print(f"step {self.step} {self.seconds:.0f}s {self.seen} tokens: {shown}", flush=True)
                figures.clear()
                self.save()
                last = time.time()

    def _train_step(self, batch: list[tuple[str, Text]]) -> dict[str, float]:
        kind, texts = batch[0][0], [text for _, text in batch]
        ids, positions, weights = (part.contiguous() for part in _padded(texts, self.vocabulary.special.pad))
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=HALVES):
            last, layers = self.model.states(self._misheard(ids, texts) if kind == "plan" else ids, positions)
            total, weight = self.model.text_loss(last, ids, weights)
            heard = [text.heard for text in texts]
            pairs = kind == "contrast"  # of a wrong caption's text nothing else is learned
            asked = self.model.hearing_loss(
                layers, [None if pairs and row % 2 else one for row, one in enumerate(heard)]
            )
            looks = self.model.copy_loss([text.copied for text in texts])
        if looks is not None:
            asked["looks"] = looks
        if pairs:
            asked["drums"] = self.model.contrast_loss(last, ids, heard)
        loss, eased = total / weight, min(1.0, (self.step + 1) / EASED) if self.earlier else 1.0
        for name, value in asked.items():
            loss = loss + (1.0 if name in ("looks", "drums") else eased) * ASKED[name] * value
        for optimizer in self.optimizers:
            optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        for optimizer in self.optimizers:
            optimizer.step()
        self._follow()
        self.seen += sum(len(text.ids) for text in texts)
        return {
            kind: float((total / weight).detach()),
            **{name: float(value.detach()) for name, value in asked.items()},
        }

    def _misheard(self, ids: Tensor, texts: list[Text]) -> Tensor:
        """What the model reads: in some plans other songs' codes among the song's own, so that the caption counts."""
        read = ids.clone()
        for row, text in enumerate(texts):
            if text.heard is not None and self.rng.random() < MISHEARD:
                there = text.heard.first + np.flatnonzero(
                    self.rng.random(text.heard.count) < self.rng.uniform(0, MISHEARD_CODES)
                )
                other = self.bank.codes[self.rng.choice(self.rows)]
                drawn = self.rng.choice(other[other >= 0], len(there))
                read[row, there] = torch.from_numpy(drawn.astype(np.int64) + self.vocabulary.first_code)
        return read

    @torch.no_grad()
    def _follow(self) -> None:
        rate = max(0.01, 1 / (self.step + 2))
        for kept, new in zip(self.average.parameters(), self.model.parameters(), strict=True):
            kept.lerp_(new, rate)

    def _batches(self) -> Iterator[list[tuple[str, Text]]]:
        """Batches of one kind each, texts of similar length together; kinds take turns by their shares."""
        kinds, shares = list(self.shares), np.array(list(self.shares.values()))
        waiting: dict[str, list[list[tuple[str, Text]]]] = {kind: [] for kind in kinds}
        while True:
            kind = kinds[int(self.rng.choice(len(kinds), p=shares / shares.sum()))]
            if not waiting[kind] and kind == "contrast":
                waiting[kind] = [self._pairs() for _ in range(8)]
            if not waiting[kind]:
                texts = sorted((self._draw(kind) for _ in range(48)), key=lambda text: len(text.ids))
                cut = list(_cut([(kind, text) for text in texts], self.tokens))
                waiting[kind] = [cut[index] for index in self.rng.permutation(len(cut))]
            yield waiting[kind].pop()

    def _pairs(self) -> list[tuple[str, Text]]:
        """Texts of songs with their own caption and with one that is wrong about the drums, in turn."""
        pairs, length = list[tuple[str, Text]](), 0
        while True:
            two = contrast_texts(self.vocabulary, self._clip(), self.rng)
            two[1].weights, two[1].copied = [0.0] * len(two[1].ids), []
            length = max(length, *(len(text.ids) for text in two))
            if pairs and (len(pairs) + 2) * length > self.tokens:
                return pairs
            pairs += [("contrast", text) for text in two]

    def _draw(self, kind: str) -> Text:
        if kind in ("understand", "plan", "forgotten"):
            clip = self._clip()
            if kind == "plan":
                return plan_text(self.vocabulary, clip.song, self.rng, clip)
            make = understand_text if kind == "understand" else forgotten_text
            return make(self.vocabulary, clip, self.rng)
        song = draw_song(int(self.rng.integers(1_000_000, 9_000_000)))
        make_text = {"text plan": plan_text, "create": create_text, "format": format_text, "copy": copy_text}[kind]
        return make_text(self.vocabulary, song, self.rng)

    def _clip(self) -> Clip:
        """Codes from anywhere in a song; half the time from its beginning, where a plan begins too."""
        row = int(self.rng.choice(self.rows))
        codes = self.bank.codes[row]
        codes = codes[codes >= 0]
        count = int(self.rng.integers(SHORTEST, len(codes) + 1))
        first = int(self.rng.integers(0, len(codes) - count + 1)) if self.rng.random() < 0.5 else 0
        start = self.bank.start(row) + first / 5
        return Clip(self.bank.song(row), tuple(codes[first : first + count].tolist()), start)


def _cut(texts: list[tuple[str, Text]], tokens: int) -> Iterator[list[tuple[str, Text]]]:
    """Cut a sorted list into batches of about `tokens` with their padding."""
    batch: list[tuple[str, Text]] = []
    for item in texts:
        if batch and (len(batch) + 1) * len(item[1].ids) > tokens:
            yield batch
            batch = []
        batch.append(item)
    yield batch


def _padded(texts: list[Text], pad: int) -> tuple[Tensor, Tensor, Tensor]:
    """Ids, positions and weights `[B, T]`."""
    shape = (len(texts), max(len(text.ids) for text in texts))
    ids, positions = torch.full(shape, pad), torch.zeros(shape, dtype=torch.long)
    weights = torch.zeros(shape)
    for row, text in enumerate(texts):
        length = len(text.ids)
        ids[row, :length] = torch.tensor(text.ids)
        positions[row, :length] = torch.from_numpy(text.positions)
        weights[row, :length] = torch.tensor(text.weights)
    return ids, positions, weights


def _take_tokenizer(earlier: Path) -> None:
    """Go on with the earlier model's tokenizer: its embeddings mean nothing with another."""
    for name in TOKENIZER_FILES:
        theirs, ours = earlier / name, TOKENIZER / name
        if not ours.exists():
            TOKENIZER.mkdir(parents=True, exist_ok=True)
            shutil.copy(theirs, ours)
        elif ours.read_bytes() != theirs.read_bytes():
            raise SystemExit(f"--earlier {earlier}: {name} must be that of the work folder, {ours} differs")


def _share(text: str) -> tuple[str, float]:
    """A kind of example and its share of the steps, out of `kind` or `kind=share`."""
    kind, _, share = text.partition("=")
    if kind not in SHARES:
        raise argparse.ArgumentTypeError(f"kind must be one of {', '.join(SHARES)}, got {kind!r}")
    try:
        part = float(share) if share else SHARES[kind]
    except ValueError:
        part = -1.0
    if not 0 < part <= 1:
        raise argparse.ArgumentTypeError(f"share of {kind} must be above 0 and at most 1, got {share!r}")
    return kind, part


def main() -> None:
    """Train until a step."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=20_000)
    parser.add_argument("--settle", type=int, default=400, help="last steps, over which the rates fall")
    parser.add_argument("--tokens", type=int, default=2400, help="of one step, with padding")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--earlier", type=Path, help="folder of an exported model to begin with instead of chance")
    parser.add_argument(
        "--same-codes", action="store_true", help="codes still mean what they meant to the earlier model"
    )
    parser.add_argument(
        "--gentle", type=float, default=1.0, help="factor on all rates, for weights that are good already"
    )
    parser.add_argument(
        "--kinds",
        nargs="+",
        type=_share,
        default=list(SHARES.items()),
        metavar="KIND[=SHARE]",
        help=f"examples to learn from, and their share of the steps if another: {', '.join(SHARES)}",
    )
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.set_flush_denormal(True)  # sharp attention makes many tiny numbers, and those are slow on a CPU
    shares = dict(options.kinds)
    trainer = Trainer(options.tokens, options.earlier, shares, gentle=options.gentle, same_codes=options.same_codes)
    trainer.resume()
    trainer.run(options.steps, options.settle)


if __name__ == "__main__":
    main()
