"""Tiny checkpoints in the original layout, made from a diffusers pipeline with a key map of the tests' own."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from studio.engine.loader import quiet
from tests.engine.conftest import COMMON, LATENTS, WIDTH, build_pipeline

with quiet():
    from diffusers import AceStepPipeline, AceStepTransformer1DModel

SHARED = ("vae", "Qwen3-Embedding-0.6B")
# As the published folders look, remote code and all; importing any of it would leave a file behind.
BOOBY_TRAP = "from pathlib import Path\nPath(__file__).with_name('executed').touch()\n"


def build(*, turbo: bool) -> AceStepPipeline:
    """The tiny model of the other tests."""
    with quiet():
        return build_pipeline(turbo=turbo)


def build_wide() -> AceStepPipeline:
    """An XL model: the DiT is wider than its encoders."""
    pipeline = build(turbo=True)
    torch.manual_seed(1)
    wider = COMMON | {"hidden_size": 48, "intermediate_size": 80, "num_attention_heads": 4}
    pipeline.register_modules(
        transformer=AceStepTransformer1DModel(
            num_hidden_layers=2,
            in_channels=3 * LATENTS,
            audio_acoustic_hidden_dim=LATENTS,
            encoder_hidden_size=WIDTH,
            is_turbo=True,
            model_version="turbo",
            **wider,
        )
    )
    return pipeline


def original_state(pipeline: AceStepPipeline) -> dict[str, torch.Tensor]:
    """The four networks in one state dict under the names ACE-Step gave them."""
    state: dict[str, torch.Tensor] = {}
    for prefix, model in {
        "decoder": pipeline.transformer,
        "encoder": pipeline.condition_encoder,
        "tokenizer": pipeline.audio_tokenizer,
        "detokenizer": pipeline.audio_token_detokenizer,
    }.items():
        for name, tensor in model.state_dict().items():
            if name != "silence_latent":
                state[original_name(prefix, name)] = tensor.clone()
    return state


def original_name(prefix: str, name: str) -> str:
    """Written anew here, so that the engine's map is tested against another one."""
    if name == "null_condition_emb":
        return name
    for kind in "qkv":
        name = name.replace(f"to_{kind}.", f"{kind}_proj.").replace(f"norm_{kind}.", f"{kind}_norm.")
    name = name.replace("to_out.0.", "o_proj.")
    return f"{prefix}." + name.replace("proj_in_conv.", "proj_in.1.").replace("proj_out_conv.", "proj_out.1.")


def original_config(pipeline: AceStepPipeline, **changes: Any) -> dict[str, Any]:
    transformer, encoder = pipeline.transformer.config, pipeline.condition_encoder.config
    tokenizer = pipeline.audio_tokenizer.config
    config = {key: transformer[key] for key in ("num_hidden_layers", "in_channels", "is_turbo", "model_version")}
    config |= {key: transformer[key] for key in ("head_dim", "sliding_window", "audio_acoustic_hidden_dim")}
    config |= {key: encoder[key] for key in ("text_hidden_dim", "timbre_hidden_dim")}
    config |= {f"num_{kind}_encoder_hidden_layers": 1 for kind in ("lyric", "timbre")}
    config |= {"num_attention_pooler_hidden_layers": 1, "fsq_dim": tokenizer["fsq_dim"]}
    sizes = ("hidden_size", "intermediate_size", "num_attention_heads", "num_key_value_heads")
    config |= {key: transformer[key] for key in sizes}
    if transformer["hidden_size"] != encoder["hidden_size"]:
        config |= {f"encoder_{key}": encoder[key] for key in sizes}
    config |= {"model_type": "acestep", "architectures": ["AceStepConditionGenerationModel"], "use_cache": True}
    config |= {"auto_map": {"AutoModel": "modeling_acestep_v15_turbo.AceStepConditionGenerationModel"}}
    return config | changes


def write_dit(folder: Path, pipeline: AceStepPipeline, shards: int = 1, **changes: Any) -> Path:
    """A DiT folder such as acestep-v15-turbo; with `shards` > 1 as the XL ones are stored."""
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(original_config(pipeline, **changes)))
    for module in ("modeling_acestep_v15_turbo.py", "configuration_acestep_v15.py"):
        (folder / module).write_text(BOOBY_TRAP)
    state = original_state(pipeline)
    if shards == 1:
        save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
    else:
        weight_map = {}
        for number in range(shards):
            file = f"model-{number + 1:05}-of-{shards:05}.safetensors"
            part = {name: state[name] for name in sorted(state)[number::shards]}
            weight_map |= dict.fromkeys(part, file)
            save_file(part, folder / file, metadata={"format": "pt"})
        (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))
    silence = pipeline.condition_encoder.silence_latent.float()
    torch.save(silence.transpose(1, 2).contiguous(), folder / "silence_latent.pt")
    return folder


def write_shared(root: Path, pipeline: AceStepPipeline) -> None:
    """The folders `vae` and `Qwen3-Embedding-0.6B` that every DiT folder uses."""
    with quiet():
        pipeline.vae.save_pretrained(root / "vae")
        text = root / "Qwen3-Embedding-0.6B"
        pipeline.text_encoder.save_pretrained(text)
        pipeline.tokenizer.save_pretrained(text)
    config = json.loads((text / "config.json").read_text())
    config |= {"architectures": ["Qwen3ForCausalLM"], "auto_map": {"AutoModel": "modeling_qwen3.Qwen3Model"}}
    (text / "config.json").write_text(json.dumps(config))
    settings = json.loads((text / "tokenizer_config.json").read_text())
    settings |= {"auto_map": {"AutoTokenizer": ["tokenization_qwen3.Tokenizer", "tokenization_qwen3.Tokenizer"]}}
    (text / "tokenizer_config.json").write_text(json.dumps(settings))
    for module in ("modeling_qwen3.py", "tokenization_qwen3.py"):
        (text / module).write_text(BOOBY_TRAP)


def write_tree(root: Path, pipeline: AceStepPipeline, name: str, shards: int = 1) -> Path:
    """The folder `checkpoints` of a user; returns the DiT folder inside it."""
    write_shared(root, pipeline)
    return write_dit(root / name, pipeline, shards)


def write_diffusers(path: Path, pipeline: AceStepPipeline) -> Path:
    """The same model in the diffusers layout."""
    with quiet():
        pipeline.save_pretrained(path)
    return path


def copy_tree(dit: Path, target: Path) -> Path:
    """Copy a DiT folder and its siblings for a test that damages them; returns the copied DiT folder."""
    shutil.copytree(dit.parent, target)
    return target / dit.name
