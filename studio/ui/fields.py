"""The one registry of the form: it drives defaults, widgets, saving and "apply these settings"."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import streamlit as st

from studio.engine.requests import LANGUAGES, MAX_BATCH, TIME_SIGNATURES, AudioFormat
from studio.engine.sampling import Method
from studio.engine.snapshot import SOURCE_END
from studio.i18n import N_
from studio.services.limits import Limits
from studio.services.views import ModelView, StatusView
from studio.ui import runtime
from studio.ui.text import _, seconds

PREFIX = "create."
MODE = PREFIX + "mode"  # the widget that chooses between the two
SIMPLE, CUSTOM = "simple", "custom"
ADJUSTED = "form.adjusted"  # names of fields whose applied value had to give way
APPLIED = "form.applied"  # id of the take whose settings were copied into the form; "" for none
_MODEL = "form.model"  # the checkpoint whose defaults the form follows
_LIMIT = "form.limit"  # the upper end of Inference Steps as last drawn
FORMATTED = PREFIX + "formatted"  # the words came from the language model or an example and were not touched since
WRITTEN = ("caption", "lyrics", "bpm", "keyscale", "timesignature", "vocal_language", "duration")
METRES = {"2": "2/4", "3": "3/4", "4": "4/4", "6": "6/8"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One setting of a song: its name in a form, its words, its default and what its widget can hold."""

    name: str
    label: str
    default: str | float | bool | None
    low: float | None = None
    high: float | None = None
    options: tuple[str, ...] = ()
    neutral: str | float | bool | None = None  # what is sent while the control does not apply
    guided: bool = False  # applies only to families with guidance (product.md 1.X.1)
    lm: bool = False  # applies only while a language model is loaded

    @property
    def key(self) -> str:
        """The widget key."""
        return PREFIX + self.name

    def fit(self, value: object) -> str | float | bool | None:
        """Return `value` as this field's widget can hold it: known options, numbers within its range."""
        if self.options:
            return value if isinstance(value, str) and value in self.options else self.default
        if isinstance(self.default, bool) or isinstance(value, bool):
            return bool(value)
        if isinstance(self.default, str):
            return "" if value is None else str(value)
        if not isinstance(value, int | float):
            return self.default
        low, high = value if self.low is None else self.low, value if self.high is None else self.high
        number = min(max(value, low), high)
        return float(number) if isinstance(self.default, float) else int(number)


