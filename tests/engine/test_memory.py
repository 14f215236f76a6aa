"""Tiers and their limits, what fits, what to try when it doesn't, and where the parts of a model are."""

from __future__ import annotations

import subprocess
import sys
import weakref
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from studio.engine.checkpoint import Checkpoint, Layout, resolve
from studio.engine.conditioning import embed, encode_condition, silence
from studio.engine.device import memory_of, within_memory
from studio.engine.dit import Velocity
from studio.engine.engine import Engine
from studio.engine.loader import Components
from studio.engine.memory import (
    GB,
    Attempt,
    DeviceMemory,
    MemoryPlan,
    Work,
    check_weights,
    check_work,
    decode_frames,
    encode_seconds,
    plan_for,
    things_to_try,
    tier_for,
    weights_of,
)
from studio.engine.model_spec import Family
from studio.engine.prompts import Prompt
from studio.engine.quantize import quantize
from studio.engine.residency import HOME, Residency
from studio.errors import CheckpointError, InvalidRequest, OutOfMemory
from tests.engine.test_quantize import build, velocity

CPU = torch.device("cpu")
# A second device that computes on the CPU: it isn't equal to "cpu", so everything is moved and told.
DEVICES = [torch.device("cpu", 0), *([torch.device("cuda", 0)] if torch.cuda.is_available() else [])]
CARD = DeviceMemory(kind="cuda", total=8.0, free=6.0)
SONG = Work(family=Family.TURBO, wide=False, duration=240, takes=4)


@pytest.mark.parametrize(
    ("size", "name", "durations", "batches", "lm", "defaults"),
    [
        (3.9, "1", (240, 360), (1, 1), None, (True, True, True)),
        (4, "1", (240, 360), (1, 1), None, (True, True, True)),
        (6, "2", (480, 600), (1, 1), None, (True, True, True)),
        (7.99, "3", (480, 600), (2, 2), "0.6B", (True, True, True)),
        (12, "4", (480, 600), (2, 4), "0.6B", (True, True, True)),
        (14.7, "5", (480, 600), (4, 4), "1.7B", (True, False, True)),
        (15.5, "6a", (480, 600), (4, 8), "1.7B", (True, False, True)),
        (20, "6b", (480, 480), (8, 8), "1.7B", (False, False, False)),
        (24, "6b", (480, 480), (8, 8), "1.7B", (False, False, False)),
        (24.1, "unlimited", (600, 600), (8, 8), "4B", (False, False, False)),
        (None, "cpu", (600, 600), (8, 8), None, (False, False, False)),
    ],
)
def test_a_size_has_its_tier(
    size: float | None,
    name: str,
    durations: tuple[float, float],
    batches: tuple[int, int],
    lm: str | None,
    defaults: tuple[bool, bool, bool],
) -> None:
    tier = tier_for(size)
    assert (tier.name, tier.lm, (tier.offload, tier.offload_dit, tier.int8)) == (name, lm, defaults)
    assert (tier.max_duration(True), tier.max_duration(False)) == durations
    assert (tier.max_batch(True), tier.max_batch(False)) == batches
    assert lm is None or lm in tier.lm_sizes


def test_a_request_beyond_the_tier_is_told_the_limit() -> None:
    tier = tier_for(4)
    tier.check(360, 1, with_lm=False)
    with pytest.raises(InvalidRequest, match="duration must be at most 240 on devices of tier 1 with a language model"):
        tier.check(360, 1, with_lm=True)
    with pytest.raises(InvalidRequest, match=r"batch_size must be at most 1 on devices of tier 1 without .* got 2"):
        tier.check(60, 2, with_lm=False)


def test_a_cpu_is_bound_by_its_memory_and_not_by_the_smallest_card() -> None:
    memory = memory_of(CPU)
    assert 0 < memory.free <= memory.total
    assert memory.tier.name == "cpu"
    assert plan_for(memory) == MemoryPlan(offload=False, offload_dit=False, int8=False)
    mini = Work(family=Family.TURBO, wide=False, duration=600, takes=8, width=160, number_bytes=4)
    roomy = replace(memory, free=6.0)
    check_work(mini, roomy, Attempt("cpu"))
    with pytest.raises(OutOfMemory, match=r"cpu has 2.0 GB free"):
        check_work(replace(mini, width=2048), replace(memory, free=2.0), Attempt("cpu", takes=8, duration=600))


def test_a_simulated_size_gives_the_limits_and_defaults_of_a_card_that_small() -> None:
    memory = memory_of(CPU, limit=6, held=2.5)
    assert (memory.tier.name, memory.total, memory.simulated) == ("2", 6, True)
    assert memory.free <= 3.5
    assert plan_for(memory) == MemoryPlan(offload=True, offload_dit=True, int8=True)
    assert decode_frames(memory) == 128
    with pytest.raises(InvalidRequest, match="max_vram_gb must be above 0, got 0"):
        memory_of(CPU, limit=0)


