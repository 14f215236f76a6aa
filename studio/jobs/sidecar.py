"""Everything a take was made from as one flat JSON object: what lies beside its file and inside it (product.md 2.3)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from studio import __version__
from studio.engine.audio.tags import Tags
from studio.engine.requests import parse_key_scale
from studio.errors import InvalidRequest

SCHEMA = 1
TAKE_ID = "take_id"  # the key that says which take the settings are of
LM_DEFAULTS: Mapping[str, object] = {
    "thinking": False,
    "lm_temperature": 0.85,
    "lm_cfg_scale": 2.0,
    "lm_top_k": 0,
    "lm_top_p": 0.9,
    "lm_negative_prompt": "NO USER INPUT",
    "use_cot_metas": False,
    "use_cot_caption": False,
    "use_cot_lyrics": False,
    "use_cot_language": False,
    "use_constrained_decoding": True,
    "constrained_decoding_debug": False,
    "allow_lm_batch": False,
    "lm_batch_chunk_size": 8,
    "lm_model": "",
}
ANSWERS = ("bpm", "keyscale", "timesignature", "duration", "vocal_language", "caption", "lyrics")
DEFAULTS: Mapping[str, object] = {
    "task_type": "text2music",
    "instruction": "",
    "reference_audio": None,
    "src_audio": None,
    "audio_codes": "",
    "caption": "",
    "lyrics": "",
    "instrumental": False,
    "vocal_language": "unknown",
    "bpm": None,
    "keyscale": "",
    "timesignature": "",
    "duration": -1.0,
    "inference_steps": 8,
    "seed": -1,
    "guidance_scale": 7.0,
    "use_adg": False,
    "cfg_interval_start": 0.0,
    "cfg_interval_end": 1.0,
    "shift": 3.0,
    "infer_method": "ode",
    "timesteps": None,
    "repainting_start": 0.0,
    "repainting_end": -1.0,
    "audio_cover_strength": 1.0,
    "cover_noise_strength": 0.0,
    **LM_DEFAULTS,
    **{f"cot_{name}": None for name in ANSWERS},
    "enable_normalization": True,
    "normalization_db": -1.0,
    "latent_shift": 0.0,
    "latent_rescale": 1.0,
    "lora_loaded": False,
    "use_lora": False,
    "lora_scale": 1.0,
    "lora_weights_hash": "",
    "batch_size": 2,
    "audio_format": "mp3",
    "track_name": None,
    "complete_track_classes": [],
    "use_random_seed": True,
    "auto_score": False,
    "auto_lrc": False,
    "score_scale": 0.5,
}
_MORE = "repainting_more"
_USED = ("inference_steps", "shift", "guidance_scale", "instruction", "infer_method")  # what was really done counts


def sidecar(
    form: Mapping[str, object],
    requested: Mapping[str, object],
    effective: Mapping[str, object],
    *,
    seed: int,
    model: str,
    take_id: str = "",
) -> dict[str, object]:
    """Return every key of product.md 2.3 for one take, and whatever else its form and its request hold.

    A text stays as the person wrote it; where the form left the work to the model's defaults, what was used is told.
    """
    asked = {name: value for name, value in requested.items() if value is not None}
    used = {name: effective[name] for name in _USED if effective.get(name) is not None}
    if form.get(_MORE) == []:  # a file of one region, or of none, is what it always was
        form = {name: value for name, value in form.items() if name != _MORE}
    answers = {f"cot_{name}": effective.get(f"cot_{name}") for name in ANSWERS}
    return {
        **DEFAULTS,
        **asked,
        **form,
        **used,
        **answers,
        **_adapters(effective),
        "timesteps": requested.get("timesteps"),
        "audio_codes": codes_text(effective.get("audio_codes") or requested.get("audio_codes")),
        "seed": seed,
        "model": model,
        TAKE_ID: take_id,
        "schema_version": SCHEMA,
        "studio_version": __version__,
        "generator": "AI-generated",
    }


def tags_of(settings: Mapping[str, object]) -> Tags:
    """Return the tags of the file whose sidecar is `settings`."""
    caption, lyrics = str(settings["caption"]), str(settings["lyrics"])
    words = " ".join((caption or lyrics or "Untitled").split())
    bpm, key = settings["bpm"] or settings["cot_bpm"], settings["keyscale"] or settings["cot_keyscale"]
    return Tags(
        title=words if len(words) <= 80 else words[:79].rstrip() + "…",
        prompt=caption,
        lyrics=lyrics,
        model=str(settings["model"]),
        seed=int(str(settings["seed"])),
        version=__version__,
        bpm=round(bpm) if isinstance(bpm, int | float) else None,
        key=_key(key),
        settings=settings,
    )


def codes_text(codes: object) -> str:
    """Write 5 Hz codes as the text a person pastes into Codes Hints."""
    if isinstance(codes, str):
        return codes
    return "".join(f"<|audio_code_{code}|>" for code in codes) if isinstance(codes, Sequence) else ""


def _key(written: object) -> str | None:
    """A person may write a key in many ways; a tag has one."""
    try:
        return parse_key_scale(str(written)).replace("♯", "#").replace("♭", "b") if written else None
    except InvalidRequest:
        return None


def _adapters(effective: Mapping[str, object]) -> dict[str, object]:
    adapters = effective.get("adapters")
    first = adapters[0] if isinstance(adapters, list) and adapters else None
    if not isinstance(first, Mapping):
        return {"lora_loaded": False, "use_lora": False}
    return {
        "lora_loaded": True,
        "use_lora": bool(effective.get("use_lora")),
        "lora_scale": first.get("scale", 1.0),
        "lora_weights_hash": first.get("sha256", ""),
        "adapters": adapters,
    }
