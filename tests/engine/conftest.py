"""A tiny random checkpoint on disk, with the real classes: 2.4 kHz stereo at 25 latent frames a second."""

from __future__ import annotations

import json
import shutil
import warnings
from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers

from studio.engine.engine import Engine
from studio.engine.loader import quiet
from studio.engine.prompts import END

with quiet():
    from diffusers import (
        AceStepPipeline,
        AceStepTransformer1DModel,
        AutoencoderOobleck,
        FlowMatchEulerDiscreteScheduler,
    )
    from diffusers.pipelines.ace_step import (
        AceStepAudioTokenDetokenizer,
        AceStepAudioTokenizer,
        AceStepConditionEncoder,
    )
    from transformers import PreTrainedTokenizerFast, Qwen3Config, Qwen3Model

torch.set_num_threads(1)

LATENTS = 8
WIDTH = 32
ATTENTION = {"num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 16, "sliding_window": 16}
COMMON = {"hidden_size": WIDTH, "intermediate_size": 2 * WIDTH, **ATTENTION}


def build_tokenizer() -> PreTrainedTokenizerFast:
    """Byte-level BPE that ends every text with END, as the tokenizer of the published checkpoints does."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=320, special_tokens=[END], initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(["# Instruction\n# Caption\n# Metas\n- bpm: 120\n# Lyric\n[verse]"] * 4, trainer)
    end = tokenizer.token_to_id(END)
    tokenizer.post_processor = processors.TemplateProcessing(single=f"$A {END}", special_tokens=[(END, end)])
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token=END, eos_token=END)


def build_pipeline(*, turbo: bool, levels: list[int] | None = None) -> AceStepPipeline:
    """Random weights, seeded; diffusers' own pipeline is only used to save them in its layout.

    `levels` make another codebook than the published one.
    """
    torch.manual_seed(0)
    tokenizer = build_tokenizer()
    condition_encoder = AceStepConditionEncoder(
        text_hidden_dim=WIDTH,
        timbre_hidden_dim=LATENTS,
        num_lyric_encoder_hidden_layers=1,
        num_timbre_encoder_hidden_layers=1,
        **COMMON,
    )
    condition_encoder.silence_latent.normal_()
    pooled = {"audio_acoustic_hidden_dim": LATENTS, "num_attention_pooler_hidden_layers": 1, **COMMON}
    text_config = Qwen3Config(
        vocab_size=len(tokenizer),
        hidden_size=WIDTH,
        intermediate_size=2 * WIDTH,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=16,
        max_position_embeddings=4096,
    )
    return AceStepPipeline(
        vae=AutoencoderOobleck(
            encoder_hidden_size=2 * LATENTS,
            downsampling_ratios=[4, 4, 6],  # 96 samples a frame
            channel_multiples=[1, 1, 1],
            decoder_channels=8,
            decoder_input_channels=LATENTS,
            audio_channels=2,
            sampling_rate=2400,
        ),
        transformer=AceStepTransformer1DModel(
            num_hidden_layers=2,
            in_channels=3 * LATENTS,
            audio_acoustic_hidden_dim=LATENTS,
            is_turbo=turbo,
            model_version="turbo" if turbo else "base",
            **COMMON,
        ),
        condition_encoder=condition_encoder,
        text_encoder=Qwen3Model(text_config),
        tokenizer=tokenizer,
        scheduler=FlowMatchEulerDiscreteScheduler(num_train_timesteps=1, shift=1.0),
        audio_tokenizer=AceStepAudioTokenizer(fsq_dim=WIDTH, fsq_input_levels=levels, **pooled),
        audio_token_detokenizer=AceStepAudioTokenDetokenizer(**pooled),
    )


def save(path: Path, *, turbo: bool, levels: list[int] | None = None) -> Path:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        build_pipeline(turbo=turbo, levels=levels).save_pretrained(path)
    index = path / "model_index.json"
    stated = json.loads(index.read_text()) | {"studio": {"default_duration": 10.0}}
    index.write_text(json.dumps(stated))
    return path


@pytest.fixture(scope="session")
def turbo_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(tmp_path_factory.mktemp("checkpoints") / "tiny-turbo", turbo=True)


@pytest.fixture(scope="session")
def base_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(tmp_path_factory.mktemp("checkpoints") / "tiny-base", turbo=False)


@pytest.fixture(scope="session")
def engine(turbo_path: Path) -> Engine:
    return Engine.load(turbo_path, device="cpu")


@pytest.fixture(scope="session")
def base_engine(base_path: Path) -> Engine:
    return Engine.load(base_path, device="cpu")


@pytest.fixture
def copied(turbo_path: Path, tmp_path: Path) -> Path:
    """A checkpoint a test may damage."""
    return Path(shutil.copytree(turbo_path, tmp_path / "copied"))