FIELDS: Mapping[str, Field] = {
    field.name: field
    for field in (
        Field(name="caption", label=N_("Caption"), default=""),
        Field(name="lyrics", label=N_("Lyrics"), default=""),
        Field(name="instrumental", label=N_("Instrumental"), default=False),
        Field(
            name="vocal_language",
            label=N_("Vocal Language"),
            default="unknown",
            options=("unknown", *(code for code in LANGUAGES if code != "unknown")),
        ),
        Field(name="bpm", label=N_("BPM"), default=None),
        Field(name="keyscale", label=N_("Key Scale"), default=""),
        Field(name="timesignature", label=N_("Time Signature"), default="", options=("", *TIME_SIGNATURES)),
        Field(name="duration", label=N_("Audio Duration"), default=-1.0),
        Field(name="batch_size", label=N_("Batch Size"), default=2, low=1, high=MAX_BATCH),
        Field(name="inference_steps", label=N_("Inference Steps"), default=8, low=1, high=200),
        Field(name="shift", label=N_("Shift"), default=3.0, low=1.0, high=5.0),
        Field(name="seed", label=N_("Seed"), default="-1"),
        Field(name="use_random_seed", label=N_("Random Seed"), default=True),
        Field(
            name="audio_format",
            label=N_("Audio Format"),
            default="mp3",
            options=tuple(kind.value for kind in AudioFormat),
        ),
        Field(name="guidance_scale", label=N_("Guidance Scale"), default=7.0, low=1.0, high=15.0, guided=True),
        Field(name="use_adg", label=N_("Use ADG"), default=False, neutral=False, guided=True),
        Field(
            name="cfg_interval_start",
            label=N_("CFG Interval Start"),
            default=0.0,
            low=0.0,
            high=1.0,
            neutral=0.0,
            guided=True,
        ),
        Field(
            name="cfg_interval_end",
            label=N_("CFG Interval End"),
            default=1.0,
            low=0.0,
            high=1.0,
            neutral=1.0,
            guided=True,
        ),
        Field(
            name="infer_method",
            label=N_("Inference Method"),
            default=Method.ODE.value,
            options=tuple(kind.value for kind in Method),
        ),
        Field(name="timesteps", label=N_("Custom Timesteps"), default=""),
        Field(name="reference_audio", label=N_("Reference Audio"), default=""),
        Field(name="audio_codes", label=N_("LM Codes Hints"), default=""),
        Field(name="audio_cover_strength", label=N_("LM Codes Strength"), default=1.0, low=0.0, high=1.0),
        Field(name="enable_normalization", label=N_("Normalize Peaks"), default=True),
        Field(name="normalization_db", label=N_("Peak Level"), default=-1.0, low=-10.0, high=0.0),
        Field(name="latent_shift", label=N_("Latent Shift"), default=0.0, low=-0.2, high=0.2),
        Field(name="latent_rescale", label=N_("Latent Rescale"), default=1.0, low=0.5, high=1.5),
        Field(name="thinking", label=N_("Think"), default=True, neutral=False, lm=True),
        Field(name="allow_lm_batch", label=N_("ParallelThinking"), default=True),
        Field(name="use_cot_caption", label=N_("CaptionRewrite"), default=True, neutral=False, lm=True),
        Field(name="use_cot_metas", label=N_("CoT Metas"), default=True, neutral=False, lm=True),
        Field(name="use_cot_language", label=N_("CoT Language"), default=True, neutral=False, lm=True),
        Field(name="lm_temperature", label=N_("LM Temperature"), default=0.85, low=0.0, high=2.0),
        Field(name="lm_cfg_scale", label=N_("LM CFG Scale"), default=2.0, low=1.0, high=3.0),
        Field(name="lm_top_k", label=N_("LM Top-K"), default=0, low=0, high=100),
        Field(name="lm_top_p", label=N_("LM Top-P"), default=0.9, low=0.0, high=1.0),
        Field(name="lm_negative_prompt", label=N_("LM Negative Prompt"), default="NO USER INPUT"),
        Field(name="lm_batch_chunk_size", label=N_("LM Batch Chunk Size"), default=8, low=1, high=32),
        Field(name="constrained_decoding_debug", label=N_("Constrained Decoding Debug"), default=False),
        Field(name="auto_score", label=N_("Auto Score"), default=False),
        Field(name="auto_lrc", label=N_("Auto LRC"), default=False),
        Field(name="score_scale", label=N_("Quality Score Sensitivity"), default=0.5, low=0.01, high=1.0),
        Field(name="autogen", label=N_("AutoGen"), default=False),
        Field(name="formatted", label=N_("Already formatted"), default=False),
    )
}
_ENGINE_NAMES = {
    "key_scale": "keyscale",
    "time_signature": "timesignature",
    "steps": "inference_steps",
    "seeds": "seed",
}
_OTHER_LABELS = {
    "repair": N_("New words"),
    "recording_delay": N_("Delay of this machine"),
    "task_type": N_("Task"),
    "model": N_("Model"),
    "instruction": N_("Instruction"),
    "parameters": N_("The file"),
    "lora_path": N_("LoRA Path"),
    "lora_scale": N_("LoRA Scale"),
    "use_lora": N_("Use LoRA"),
    "adapters": N_("Adapters"),
    "device": N_("Device"),
    "tensors": N_("Tensor directory"),
    "out": N_("Output directory"),
    "resume": N_("Resume checkpoint"),
    "export_path": N_("Export path"),
    "quantization": N_("INT8 Quantization"),
    "rank": N_("LoRA Rank (r)"),
    "alpha": N_("LoRA Alpha"),
    "dropout": N_("LoRA Dropout"),
    "learning_rate": N_("Learning Rate"),
    "epochs": N_("Max Epochs"),
    "decay": N_("Learning rate after warm-up"),
    "warmup_steps": N_("Warm-up"),
    "timesteps": N_("Noise levels"),
    "condition_dropout": N_("Left-out words"),
    "accumulation": N_("Gradient Accumulation"),
    "save_every": N_("Save Every N Epochs"),
    "crop_frames": N_("Longest clip"),
    "ema": N_("Average of the weights"),
    "validation": N_("Held-out songs"),
    "keep": N_("Checkpoints kept"),
    "factor": N_("Factor"),
    "decompose_both": N_("Decompose both blocks"),
    "weight_decompose": N_("Decompose weights (DoRA)"),
    "prompts": N_("Prompts"),
    "sample_every": N_("Take Every N Epochs"),
    "sample_seconds": N_("Length of a take"),
    "src_audio": N_("Source Audio"),
    "cover_noise_strength": N_("Melody Strength"),
    "repainting_start": N_("Repainting Start"),
    "repainting_end": N_("Repainting End"),
    "repainting_more": N_("Further Regions"),
    "repaint_mode": N_("Repaint Feel"),
    "repaint_strength": N_("Repaint Strength"),
    "track_name": N_("Track Name"),
    "complete_track_classes": N_("Track Names"),
    "outside": N_("Outside the region"),
    "dataset": N_("Dataset"),
    "folder": N_("Folder"),
    "path": N_("Save Path"),
    "upload": N_("The upload"),
    "upload_name": N_("Folder for the upload"),
    "only_unlabelled": N_("Only unlabelled"),
    "genre": N_("Genre"),
    "language": N_("Language"),
    "name": N_("Dataset Name"),
}


