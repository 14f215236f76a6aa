"""Ours against a straightforward training loop on the same modules: seconds an epoch and peak memory.

    python -m bench.train [--sizes mini layer] [--repeats 3] [--threads 1] [--quick]

Both train a LoRA of rank 64 on the same songs of mixed lengths with AdamW, in processes of their own, in turn. The
straightforward loop is what the original's does: random order, every batch padded to its longest song, the padding in
the loss. "layer" is one layer of the published 2B size. A ratio above 1 means that ours is faster.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

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


def settings(case: Case) -> TrainSettings:
    return TrainSettings(batch_size=case.batch, accumulation=1, epochs=1, warmup_steps=0, save_every=1000)


def ours(size: str) -> Callable[[Case], Tensor]:
    """The studio's loop, with the checkpoint and the adapter it writes at the end."""
    from studio.engine.lora.examples import Example
    from studio.engine.lora.loss import FlowLoss
    from studio.engine.lora.network import Trainable
    from studio.engine.lora.team import Team
    from studio.engine.lora.train import Training
    from studio.engine.model_spec import FAMILIES, Family

    network: list[Trainable] = []
    model, folder = dit(size), TemporaryDirectory()

    def epoch(case: Case) -> Tensor:
        if not network:
            network.append(Trainable(model, settings(case)))
        examples = [
            Example(name=str(number), latents=latents, context=context, states=states)
            for number, (latents, context, states) in enumerate(songs(case))
        ]
        losses: list[float] = []
        loss = FlowLoss(network[0], torch.zeros(1, 1, SIZES[size]["hidden_size"]), FAMILIES[Family.TURBO])
        training = Training(network[0], loss, examples, Path(folder.name), model=size, team=Team(torch.device("cpu")))
        training.run(lambda event: losses.append(float(str(event.get("loss", 0)))), lambda: False)
        return torch.tensor(losses)

    return epoch


def plain(size: str) -> Callable[[Case], Tensor]:
    """As the original trains: nothing sorted, nothing masked."""
    from peft import LoraConfig, inject_adapter_in_model

    model = dit(size)
    wanted = settings(Case(size, 1, 1))
    targets = ["to_q", "to_k", "to_v", "to_out.0"]
    config = LoraConfig(r=wanted.rank, lora_alpha=wanted.alpha, lora_dropout=wanted.dropout, target_modules=targets)
    inject_adapter_in_model(config, model)
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    optimizer = torch.optim.AdamW(weights, lr=wanted.learning_rate, weight_decay=wanted.weight_decay)
    table = torch.tensor([1, 21 / 22, 0.9, 5 / 6, 0.75, 9 / 14, 0.5, 0.3])

    def epoch(case: Case) -> Tensor:
        model.train()
        found, losses = songs(case), []
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


def row(name: str, batch: int, tallies: list[Tally], updates: int) -> str:
    mine, theirs = tallies
    pace = [f"{updates / tally.processor:.2f}" for tally in (mine, theirs)]
    ratio, less = theirs.processor / mine.processor, mine.above / theirs.above
    cells = [f"{name}, batch {batch}", *pace, f"{ratio:.2f}", f"{mine.above:.2f}", f"{theirs.above:.2f}", f"{less:.2f}"]
    return f"| {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", nargs="+", choices=SIZES, default=list(SIZES))
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--quick", action="store_true", help="the mini size once, four songs")
    args = parser.parse_args()
    print("| size | updates a CPU second, ours | plain | ratio | GB above the weights, ours | plain | ratio |")
    print("|---|---|---|---|---|---|---|")
    for size in args.sizes[:1] if args.quick else args.sizes:
        for batch in (1, 4):
            case = Case(size, 4 if args.quick else SONGS[size], batch)
            builds = {"ours": ours, "plain": plain}
            sides = [Side(name, partial(build, size), "cpu", args.threads) for name, build in builds.items()]
            tallies = take_turns(sides, case, 0 if args.quick else args.repeats)
            print(row(size, batch, tallies, -(-case.songs // batch)), flush=True)
            for side in sides:
                side.close()


if __name__ == "__main__":
    main()
