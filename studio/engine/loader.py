"""Loads the components of a checkpoint: safetensors only, from local files only, no code from the checkpoint.

Importing this module costs about eight seconds (diffusers, transformers, peft); only the owner of a model does it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, TypedDict, TypeVar

import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from studio.engine.checkpoint import SILENCE, Checkpoint, Layout
from studio.engine.convert import KEPT, Network, misplaced, network_configs, original_name
from studio.engine.model_spec import VaeClass, is_wide, read_json
from studio.engine.original import Weights, read_silence
from studio.engine.quiet import quiet
from studio.engine.run import Phase, Run
from studio.errors import CheckpointError

with quiet():
    from accelerate import init_empty_weights
    from diffusers.models.autoencoders.autoencoder_oobleck import AutoencoderOobleck
    from diffusers.models.transformers.ace_step_transformer import AceStepTransformer1DModel
    from diffusers.pipelines.ace_step.modeling_ace_step import (
        AceStepAudioTokenDetokenizer,
        AceStepAudioTokenizer,
        AceStepConditionEncoder,
        AceStepTimbreEncoder,
    )
    from diffusers.utils import logging as diffusers_logging
    from transformers.models.qwen3.modeling_qwen3 import Qwen3Model
    from transformers.tokenization_utils_tokenizers import PreTrainedTokenizerFast
    from transformers.utils import logging as transformers_logging

    from studio.engine.spectral import SpectralAutoencoder

for library in (diffusers_logging, transformers_logging):
    library.disable_progress_bar()  # progress goes through `run`, not to the terminal


Autoencoder = AutoencoderOobleck | SpectralAutoencoder
_AUTOENCODERS = {VaeClass.OOBLECK: AutoencoderOobleck, VaeClass.SPECTRAL: SpectralAutoencoder}
Model = TypeVar("Model", bound=nn.Module)


class OriginalModels(NamedTuple):
    """The networks of one original model.safetensors, in evaluation mode."""

    transformer: AceStepTransformer1DModel
    condition_encoder: AceStepConditionEncoder
    audio_tokenizer: AceStepAudioTokenizer
    audio_token_detokenizer: AceStepAudioTokenDetokenizer


@dataclass(frozen=True, slots=True, kw_only=True)
class Components:
    """The loaded parts of one checkpoint, all on one device and ready for inference."""

    transformer: AceStepTransformer1DModel
    condition_encoder: AceStepConditionEncoder
    vae: Autoencoder
    text_encoder: Qwen3Model
    tokenizer: PreTrainedTokenizerFast
    audio_tokenizer: AceStepAudioTokenizer | None
    audio_token_detokenizer: AceStepAudioTokenDetokenizer | None
    device: torch.device
    dtype: torch.dtype  # of everything that has weights


def load_components(
    checkpoint: Checkpoint,
    *,
    device: torch.device,
    dtype: torch.dtype,
    run: Run,
    home: torch.device | None = None,
) -> Components:
    """Load every component of a verified checkpoint, reporting `Phase.LOADING` before each.

    Everything is put on `home` (None: on `device`, where it computes). Weights are converted to `dtype` whatever they
    are stored in. Raises CheckpointError when weights don't fit their config.
    """
    loads = _Loads(home or device, run)
    vae_class = checkpoint.spec.sound.vae_class
    original = checkpoint.layout is Layout.ORIGINAL
    networks = _original_networks(checkpoint.path, dtype, loads) if original else _networks(checkpoint, dtype, loads)
    return Components(
        **networks,
        vae=loads.model(checkpoint.vae, _AUTOENCODERS[vae_class], _vae_dtype(vae_class, dtype)),
        text_encoder=loads.model(checkpoint.text_encoder, Qwen3Model, dtype),
        tokenizer=_load_tokenizer(checkpoint.tokenizer),
        device=device,
        dtype=dtype,
    )


class _Loads:
    """Loads models one after another and counts them for the progress bar."""

    TOTAL = 6

    def __init__(self, device: torch.device, run: Run) -> None:
        self.device, self._run = device, run
        self._done = 0

    def next(self) -> None:
        self._run.step(Phase.LOADING, self._done, self.TOTAL)
        self._done += 1

    def model(self, folder: Path, kind: type[Model], dtype: torch.dtype) -> Model:
        self.next()
        return _load_model(folder, kind, dtype).to(self.device).eval().requires_grad_(False)

    def optional(self, folder: Path, kind: type[Model], dtype: torch.dtype) -> Model | None:
        return self.model(folder, kind, dtype) if folder.is_dir() else None


class _Networks(TypedDict):
    """What both layouts load in their own way."""

    transformer: AceStepTransformer1DModel
    condition_encoder: AceStepConditionEncoder
    audio_tokenizer: AceStepAudioTokenizer | None
    audio_token_detokenizer: AceStepAudioTokenDetokenizer | None


def _networks(checkpoint: Checkpoint, dtype: torch.dtype, loads: _Loads) -> _Networks:
    path = checkpoint.path
    condition_encoder = loads.model(path / Network.CONDITION_ENCODER, AceStepConditionEncoder, dtype)
    if checkpoint.spec.wide:
        _prepend_special_token(condition_encoder.timbre_encoder)
    return {
        "condition_encoder": condition_encoder,
        "transformer": loads.model(path / Network.TRANSFORMER, AceStepTransformer1DModel, dtype),
        "audio_tokenizer": loads.optional(path / Network.AUDIO_TOKENIZER, AceStepAudioTokenizer, dtype),
        "audio_token_detokenizer": loads.optional(
            path / Network.AUDIO_TOKEN_DETOKENIZER, AceStepAudioTokenDetokenizer, dtype
        ),
    }


def _original_networks(path: Path, dtype: torch.dtype, loads: _Loads) -> _Networks:
    models = read_original(path, loads.device, dtype, lambda network: loads.next())
    return {
        "transformer": models.transformer,
        "condition_encoder": models.condition_encoder,
        "audio_tokenizer": models.audio_tokenizer,
        "audio_token_detokenizer": models.audio_token_detokenizer,
    }


def _vae_dtype(vae_class: VaeClass, dtype: torch.dtype) -> torch.dtype:
    """The spectral autoencoder adds up oscillators: in 16 bits their phases and the sound itself would be noise."""
    return torch.float32 if vae_class is VaeClass.SPECTRAL else dtype


def _load_model(folder: Path, kind: type[Model], dtype: torch.dtype) -> Model:
    """Load one model; a tensor that is missing or of another shape is an error, never left at random values."""
    model: Model
    try:
        with quiet():
            model, info = kind.from_pretrained(  # type: ignore[attr-defined]
                folder, dtype=dtype, use_safetensors=True, local_files_only=True, output_loading_info=True
            )
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        raise CheckpointError(f"{folder} can't be loaded: {error}") from error
    for fault in ("missing_keys", "mismatched_keys", "error_msgs"):
        if info[fault]:
            first = sorted(map(str, info[fault]))[0]
            raise CheckpointError(f"{folder}: weights don't fit config.json, {fault} {len(info[fault])}, first {first}")
    return model


def _load_tokenizer(folder: Path) -> PreTrainedTokenizerFast:
    tokenizer: PreTrainedTokenizerFast = PreTrainedTokenizerFast.from_pretrained(folder, local_files_only=True)
    if tokenizer.pad_token_id is None:
        raise CheckpointError(f"{folder / 'tokenizer_config.json'} names no pad_token; prompts can't be padded")
    return tokenizer


def read_original(
    path: Path,
    device: torch.device | str,
    dtype: torch.dtype | None,
    before: Callable[[Network], None] = lambda network: None,
) -> OriginalModels:
    """Load the networks of the verified DiT folder `path` in the original layout; see `load_original_models`."""
    file = path / "config.json"
    with Weights(path) as state:
        return load_original_models(
            read_json(file), state, read_silence(path / SILENCE), device, dtype, origin=str(file), before=before
        )


def load_original_models(
    config: Mapping[str, object],
    state: Mapping[str, Tensor],
    silence: Tensor | None = None,
    device: torch.device | str = "cpu",
    dtype: torch.dtype | None = None,
    *,
    origin: str = "config.json",
    before: Callable[[Network], None] = lambda network: None,
) -> OriginalModels:
    """Build the four networks from an original config.json and its weights under their original names.

    `silence` is `[1, frames, C]` (silence_latent.pt with its last axes swapped); None leaves zeros. `dtype` None keeps
    the stored number types. A tensor that already has the device and dtype asked for is used itself, never copied; any
    other is read one at a time, so the peak is the model and one tensor. `before` hears each network before its
    weights are read. The transformer's `config` also keeps what the classes have no argument for (convert.KEPT).
    Raises CheckpointError that names the first weight that is missing, misplaced, of another shape
    or no floating point number, with `origin` as the config's name.
    """
    models = _empty_models(network_configs(config, origin), origin)
    networks: dict[Network, nn.Module] = dict(zip(Network, models, strict=True))
    stored = {network: _stored_names(model, network) for network, model in networks.items()}
    _check_names({name for names in stored.values() for name in names.values()}, state, origin)
    for network, model in networks.items():
        _check_shapes(model, stored[network], state, origin)
    if silence is not None:
        _set_silence(models.condition_encoder, silence.to(dtype))
    for network, model in networks.items():
        before(network)
        weights = {name: state[key].to(device, dtype) for name, key in stored[network].items()}
        model.load_state_dict(weights, strict=False, assign=True)
        model.to(device).eval().requires_grad_(False)
    kept = {key: config[key] for key in KEPT if config.get(key) is not None}
    models.transformer.register_to_config(**kept)  # type: ignore[no-untyped-call]  # diffusers has no types
    if is_wide(config):
        _prepend_special_token(models.condition_encoder.timbre_encoder)
    return models


def _empty_models(arguments: Mapping[Network, Mapping[str, object]], origin: str) -> OriginalModels:
    """Models without memory for their weights; what a class computes itself (FSQ's levels) is there."""
    try:
        with quiet(), init_empty_weights(include_buffers=False):
            return OriginalModels(
                AceStepTransformer1DModel(**arguments[Network.TRANSFORMER]),
                AceStepConditionEncoder(**arguments[Network.CONDITION_ENCODER]),
                AceStepAudioTokenizer(**arguments[Network.AUDIO_TOKENIZER]),
                AceStepAudioTokenDetokenizer(**arguments[Network.AUDIO_TOKEN_DETOKENIZER]),
            )
    except (ValueError, RuntimeError) as error:
        raise CheckpointError(f"{origin} describes no model that can be built: {error}") from error


def _stored_names(model: nn.Module, network: Network) -> dict[str, str]:
    """Its weights by the name in the class, with the name in the file; silence has a file of its own."""
    return {name: original_name(network, name) for name in model.state_dict() if name != "silence_latent"}


def _check_names(needed: set[str], state: Mapping[str, Tensor], origin: str) -> None:
    missing, lost = sorted(needed.difference(state)), misplaced(state, needed)
    faults = []
    if missing:
        faults.append(f"{len(missing)} weights are missing, the first is {missing[0]}")
    if lost:
        faults.append(f"{len(lost)} weights have no place in this model, the first is {lost[0]}")
    if faults:
        raise CheckpointError(f"{origin} and its weights don't fit: {'; '.join(faults)}")


def _check_shapes(model: nn.Module, stored: Mapping[str, str], state: Mapping[str, Tensor], origin: str) -> None:
    expected = model.state_dict()
    for name, key in stored.items():
        tensor = state[key]
        if tensor.shape != expected[name].shape:
            wanted, got = list(expected[name].shape), list(tensor.shape)
            raise CheckpointError(f"{key} must have shape {wanted} by {origin}, got {got}")
        if not tensor.is_floating_point():
            raise CheckpointError(f"{key} must hold floating point numbers, got {tensor.dtype}")


def _set_silence(encoder: AceStepConditionEncoder, silence: Tensor) -> None:
    channels = encoder.get_buffer("silence_latent").shape[-1]
    if silence.dim() != 3 or silence.shape[0] != 1 or silence.shape[1] < 1 or silence.shape[2] != channels:
        raise CheckpointError(f"silence must have shape [1, frames, {channels}], got {list(silence.shape)}")
    encoder.silence_latent = silence


def _prepend_special_token(timbre: AceStepTimbreEncoder) -> None:
    """Make the timbre encoder read its special token first, as XL models were trained.

    diffusers 0.42.1 never prepends it, which changes every XL result completely (engine.md 2.5).
    """

    def prepend(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        token = timbre.special_token.to(output.dtype).expand(output.shape[0], -1, -1)
        return torch.cat([token, output], dim=1)

    timbre.embed_tokens.register_forward_hook(prepend)
