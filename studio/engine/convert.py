"""From the original layout to the diffusers classes: their configs and names of weights (engine.md 1.3, 1.5).

Names and numbers only, so a check can use it without torch.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum
from functools import reduce

from studio.errors import CheckpointError


class Network(StrEnum):
    """The networks inside an original model.safetensors, by their folder in the diffusers layout."""

    TRANSFORMER = "transformer"
    CONDITION_ENCODER = "condition_encoder"
    AUDIO_TOKENIZER = "audio_tokenizer"
    AUDIO_TOKEN_DETOKENIZER = "audio_token_detokenizer"


SLIDING, FULL = "sliding_attention", "full_attention"
NULL_CONDITION = "null_condition_emb"  # stored beside the networks, but part of the condition encoder
PREFIXES: Mapping[Network, str] = {
    Network.TRANSFORMER: "decoder.",
    Network.CONDITION_ENCODER: "encoder.",
    Network.AUDIO_TOKENIZER: "tokenizer.",
    Network.AUDIO_TOKEN_DETOKENIZER: "detokenizer.",
}
_RENAMES = (
    (".q_proj.", ".to_q."),
    (".k_proj.", ".to_k."),
    (".v_proj.", ".to_v."),
    (".o_proj.", ".to_out.0."),
    (".q_norm.", ".norm_q."),
    (".k_norm.", ".norm_k."),
)
_TRANSFORMER_RENAMES = (("proj_in.1.", "proj_in_conv."), ("proj_out.1.", "proj_out_conv."))
_WHOLE_NUMBERS: Mapping[str, int] = {  # with the defaults of AceStepConfig
    "hidden_size": 2048,
    "intermediate_size": 6144,
    "num_hidden_layers": 24,
    "num_attention_heads": 16,
    "num_key_value_heads": 8,
    "head_dim": 128,
    "in_channels": 192,
    "patch_size": 2,
    "sliding_window": 128,
    "audio_acoustic_hidden_dim": 64,
    "timbre_hidden_dim": 64,
    "text_hidden_dim": 1024,
    "num_lyric_encoder_hidden_layers": 8,
    "num_timbre_encoder_hidden_layers": 4,
    "num_attention_pooler_hidden_layers": 2,
    "pool_window_size": 5,
    "fsq_dim": 2048,
    "fsq_input_num_quantizers": 1,
}
_ENCODER_SIZES = ("hidden_size", "intermediate_size", "num_attention_heads", "num_key_value_heads")
_LARGEST = 10**6
_FSQ_LEVELS = (8, 8, 8, 5, 5, 5)
KEPT = ("lyric_alignment_layers_config", "is_lego_sft", "timbre_fix_frame")  # facts no diffusers class has a place for
_FIXED: Mapping[str, object] = {"hidden_act": "silu", "rope_scaling": None, "use_sliding_window": True}


def original_name(network: Network, name: str) -> str:
    """Return the name in the original layout of the weight `name` of a diffusers class."""
    if name == NULL_CONDITION:
        return name
    return PREFIXES[network] + reduce(lambda text, pair: text.replace(pair[1], pair[0]), _renames(network), name)


def misplaced(names: Iterable[str], known: Iterable[str]) -> list[str]:
    """Return those of `names` inside one of the networks that are not `known`, sorted.

    What lies outside of the networks takes no part in making music, and stored rotary frequencies are computed anew.
    """
    inside = (name for name in names if name.startswith(tuple(PREFIXES.values())) and not name.endswith(".inv_freq"))
    return sorted(set(inside).difference(known))


def network_configs(config: Mapping[str, object], origin: str) -> dict[Network, dict[str, object]]:
    """Return the arguments of each network's diffusers class from an original config.json; `origin` names it in errors.

    Raises CheckpointError for a value of the wrong kind and for one these classes can't express.
    """
    for key, needed in _FIXED.items():
        if (value := config.get(key, needed)) != needed:
            raise CheckpointError(f"{origin}: {key} must be {needed!r}, got {value!r}")
    size = {key: _whole(config, key, default, origin) for key, default in _WHOLE_NUMBERS.items()}
    narrow = {key: _whole(config, f"encoder_{key}", size[key], origin) for key in _ENCODER_SIZES}
    attention: dict[str, object] = {
        "head_dim": size["head_dim"],
        "sliding_window": size["sliding_window"],
        "rope_theta": _number(_rope(config), "rope_theta", 1e6, origin),
        "rms_norm_eps": _number(config, "rms_norm_eps", 1e-6, origin),
        "attention_dropout": _number(config, "attention_dropout", 0.0, origin),
        "attention_bias": _flag(config, "attention_bias", origin),
    }
    layers = _layer_types(config, size, origin)
    pooler = {
        **narrow,
        **attention,
        **_picked(size, "audio_acoustic_hidden_dim", "pool_window_size", "num_attention_pooler_hidden_layers"),
        "layer_types": layers[: size["num_attention_pooler_hidden_layers"]],
    }
    encoded = _picked(size, "text_hidden_dim", "timbre_hidden_dim")
    depths = _picked(size, "num_lyric_encoder_hidden_layers", "num_timbre_encoder_hidden_layers")
    fsq = _picked(size, "fsq_dim", "fsq_input_num_quantizers")
    return {
        Network.TRANSFORMER: {
            **_picked(size, *_ENCODER_SIZES, "num_hidden_layers", "in_channels", "patch_size"),
            **_picked(size, "audio_acoustic_hidden_dim"),
            **attention,
            "layer_types": layers[: size["num_hidden_layers"]],
            "encoder_hidden_size": narrow["hidden_size"],
            "is_turbo": config.get("is_turbo") is True,
            "model_version": config.get("model_version"),
        },
        Network.CONDITION_ENCODER: {**narrow, **attention, **encoded, **depths},
        Network.AUDIO_TOKENIZER: {**pooler, **fsq, "fsq_input_levels": _levels(config, origin)},
        Network.AUDIO_TOKEN_DETOKENIZER: pooler,
    }


def _renames(network: Network) -> tuple[tuple[str, str], ...]:
    return _RENAMES + (_TRANSFORMER_RENAMES if network is Network.TRANSFORMER else ())


def _picked(size: Mapping[str, int], *keys: str) -> dict[str, object]:
    return {key: size[key] for key in keys}


def _rope(config: Mapping[str, object]) -> Mapping[str, object]:
    """Configs written by transformers 5 keep rope_theta one level deeper."""
    deeper = config.get("rope_parameters")
    return {**config, **deeper} if isinstance(deeper, dict) else config


def _layer_types(config: Mapping[str, object], size: Mapping[str, int], origin: str) -> list[str]:
    """The encoders read the same list as the DiT; diffusers' can only alternate, the windowed layer first."""
    encoders = ("num_lyric_encoder_hidden_layers", "num_timbre_encoder_hidden_layers")
    shared = max(size[key] for key in (*encoders, "num_attention_pooler_hidden_layers"))
    alternating = [FULL if index % 2 else SLIDING for index in range(max(shared, size["num_hidden_layers"]))]
    stated = config.get("layer_types")
    if stated is None:
        return alternating
    if (
        not isinstance(stated, list)
        or not all(kind in (SLIDING, FULL) for kind in stated)
        or len(stated) < len(alternating)
    ):
        raise CheckpointError(f"{origin}: layer_types must list {SLIDING} or {FULL} for every layer, got {stated!r}")
    if stated[:shared] != alternating[:shared]:
        raise CheckpointError(f"{origin}: the first {shared} layer_types must alternate from {SLIDING}, got {stated!r}")
    return stated


def _levels(config: Mapping[str, object], origin: str) -> list[int]:
    levels = config.get("fsq_input_levels", list(_FSQ_LEVELS))
    if not isinstance(levels, list) or not levels or not all(type(level) is int and level > 1 for level in levels):
        raise CheckpointError(f"{origin}: fsq_input_levels must be whole numbers above 1, got {levels!r}")
    return levels


def _whole(config: Mapping[str, object], key: str, default: int, origin: str) -> int:
    value = default if config.get(key) is None else config[key]
    if type(value) is not int or not 0 < value <= _LARGEST:  # a damaged number must not fill the memory
        raise CheckpointError(f"{origin}: {key} must be a whole number from 1 to {_LARGEST}, got {value!r}")
    return value


def _number(config: Mapping[str, object], key: str, default: float, origin: str) -> float:
    value = config.get(key, default)
    if not isinstance(value, int | float) or isinstance(value, bool) or value < 0:
        raise CheckpointError(f"{origin}: {key} must be a number from 0, got {value!r}")
    return float(value)


def _flag(config: Mapping[str, object], key: str, origin: str) -> bool:
    value = config.get(key, False)
    if not isinstance(value, bool):
        raise CheckpointError(f"{origin}: {key} must be true or false, got {value!r}")
    return value