def test_open_choices_follow_the_tier_and_stated_ones_are_kept_or_refused() -> None:
    assert plan_for(CARD) == MemoryPlan(offload=True, offload_dit=True, int8=True)
    assert plan_for(CARD, offload=False, int8=False) == MemoryPlan(offload=False, offload_dit=False, int8=False)
    assert plan_for(replace(CARD, total=80.0)) == MemoryPlan(offload=False, offload_dit=False, int8=False)
    with pytest.raises(InvalidRequest, match="offload_dit must be off while offload is off"):
        plan_for(CARD, offload=False, offload_dit=True)
    with pytest.raises(InvalidRequest, match="offload must be off on cpu"):
        plan_for(memory_of(CPU), offload=True)
    mac = DeviceMemory(kind="mps", total=7.0, free=5.0)
    assert plan_for(mac) == MemoryPlan(offload=False, offload_dit=False, int8=False)
    with pytest.raises(InvalidRequest, match="int8 must be off on mps"):
        plan_for(mac, int8=True)


def test_the_guard_follows_the_formula() -> None:
    """engine.md 8: 0.5 GB and 0.15 GB a minute beyond the first, doubled off turbo, 1.7 times for XL."""
    assert replace(SONG, duration=30).per_take == pytest.approx(0.5)
    assert SONG.per_take == pytest.approx(0.95)
    assert replace(SONG, family=Family.BASE).per_take == pytest.approx(1.9)
    assert replace(SONG, wide=True, width=2560).per_take == pytest.approx(1.615)
    assert replace(SONG, number_bytes=4, width=1024).per_take == pytest.approx(0.95)
    assert SONG.fitting(5.4) == 4
    assert SONG.fitting(0.2) == 1


def test_a_batch_that_does_not_fit_is_refused_with_the_numbers() -> None:
    tight = replace(CARD, free=4.5)
    with pytest.raises(OutOfMemory) as refused:
        check_work(SONG, tight, Attempt("cuda", takes=4, duration=240))
    assert str(refused.value) == (
        "4 takes of 240 seconds need about 5.3 GB (0.95 GB each and 1.5 GB in reserve), cuda has 4.5 GB free, "
        "enough for 3; try a smaller batch than 4, a shorter duration than 240 seconds or offloading to the CPU"
    )
    check_work(replace(SONG, takes=3), tight, Attempt("cuda"))
    check_work(replace(SONG, takes=1, duration=600), replace(CARD, free=0.1), Attempt("cuda"))
    check_work(replace(SONG, takes=2), replace(CARD, free=0.1), Attempt("cuda", offload=True))
    with pytest.raises(OutOfMemory, match="offloading the DiT to the CPU too"):
        check_work(SONG, replace(CARD, free=0.1), Attempt("cuda", takes=4, offload=True))


def test_a_model_that_does_not_fit_is_refused_before_it_is_loaded() -> None:
    weights = {"transformer": 4.7, "text_encoder": 1.2, "vae": 0.33}
    whole = MemoryPlan(offload=False, offload_dit=False, int8=False)
    with pytest.raises(OutOfMemory, match=r"needs 6.2 GB for its weights, cuda has 6.0 GB free; try offloading"):
        check_weights(weights, 2, CARD, whole)
    check_weights(weights, 2, CARD, replace(whole, int8=True))
    check_weights(weights, 2, CARD, replace(whole, offload=True))
    check_weights(weights, 2, replace(CARD, free=4.8), replace(whole, offload=True, offload_dit=True))
    with pytest.raises(OutOfMemory, match=r"needs 5.9 GB"):
        check_weights(weights, 2, replace(CARD, free=4.8), replace(whole, offload=True))


def test_sizes_are_read_from_the_files(copied: Path, engine: Engine) -> None:
    checkpoint = resolve(copied)
    sizes = weights_of(checkpoint, 4)
    dit = engine._loaded.parts.transformer
    assert sizes["transformer"] * GB == sum(weight.nbytes for weight in dit.parameters())
    assert set(sizes) == {name for name, part in parts_of(engine._loaded.parts).items() if part is not None}
    (copied / "vae" / "diffusion_pytorch_model.safetensors").write_bytes(b"no tensors")
    with pytest.raises(CheckpointError, match=r"model.safetensors is truncated or damaged"):
        weights_of(checkpoint, 4)


