"""Ours against a straightforward training loop on the same modules: updates a second and peak memory.

    python -m bench.train [--sizes mini layer] [--repeats 3] [--threads 1] [--quick]

Both train a LoRA of rank 64 on the same songs of mixed lengths with AdamW, in processes of their own, in turn; only the
updates of an epoch are counted, not attaching the adapter and not saving. The straightforward loop is what the
original's does: random order, every batch padded to its longest song, the padding in the loss. "ours, less memory" is
ours with gradient checkpointing. "layer" is one layer of the published 2B size.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import count
from pathlib import Path

import torch
from torch import Tensor

from bench.sides import Side, Tally, take_turns
from studio.engine.lora.config import TrainSettings

MINI = {
    "hidden_size": 160, "intermediate_size": 448, "num_attention_heads": 5, "num_key_value_heads": 5, "head_dim": 32,
    "num_hidden_layers": 5, "sliding_window": 64,
}  # fmt: skip
LAYER = {
    "hidden_size": 2048, "intermediate_size": 6144, "num_attention_heads": 16, "num_key_value_heads": 8,
    "head_dim": 128, "num_hidden_layers": 1, "sliding_window": 128,
}  # fmt: skip
SIZES = {"mini": MINI, "layer": LAYER}
SONGS = {"mini": 32, "layer": 8}
TEXTS = 64


@dataclass(frozen=True, slots=True)
class Case:
    """One epoch over the songs of a size."""

    size: str
    songs: int
    batch: int


def dit(size: str) -> torch.nn.Module:
    from diffusers import AceStepTransformer1DModel

    torch.manual_seed(0)
    model = AceStepTransformer1DModel(**SIZES[size], in_channels=192, audio_acoustic_hidden_dim=64, is_turbo=True)
    return model.requires_grad_(False)


def songs(case: Case) -> list[tuple[Tensor, Tensor, Tensor]]:
    """Latents `[T, 64]`, context `[T, 128]` and states `[L, H]`; half a song to two of 10 s."""
    draw = torch.Generator().manual_seed(1)
    lengths = [125 + 375 * number * 7 % case.songs // case.songs for number in range(case.songs)]
    width = SIZES[case.size]["hidden_size"]
    return [
        (
            torch.randn(length, 64, generator=draw),
            torch.randn(length, 128, generator=draw),
            torch.randn(TEXTS, width, generator=draw),
        )
        for length in lengths
    ]


def settings(case: Case, checkpointing: bool = False) -> TrainSettings:
    return TrainSettings(batch_size=case.batch, accumulation=1, epochs=100, warmup_steps=0, checkpointing=checkpointing)


def ours(case: Case, checkpointing: bool = False) -> Callable[[Case], Tensor]:
    """The studio's updates."""
    from studio.engine.lora.examples import Example, order
    from studio.engine.lora.loss import FlowLoss
    from studio.engine.lora.network import Trainable
    from studio.engine.lora.team import Team
    from studio.engine.lora.train import Training
    from studio.engine.model_spec import FAMILIES, Family

    network = Trainable(dit(case.size), settings(case, checkpointing))
    examples = [
        Example(name=str(number), latents=latents, context=context, states=states)
        for number, (latents, context, states) in enumerate(songs(case))
    ]
    loss = FlowLoss(network, torch.zeros(1, 1, SIZES[case.size]["hidden_size"]), FAMILIES[Family.TURBO])
    training = Training(network, loss, examples, Path(), model=case.size, team=Team(torch.device("cpu")))
    epochs = count()

    def epoch(case: Case) -> Tensor:
        batches = order([one.frames for one in examples], case.batch, 42, next(epochs))
        return torch.tensor([float(str(training.update([batch])["loss"])) for batch in batches])

    return epoch


def plain(case: Case) -> Callable[[Case], Tensor]:
    """As the original trains: nothing sorted, nothing masked."""
    from peft import LoraConfig, inject_adapter_in_model

    model, found, wanted = dit(case.size), songs(case), settings(case)
    targets = ["to_q", "to_k", "to_v", "to_out.0"]
    config = LoraConfig(r=wanted.rank, lora_alpha=wanted.alpha, lora_dropout=wanted.dropout, target_modules=targets)
    inject_adapter_in_model(config, model)
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    optimizer = torch.optim.AdamW(weights, lr=wanted.learning_rate, weight_decay=wanted.weight_decay)
    table = torch.tensor([1, 21 / 22, 0.9, 5 / 6, 0.75, 9 / 14, 0.5, 0.3])

    def epoch(case: Case) -> Tensor:
        model.train()
        losses = []
        mixed = torch.randperm(len(found), generator=torch.Generator().manual_seed(2)).tolist()
        for start in range(0, len(found), case.batch):
            parts = zip(*(found[place] for place in mixed[start : start + case.batch]), strict=True)
            latents, context, states = (torch.nn.utils.rnn.pad_sequence(part, batch_first=True) for part in parts)
            levels = table[torch.randint(8, (len(latents),))]
            noise = torch.randn_like(latents)
            at = levels[:, None, None]
            velocity = model(
                hidden_states=at * noise + (1 - at) * latents, timestep=levels, timestep_r=levels,
                encoder_hidden_states=states, context_latents=context, return_dict=False,
            )[0]  # fmt: skip
            loss = torch.nn.functional.mse_loss(velocity, noise - latents)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(weights, 1.0)
            optimizer.step()
            optimizer.zero_grad()
            losses.append(float(loss.detach()))
        return torch.tensor(losses)

    return epoch


BUILDS: dict[str, Callable[[Case], Callable[[Case], Tensor]]] = {
    "plain": plain,
    "ours": ours,
    "ours, less memory": partial(ours, checkpointing=True),
}


def rows(case: Case, tallies: Sequence[Tally]) -> Iterator[str]:
    """One row a side, its ratio to the plain loop in brackets."""
    updates = -(-case.songs // case.batch)
    numbers = [(updates / one.processor, updates / one.seconds, one.above) for one in tallies]
    for name, own in zip(BUILDS, numbers, strict=True):
        cells = [f"{value:.2f} ({value / plain:.2f})" for value, plain in zip(own, numbers[0], strict=True)]
        yield f"| {case.size}, batch {case.batch} | {name} | {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", nargs="+", choices=SIZES, default=list(SIZES))
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--quick", action="store_true", help="the mini size once, four songs")
    args = parser.parse_args()
    print("| size | loop | updates a CPU second | updates a second | GB above the weights |\n|---|---|---|---|---|")
    for size in args.sizes[:1] if args.quick else args.sizes:
        for batch in (1, 4):
            case = Case(size, 4 if args.quick else SONGS[size], batch)
            sides = [Side(name, partial(build, case), "cpu", args.threads) for name, build in BUILDS.items()]
            tallies = take_turns(sides, case, 0 if args.quick else args.repeats)
            print(*rows(case, tallies), sep="\n", flush=True)
            for side in sides:
                side.close()


if __name__ == "__main__":
    main()
