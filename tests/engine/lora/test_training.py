"""On the tiny checkpoint: tensors, the loop, stop and resume, and the adapter that comes of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from torch import Tensor

from studio.engine.checkpoint import resolve
from studio.engine.dataset.samples import Dataset, Sample
from studio.engine.engine import Engine
from studio.engine.loader import Components
from studio.engine.lora.config import Decay, Optimizer, Timesteps, TrainSettings, settings_of
from studio.engine.lora.examples import collate, order, read_examples
from studio.engine.lora.formats import inspect_adapter
from studio.engine.lora.layers import AdapterKind
from studio.engine.lora.layout import STATE, checkpoints
from studio.engine.lora.prepare import Crop, Preparation, encode_sample, prepare
from studio.engine.lora.session import TrainingJob, train
from studio.engine.lora.train import Ending, Event
from studio.errors import CheckpointError, InvalidRequest
from tests.engine.conftest import LATENTS, WIDTH

SMALL = TrainSettings(
    rank=2, alpha=4, epochs=3, batch_size=2, accumulation=2, warmup_steps=2, learning_rate=1e-2, ema=0.5, save_every=9
)


def never() -> bool:
    return False


def after(updates: int) -> Callable[[], bool]:
    asked = iter([False] * updates)
    return lambda: next(asked, True)


def job(model: Path, tensors: Path, out: Path, settings: TrainSettings = SMALL) -> TrainingJob:
    return TrainingJob(checkpoint=resolve(model), tensors=tensors, out=out, settings=settings, device="cpu")


def steps(events: list[Event]) -> list[Event]:
    keys = ("epoch", "step", "loss", "smoothed", "learning_rate", "grad_norm")
    return [{key: event[key] for key in keys} for event in events if event["event"] == "step"]


def test_a_tensor_file_has_the_originals_form(tensors: Path) -> None:
    content = torch.load(tensors / "s2.pt", weights_only=True)
    frames = (2400 + 2 * 480) // 96
    assert content["target_latents"].shape == (frames, LATENTS)
    assert content["context_latents"].shape == (frames, 2 * LATENTS)
    assert content["context_latents"][:, LATENTS:].eq(1).all()
    assert content["attention_mask"].shape == (frames,)
    assert content["encoder_hidden_states"].shape[1] == WIDTH
    assert content["encoder_attention_mask"].dtype is torch.bool
    assert content["encoder_attention_mask"].shape == content["encoder_hidden_states"].shape[:1]
    assert content["metadata"]["caption"] == "xx"


def test_what_is_prepared_is_skipped_until_its_text_changes(
    tensors: Path, dataset: Dataset, parts: Components, model: Path
) -> None:
    before = (tensors / "s1.pt").read_bytes()
    sound = resolve(model).spec.sound
    again = prepare(dataset, tensors, parts, sound, "tiny-turbo", Preparation())
    assert (again.written, again.skipped) == (0, 7)
    first, *rest = dataset.samples
    changed = replace(dataset, samples=(replace(first, caption="other"), *rest))
    assert prepare(changed, tensors, parts, sound, "tiny-turbo", Preparation()).written == 1
    assert prepare(dataset, tensors, parts, sound, "tiny-turbo", Preparation()).written == 1
    assert (tensors / "s1.pt").read_bytes() == before


def test_long_songs_are_cut_where_asked(dataset: Dataset, parts: Components, model: Path) -> None:
    sound, song = resolve(model).spec.sound, dataset.samples[6]
    cuts = [encode_sample(song, "", parts, sound, Preparation(max_duration=1, crop=crop)) for crop in Crop]
    start, middle = (cut["target_latents"] for cut in cuts)
    assert isinstance(start, Tensor)
    assert isinstance(middle, Tensor)
    assert len(start) == len(middle) == 25
    assert not torch.equal(start, middle)


def test_one_bad_song_is_named_and_the_rest_is_prepared(
    tmp_path: Path, dataset: Dataset, parts: Components, model: Path
) -> None:
    soundfile.write(tmp_path / "quiet.wav", np.zeros((4800, 2)), 2400)
    quiet = Sample(id="quiet", audio_path=str(tmp_path / "quiet.wav"), filename="quiet.wav", labeled=True)
    lost = Sample(id="lost", audio_path=str(tmp_path / "lost.wav"), filename="lost.wav", labeled=True)
    fast = replace(dataset.samples[0], id="fast", bpm=999)
    some = Dataset(samples=(quiet, lost, fast, dataset.samples[0]))
    result = prepare(some, tmp_path / "out", parts, resolve(model).spec.sound, "tiny-turbo", Preparation())
    assert result.written == 1
    assert [fault.split(":")[0] for fault in result.faults] == ["quiet.wav", "lost.wav", "0.wav"]
    assert "bpm must be" in result.faults[2]


def test_a_changed_tensor_file_is_refused(tmp_path: Path, dataset: Dataset, parts: Components, model: Path) -> None:
    one = replace(dataset, samples=dataset.samples[:1])
    prepare(one, tmp_path, parts, resolve(model).spec.sound, "tiny-turbo", Preparation())
    with (tmp_path / "s0.pt").open("ab") as file:
        file.write(b"x")
    with pytest.raises(CheckpointError, match=r"s0\.pt was changed or damaged"):
        read_examples(tmp_path)


def test_a_folder_of_the_original_loads_without_manifest_and_padding(tmp_path: Path, tensors: Path) -> None:
    content = torch.load(tensors / "s0.pt", weights_only=True)
    content.pop("studio")
    content["encoder_hidden_states"] = torch.nn.functional.pad(content["encoder_hidden_states"], (0, 0, 0, 9))
    content["encoder_attention_mask"] = torch.nn.functional.pad(content["encoder_attention_mask"], (0, 9))
    torch.save(content, tmp_path / "theirs.pt")
    (theirs,), ours = read_examples(tmp_path), read_examples(tensors)[0]
    assert torch.equal(theirs.states, ours.states)
    batch = collate([theirs, read_examples(tensors)[3]])
    assert batch.latents.shape[:2] == batch.real.shape
    assert batch.real.sum() == theirs.frames + read_examples(tensors)[3].frames


def test_every_song_is_heard_once_an_epoch_and_the_order_follows_from_the_seed() -> None:
    lengths = [number * 7 % 40 for number in range(37)]
    batches = order(lengths, 4, seed=1, epoch=0)
    assert sorted(place for batch in batches for place in batch) == list(range(37))
    assert batches == order(lengths, 4, seed=1, epoch=0)
    assert batches != order(lengths, 4, seed=1, epoch=1)


@pytest.mark.parametrize(
    "other",
    [
        {},
        pytest.param({"optimizer": Optimizer.ADAFACTOR}, marks=pytest.mark.slow),
        pytest.param({"weight_decompose": True}, marks=pytest.mark.slow),
        pytest.param({"adapter": AdapterKind.LOKR}, marks=pytest.mark.slow),
        pytest.param({"adapter": AdapterKind.LOHA, "checkpointing": True}, marks=pytest.mark.slow),
    ],
    ids=str,
)
def test_a_run_stopped_twice_and_resumed_equals_one_that_was_not(
    tmp_path: Path, model: Path, tensors: Path, other: dict[str, Any]
) -> None:
    settings = replace(SMALL, **other)
    straight: list[Event] = []
    assert train(job(model, tensors, tmp_path / "a", settings), straight.append, never) is Ending.COMPLETED
    parts: list[Event] = []
    broken = job(model, tensors, tmp_path / "b", settings)
    assert train(broken, parts.append, after(1)) is Ending.STOPPED
    for updates in (2, 99):
        last = checkpoints(tmp_path / "b")[-1]
        assert inspect_adapter(last).rank == 2
        train(replace(broken, resume=last), parts.append, after(updates))
    assert steps(parts) == steps(straight)
    assert len(steps(straight)) == 6
    for name in ("final/adapter/adapter_model.safetensors", "checkpoints/epoch_3/adapter/adapter_model.safetensors"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    states = [torch.load(tmp_path / run / "checkpoints/epoch_3" / STATE, weights_only=True) for run in "ab"]
    for key in ("weights", "average"):
        assert all(torch.equal(states[0][key][name], states[1][key][name]) for name in states[0][key])


def test_a_resumed_run_must_be_the_same_run(tmp_path: Path, model: Path, tensors: Path) -> None:
    first = job(model, tensors, tmp_path)
    train(first, lambda event: None, after(1))
    with pytest.raises(InvalidRequest, match="holds a run already"):
        train(first, lambda event: None, never)
    other = replace(first, settings=replace(SMALL, learning_rate=1e-3), resume=checkpoints(tmp_path)[-1])
    with pytest.raises(InvalidRequest, match="same settings"):
        train(other, lambda event: None, never)


def test_the_adapter_works_in_the_studio_and_its_strength_is_folded_in(
    tmp_path: Path, model: Path, tensors: Path
) -> None:
    train(job(model, tensors, tmp_path / "warm"), lambda event: None, never)
    info = inspect_adapter(tmp_path / "warm" / "final")
    assert info.name == "warm"
    assert len(info.layers) == 2 * 2 * 4
    assert "layers.0.self_attn.q_proj" in info.layers
    assert all(layer.alpha == layer.rank for layer in info.layers.values())
    engine = Engine.load(model, device="cpu")
    assert engine.adapters.load(tmp_path / "warm" / "final").rank == 2


def test_training_lowers_the_loss_of_its_songs_and_tells_the_held_out_ones(
    tmp_path: Path, model: Path, tensors: Path
) -> None:
    events: list[Event] = []
    settings = replace(SMALL, epochs=30, validation=0.2, ema=0.0, dropout=0.0)
    train(job(model, tensors, tmp_path, settings), events.append, never)
    losses = [float(str(event["loss"])) for event in steps(events)]
    assert np.mean(losses[-10:]) < np.mean(losses[:10])
    assert len([event for event in events if event["event"] == "validation"]) == 31


def test_the_loss_told_does_not_depend_on_accumulation(tmp_path: Path, model: Path, tensors: Path) -> None:
    means = []
    for accumulation in (1, 7):
        events: list[Event] = []
        settings = replace(SMALL, epochs=20, batch_size=1, accumulation=accumulation, learning_rate=1e-8, dropout=0.0)
        train(job(model, tensors, tmp_path / str(accumulation), settings), events.append, never)
        means.append(np.mean([float(str(event["loss"])) for event in steps(events)]))
    assert means[0] == pytest.approx(means[1], rel=0.15)


def test_checkpointing_changes_no_update(tmp_path: Path, model: Path, tensors: Path) -> None:
    runs: list[list[Event]] = [[], []]
    for events, on in zip(runs, (False, True), strict=True):
        train(job(model, tensors, tmp_path / str(on), replace(SMALL, checkpointing=on)), events.append, after(3))
    for plain, saved in zip(*map(steps, runs), strict=True):
        assert plain == pytest.approx(saved, rel=1e-5)


def test_the_rate_warms_up_and_decays() -> None:
    settings = TrainSettings(learning_rate=1.0, warmup_steps=10)
    assert settings.rate(0, 1000) == pytest.approx(0.1)
    assert settings.rate(10, 1000) == pytest.approx(1.0)
    assert settings.rate(1000, 1000) == pytest.approx(0.01)
    assert replace(settings, decay=Decay.CONSTANT).rate(999, 1000) == 1.0


def test_settings_come_back_from_json_and_wrong_ones_are_named() -> None:
    settings = TrainSettings(timesteps=Timesteps.UNIFORM, targets=("q_proj",), prompts=("a", "b"))
    assert settings_of(settings.as_row()) == settings
    for row, says in (
        ({"rank": 0}, "rank must be from 1 to 512, got 0"),
        ({"rank": 1.5}, "rank must be a whole number"),
        ({"optimizer": "sgd"}, "optimizer must be one of"),
        ({"targets": ["conv"]}, "targets must be some of"),
        ({"ranks": 1}, "training setting must be one of"),
        ({"adapter": "oft"}, "adapter must be one of lora, lokr, loha"),
        ({"adapter": None}, "adapter must be one of lora, lokr, loha"),
        ({"adapter": "lokr", "weight_decompose": True}, "weight_decompose must be off with lokr: peft has it for LoRA"),
        ({"adapter": "lokr", "use_tucker": True}, "use_tucker must be off: it decomposes convolutions"),
        ({"adapter": "lokr", "factor": 0}, "factor must be -1 or above 0"),
        ({"factor": 8}, "factor must be -1 with lora: only LoKr has it"),
        ({"checkpointing": 1}, "checkpointing must be true or false"),
        ({"sample_every": 2}, "prompts must hold a caption when sample_every is above 0"),
        ({"prompts": ["x", " "]}, "prompts must be at most 8 captions, none of them empty"),
    ):
        with pytest.raises(InvalidRequest, match=says):
            settings_of(row)


def test_what_is_left_open_is_as_usual_for_the_kind_of_adapter() -> None:
    lokr = settings_of({"adapter": "lokr", "use_tucker": False, "use_scalar": False})
    assert (lokr.rank, lokr.alpha, lokr.learning_rate, lokr.factor, lokr.dropout) == (64, 128, 1e-3, -1, 0.0)
    assert settings_of({"adapter": "lokr", "learning_rate": 0.03}).learning_rate == 0.03
    assert settings_of({}).learning_rate == 1e-4


def test_a_run_that_died_before_it_saved_begins_again(tmp_path: Path, model: Path, tensors: Path) -> None:
    (tmp_path / "checkpoints" / ".step_3.partial").mkdir(parents=True)
    assert train(job(model, tensors, tmp_path), lambda event: None, after(1)) is Ending.STOPPED


def test_checkpoints_come_by_updates_too_and_old_ones_go(tmp_path: Path, model: Path, tensors: Path) -> None:
    train(job(model, tensors, tmp_path, replace(SMALL, save_steps=2, keep=2)), lambda event: None, never)
    assert [folder.name for folder in checkpoints(tmp_path)] == ["step_6", "epoch_3"]