def label(name: str) -> str:
    """Return the words for a setting, under whichever name services or engine call it."""
    field = FIELDS.get(_ENGINE_NAMES.get(name, name))
    return _(field.label if field else _OTHER_LABELS.get(name, name))


def key(name: str) -> str:
    """Return the widget key of the field `name`."""
    return FIELDS[name].key


def seed(model: ModelView | None, limits: Limits | None = None) -> None:
    """Give every field a value before its widget is drawn; a newly loaded model brings its own steps and shift."""
    batch = FIELDS["batch_size"]
    if batch.key not in st.session_state:  # a default that the device can't do is no wish to be refused
        st.session_state[batch.key] = min(runtime.settings().batch_size, limits.batch if limits else MAX_BATCH)
    for field in FIELDS.values():
        st.session_state.setdefault(field.key, default(field.name, model))
    if model is not None and st.session_state.get(_MODEL) != model.name:
        first = _MODEL not in st.session_state
        st.session_state[_MODEL] = model.name
        for field in (FIELDS["inference_steps"], FIELDS["shift"]):
            if not first or st.session_state[field.key] == field.default:
                st.session_state[field.key] = default(field.name, model)
    _limit_steps(steps_limit(model))
    if limits is not None:
        _limit("duration", limits.duration)
        _limit("batch_size", limits.batch)


def steps_limit(model: ModelView | None) -> int:
    """Return the most inference steps the form offers."""
    return model.max_steps if model else int(FIELDS["inference_steps"].high or 1)


def closed(name: str, by: bool) -> bool:
    """Return `by`, whether the field's widget is disabled, and keep what was typed into it just before.

    Streamlit drops a value that arrives together with `disabled`, as when lyrics are typed and Instrumental is ticked
    at once; a value set here stays.
    """
    if by:
        st.session_state[key(name)] = st.session_state[key(name)]
    return by


def guided(model: ModelView | None) -> bool:
    """Whether the controls of guidance mean something: turbo has it built in."""
    return model is not None and model.family != "turbo"