def test_sizes_of_an_original_checkpoint_are_told_apart_by_name(tmp_path: Path, engine: Engine) -> None:
    for folder in ("vae", "text"):
        (tmp_path / folder).mkdir()
        save_file({"weight": torch.ones(10)}, tmp_path / folder / "model.safetensors")
    held = {"decoder.a": torch.ones(30), "encoder.b": torch.ones(20), "null_condition_emb": torch.ones(5)}
    save_file(held, tmp_path / "model.safetensors")
    checkpoint = Checkpoint(
        path=tmp_path,
        spec=engine.spec,
        layout=Layout.ORIGINAL,
        vae=tmp_path / "vae",
        text_encoder=tmp_path / "text",
        tokenizer=tmp_path / "text",
    )
    sizes = {name: round(size * GB / 2) for name, size in weights_of(checkpoint, 2).items()}
    assert sizes == {"transformer": 30, "condition_encoder": 20, "other": 5, "vae": 10, "text_encoder": 10}


@pytest.mark.parametrize(("free", "frames"), [(30.0, 512), (17.0, 384), (12.5, 256), (3.0, 128)])
def test_the_decoding_tile_follows_free_memory(free: float, frames: int) -> None:
    assert decode_frames(replace(CARD, total=32.0, free=free)) == frames


def test_tiles_elsewhere_have_a_size_of_their_own() -> None:
    assert decode_frames(DeviceMemory(kind="cpu", total=64.0, free=60.0)) == 224
    assert decode_frames(DeviceMemory(kind="mps", total=64.0, free=60.0)) == 32
    assert (encode_seconds(CARD), encode_seconds(replace(CARD, total=12.0))) == (15.0, 30.0)


@pytest.mark.parametrize(
    ("attempt", "text"),
    [
        (
            Attempt("cuda", takes=4, duration=60),
            "a smaller batch than 4, a shorter duration than 60 seconds or offloading to the CPU",
        ),
        (
            Attempt("cuda", duration=10, offload=True, tile=256),
            "offloading the DiT to the CPU too, int8 quantisation or a smaller decoding tile than 256 frames",
        ),
        (
            Attempt("cuda", duration=10, offload=True, offload_dit=True, int8=True, tile=128),
            "a smaller checkpoint, closing other programs that use this memory or device cpu",
        ),
        (
            Attempt("cpu", duration=10, int8=True),
            "a smaller checkpoint, closing other programs that use this memory or a machine with more memory",
        ),
        (Attempt("mps", takes=2, duration=10), "a smaller batch than 2, a smaller checkpoint or closing other "),
    ],
)
def test_three_things_to_try_that_were_not_used_yet(attempt: Attempt, text: str) -> None:
    assert things_to_try(attempt).startswith(text)
    assert things_to_try(attempt).count(", ") == things_to_try(attempt).count(" or ") == 1


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory"),
        MemoryError(),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes"),
    ],
)
def test_out_of_memory_frees_what_was_held_and_the_next_run_works(error: Exception) -> None:
    held: list[weakref.ref[Tensor]] = []

    def fail() -> float:
        big = torch.zeros(1000, 1000)
        held.append(weakref.ref(big))
        raise error

    advice = things_to_try(Attempt("cpu", takes=2, duration=60))
    wanted = "cpu has too little memory; try a smaller batch than 2, a shorter duration than 60 seconds or int8 quant"
    with pytest.raises(OutOfMemory, match=wanted) as raised:
        within_memory(CPU, fail, advice)
    del raised
    error.__traceback__ = None  # the parameter itself lives on
    assert held[0]() is None
    assert within_memory(CPU, lambda: float(torch.ones(2).sum()), advice) == 2


def test_other_errors_pass() -> None:
    def fail() -> None:
        raise RuntimeError("shapes don't match")

    with pytest.raises(RuntimeError, match="shapes don't match"):
        within_memory(CPU, fail, "")


def parts_of(components: Components) -> dict[str, nn.Module | None]:
    names = "text_encoder condition_encoder audio_tokenizer audio_token_detokenizer transformer vae".split()
    return {name: getattr(components, name) for name in names}


@torch.inference_mode()
def sound(components: Components, residency: Residency) -> Tensor:
    """The stages of the pipeline in their order, each part in use only for its own."""
    device = residency.device
    with residency.using("text_encoder"):
        texts = embed(components.tokenizer, components.text_encoder, [Prompt(caption="calm piano", lyrics="la la")])
    with residency.using("condition_encoder"):
        calm, order = (
            silence(components.condition_encoder, 20, device),
            torch.zeros(1, dtype=torch.int64, device=device),
        )
        states = encode_condition(components.condition_encoder, texts, calm, order)
    noise = torch.randn(1, 20, calm.shape[-1], generator=torch.Generator().manual_seed(0)).to(device)
    with residency.using("transformer"):
        latents, _ = Velocity(components.transformer, states, torch.cat([calm, calm], dim=-1))(noise, 1.0)
    with residency.using("vae"):
        waves: Tensor = components.vae.decode(latents.transpose(1, 2).to(components.vae.dtype)).sample
    return waves.float().cpu()


