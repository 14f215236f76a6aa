"""The fields of the original's requests under all their names, from JSON and from forms (product.md 4.1, 4.3)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from studio.errors import InvalidRequest

NESTS = ("metas", "metadata", "user_metadata", "param_obj")  # fields that hold further fields
FORM_KEYS: Mapping[str, str] = {  # field of release_task -> key of a form
    "prompt": "caption",
    "lyrics": "lyrics",
    "thinking": "thinking",
    "vocal_language": "vocal_language",
    "bpm": "bpm",
    "key_scale": "keyscale",
    "time_signature": "timesignature",
    "audio_duration": "duration",
    "inference_steps": "inference_steps",
    "guidance_scale": "guidance_scale",
    "use_random_seed": "use_random_seed",
    "seed": "seed",
    "batch_size": "batch_size",
    "audio_format": "audio_format",
    "shift": "shift",
    "infer_method": "infer_method",
    "timesteps": "timesteps",
    "use_adg": "use_adg",
    "cfg_interval_start": "cfg_interval_start",
    "cfg_interval_end": "cfg_interval_end",
    "task_type": "task_type",
    "reference_audio_path": "reference_audio",
    "src_audio_path": "src_audio",
    "repainting_start": "repainting_start",
    "repainting_end": "repainting_end",
    "audio_cover_strength": "audio_cover_strength",
    "audio_code_string": "audio_codes",
    "track_name": "track_name",
    "track_classes": "complete_track_classes",
    "lm_temperature": "lm_temperature",
    "lm_cfg_scale": "lm_cfg_scale",
    "lm_top_k": "lm_top_k",
    "lm_top_p": "lm_top_p",
    "lm_repetition_penalty": "lm_repetition_penalty",
    "lm_negative_prompt": "lm_negative_prompt",
    "use_cot_caption": "use_cot_caption",
    "use_cot_language": "use_cot_language",
    "constrained_decoding_debug": "constrained_decoding_debug",
    "allow_lm_batch": "allow_lm_batch",
    "is_format_caption": "formatted",
}
FIELDS = frozenset(FORM_KEYS) | frozenset(
    "sample_mode sample_query use_format model lm_model_path lm_backend instruction use_tiled_decode "
    "constrained_decoding analysis_only full_analysis_only".split()
)
FLAGS = frozenset(
    "thinking sample_mode use_format use_random_seed use_adg use_tiled_decode use_cot_caption use_cot_language "
    "constrained_decoding constrained_decoding_debug allow_lm_batch is_format_caption analysis_only "
    "full_analysis_only use_lora skip_metas format_lyrics transcribe_lyrics only_unlabeled all_instrumental "
    "gradient_checkpointing lokr_decompose_both".split()
)
_ALIASES: Mapping[str, str] = {
    "caption": "prompt",
    "description": "sample_query",
    "desc": "sample_query",
    "format": "use_format",
    "dit_model": "model",
    "model_name": "model",
    "language": "vocal_language",
    "keyscale": "key_scale",
    "key": "key_scale",
    "timesignature": "time_signature",
    "duration": "audio_duration",
    "target_duration": "audio_duration",
    "reference_audio": "reference_audio_path",
    "ref_audio": "reference_audio_path",
    "src_audio": "src_audio_path",
    "ctx_audio": "src_audio_path",
    "instruments": "track_classes",
    "parallel_thinking": "allow_lm_batch",
    "cot_caption": "use_cot_caption",
    "cot_language": "use_cot_language",
}
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_YES, _NO = ("true", "1", "yes", "y", "on"), ("false", "0", "no", "n", "off")


def canonical(name: str) -> str:
    """Return the name of a field that product.md 4.3 lists first: `keyScale`, `keyscale` and `key` are `key_scale`."""
    snake = _HUMP.sub("_", name).lower().replace("-", "_")
    return _ALIASES.get(snake, snake)


def read_fields(sent: Mapping[str, object], known: frozenset[str]) -> dict[str, object]:
    """Return what was sent by canonical name, nested or not; null and empty text count as not sent.

    Flags come as booleans. Raises InvalidRequest for a field that is not `known`, for two names of one field that
    disagree, for a nest that holds no fields, and for a flag that is none.
    """
    found: dict[str, object] = {}
    for name, value in _flat(sent):
        field = canonical(name)
        if field not in known:
            raise InvalidRequest("request", f"hold only the fields {', '.join(sorted(known))}", name)
        if value in (None, ""):
            continue
        read = as_flag(name, value) if field in FLAGS else value
        if str(found.setdefault(field, read)) != str(read):
            raise InvalidRequest(name, f"say the same as the other value for {field}, {found[field]!r}", value)
    return found


def as_flag(name: str, value: object) -> bool:
    """Read yes or no, also as text; raises InvalidRequest."""
    text = str(value).strip().lower()
    if text not in _YES + _NO:
        raise InvalidRequest(name, "be true or false", value)
    return text in _YES


def as_list(name: str, value: object) -> list[object]:
    """Read a list that may come as JSON text or with commas between; raises InvalidRequest."""
    if isinstance(value, str):
        value = _json(name, value) if value.lstrip().startswith("[") else [part.strip() for part in value.split(",")]
    if not isinstance(value, list):
        raise InvalidRequest(name, "be a list", value)
    return value


@contextmanager
def original_names(names: Mapping[str, str]) -> Iterator[None]:
    """Give errors of our services the original's `names` of fields, which these stand for."""
    told = {own: name for name, own in names.items()}
    try:
        yield
    except InvalidRequest as error:
        raise InvalidRequest(told.get(error.field, error.field), error.rule, error.value) from error


def _flat(sent: Mapping[str, object]) -> Iterator[tuple[str, object]]:
    for name, value in sent.items():
        if canonical(name) not in NESTS:
            yield name, value
        elif value not in (None, ""):
            nest = _json(name, value) if isinstance(value, str) else value
            if not isinstance(nest, dict):
                raise InvalidRequest(name, "hold fields by name", value)
            yield from nest.items()


def _json(name: str, text: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidRequest(name, "be JSON", text) from error