def has_lm(status: StatusView) -> bool:
    """Whether a language model is loaded."""
    return status.ready and status.lm.ready


def collect(status: StatusView) -> dict[str, object]:
    """Return the form as services take it; a control that does not apply now sends its neutral value."""
    with_guidance, with_lm = guided(status.model), has_lm(status)
    return {
        field.name: field.neutral
        if (field.guided and not with_guidance) or (field.lm and not with_lm)
        else st.session_state[field.key]
        for field in FIELDS.values()
    }


def put(**values: object) -> None:
    """Fill some fields, as far as their widgets can hold the values; only before the widgets are drawn."""
    for name, value in values.items():
        st.session_state[key(name)] = FIELDS[name].fit(value)


def touched() -> None:
    """Remember that a person changed what the language model had written; a callback."""
    st.session_state[FORMATTED] = False


def apply(
    settings: Mapping[str, object], model: ModelView | None = None, seeds: Sequence[int] = (), take_id: str = ""
) -> None:
    """Fill every field from `settings` and show them all (Custom); with `seeds`, fix the seeds that were used.

    `take_id` names the take they are copied from, which becomes a parent of what is made with them.

    A callback: it must run before the widgets exist. What a widget can't hold is remembered under ADJUSTED.
    """
    wanted = dict(settings)
    if seeds:
        wanted |= {"seed": ", ".join(str(number) for number in seeds), "use_random_seed": False}
    adjusted = []
    for field in FIELDS.values():
        value = wanted.get(field.name)
        fitted = default(field.name, model) if value is None else field.fit(value)
        if value is not None and fitted != value:
            adjusted.append(field.name)
        st.session_state[field.key] = fitted
    st.session_state[ADJUSTED] = adjusted
    st.session_state[MODE] = CUSTOM
    st.session_state[APPLIED] = take_id
    if model is not None:
        st.session_state[_MODEL] = model.name


def show(name: str, value: object) -> str:
    """Write the value of a setting for people: Auto, 4/4, 12 s, yes."""
    if isinstance(value, bool):
        return _("yes") if value else _("no")
    if value is None or value == "" or (name == "duration" and value == -1):
        return _("empty") if name in ("caption", "lyrics") else _("Auto")
    if name == "duration" and isinstance(value, int | float):
        return seconds(value)
    if name in ("timesignature", "time_signature"):
        return METRES.get(str(value), str(value))
    if name == "repainting_more" and isinstance(value, list | tuple) and value:
        return ", ".join(
            f"{seconds(start)} – {_('end') if end == SOURCE_END else seconds(end)}" for start, end in value
        )
    if name == "adapters" and isinstance(value, list):
        return " + ".join(f"{one['name']} ({one['scale']:g})" for one in value) or _("none")
    if isinstance(value, list | tuple):
        return ", ".join(str(item) for item in value)
    return f"{value:g}" if isinstance(value, float) else str(value)


def _limit(name: str, most: float) -> None:
    """Lower a value to what model and machine allow, and say so."""
    field, value = FIELDS[name], st.session_state[key(name)]
    if isinstance(value, int | float) and value > most:
        st.session_state[field.key] = float(most) if isinstance(field.default, float) else int(most)
        st.session_state.setdefault(ADJUSTED, []).append(name)


def _limit_steps(limit: int) -> None:
    """Keep the steps when the slider's range changes: a slider with another range is a new widget to Streamlit."""
    name = key("inference_steps")
    steps = st.session_state[name]
    if steps > limit:
        st.session_state.setdefault(ADJUSTED, []).append("inference_steps")
    if steps > limit or st.session_state.get(_LIMIT, limit) != limit:
        st.session_state[name] = min(steps, limit)
    st.session_state[_LIMIT] = limit


def default(name: str, model: ModelView | None) -> str | float | bool | None:
    """Return what the field `name` holds before anybody touches it; steps and shift are the model's own."""
    if model is not None and name == "inference_steps":
        return model.steps
    if model is not None and name == "shift":
        return model.shift
    return FIELDS[name].default