@pytest.fixture
def components(turbo_path: Path) -> Components:
    return Engine.load(turbo_path, device="cpu")._loaded.parts


@pytest.mark.parametrize("device", DEVICES, ids=str)
def test_offloaded_parts_come_in_order_and_leave_before_the_next(components: Components, device: torch.device) -> None:
    wanted = sound(components, Residency(parts_of(components), CPU))
    moves: list[tuple[str, torch.device, frozenset[str]]] = []
    residency = Residency(
        parts_of(components),
        device,
        offload=True,
        offload_dit=True,
        moved=lambda name, place: moves.append((name, place, residency.on_device())),
    )
    torch.testing.assert_close(sound(components, residency), wanted, atol=1e-4, rtol=1e-4)
    stages = ("text_encoder", "condition_encoder", "transformer", "vae")
    assert [move[:2] for move in moves] == [(name, place) for name in stages for place in (device, HOME)]
    assert max(len(on_device) for *_, on_device in moves) == 1
    assert residency.on_device() == frozenset()
    tensors = [tensor for part in parts_of(components).values() if part is not None for tensor in part.parameters()]
    assert {tensor.device.type for tensor in tensors} == {"cpu"}


@pytest.mark.parametrize("device", DEVICES, ids=str)
def test_without_offloading_the_dit_it_stays(components: Components, device: torch.device) -> None:
    moves: list[str] = []
    residency = Residency(parts_of(components), device, offload=True, moved=lambda name, _place: moves.append(name))
    assert residency.on_device() == {"transformer"}
    assert next(components.transformer.parameters()).device.type == device.type
    sound(components, residency)
    assert moves == [name for name in ("text_encoder", "condition_encoder", "vae") for _ in range(2)]
    plain = Residency(parts_of(components), device, moved=lambda name, _place: moves.append(f"{name} again"))
    sound(components, plain)
    assert len(moves) == 6
    assert len(plain.on_device()) == 6


def test_a_failed_stage_takes_its_part_home_and_the_next_run_works(components: Components) -> None:
    residency = Residency(parts_of(components), DEVICES[-1], offload=True, offload_dit=True)
    wanted = sound(components, residency)

    def fail() -> None:
        with residency.using("transformer", "audio_tokenizer"), residency.using("transformer"):
            raise torch.OutOfMemoryError("CUDA out of memory")

    with pytest.raises(OutOfMemory):
        within_memory(CPU, fail, "less")
    assert residency.on_device() == frozenset()
    assert torch.equal(sound(components, residency), wanted)


def test_a_part_that_can_not_be_brought_is_sent_home(components: Components) -> None:
    refused = DEVICES[0]

    def refuse(name: str, place: torch.device) -> None:
        told.append((name, place))
        if (name, place) == ("vae", refused):
            raise torch.OutOfMemoryError("CUDA out of memory")

    told: list[tuple[str, torch.device]] = []
    residency = Residency(parts_of(components), refused, offload=True, moved=refuse)
    with pytest.raises(torch.OutOfMemoryError), residency.using("text_encoder", "vae"):
        pytest.fail("the block must not be entered")
    assert told == [("text_encoder", refused), ("vae", refused), ("vae", HOME), ("text_encoder", HOME)]
    assert residency.on_device() == {"transformer"}


@pytest.mark.parametrize("device", DEVICES, ids=str)
def test_a_16_bit_autoencoder_waits_in_float32_and_loses_nothing(turbo_path: Path, device: torch.device) -> None:
    components = Engine.load(turbo_path, device="cpu", dtype="bfloat16")._loaded.parts
    before = {name: tensor.clone() for name, tensor in components.vae.state_dict().items()}
    residency = Residency(parts_of(components), device, offload=True)
    assert components.vae.dtype == torch.float32
    with residency.using("vae"):
        assert components.vae.dtype == torch.bfloat16
        after = components.vae.state_dict()
        assert all(torch.equal(after[name].cpu(), tensor) for name, tensor in before.items())
    assert components.vae.dtype == torch.float32
    with residency.using("text_encoder"):
        assert components.text_encoder.dtype == torch.bfloat16


@pytest.mark.parametrize("device", DEVICES, ids=str)
def test_an_int8_dit_can_be_moved(device: torch.device) -> None:
    dit = build()
    quantize(dit)
    wanted = velocity(dit)
    residency = Residency({"transformer": dit}, device, offload=True, offload_dit=True)
    for _ in range(2):
        with torch.inference_mode(), residency.using("transformer"):
            assert next(dit.parameters()).device.type == device.type
        assert torch.equal(velocity(dit), wanted)


def test_the_table_of_tiers_needs_no_torch() -> None:
    code = "import sys, studio.engine.memory, studio.engine.lora.formats; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
