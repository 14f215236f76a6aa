"""The settings of a run: presets, the adapter, the training parameters and what saves memory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

import streamlit as st

from studio.i18n import N_
from studio.services.training.presets import DEFAULTS, LOKR, PRESETS, preset_values
from studio.ui.fields import label
from studio.ui.text import _

PREFIX = "train."
PATHS = {"tensors": "./datasets/preprocessed_tensors", "out": "./lora_output", "resume": ""}
FRAMES = 25  # a second
_PRESETS = {
    "default": N_("Default (32 GB)"),
    "24": N_("24 GB"),
    "16": N_("16 GB"),
    "12": N_("12 GB"),
    "8": N_("8 GB"),
}
_KINDS = {"lora": N_("LoRA"), "lokr": N_("LoKr")}
_OPTIMIZERS = {"adamw": N_("AdamW"), "adamw8bit": N_("AdamW with 8-bit states"), "adafactor": N_("Adafactor")}
_DECAYS = {"cosine": N_("Cosine"), "linear": N_("Linear"), "constant": N_("Constant")}
_TIMESTEPS = {
    None: N_("as the model was trained"),
    "discrete": N_("the eight that turbo plays with"),
    "logit_normal": N_("mostly in the middle"),
    "uniform": N_("evenly"),
}


@dataclass(frozen=True, slots=True)
class _Range:
    """What a widget lets through; the rules beyond are the service's."""

    low: float
    high: float | None
    step: float
    help: str
    format: str | None = None


_RANGES: Mapping[str, _Range] = {
    "rank": _Range(4, 256, 4, N_("How much the adapter can hold; more takes more memory.")),
    "alpha": _Range(4, 512, 4, N_("How strongly it works, usually twice the rank.")),
    "dropout": _Range(0.0, 0.5, 0.05, N_("Share of the adapter's inputs left out at random, against over-fitting.")),
    "learning_rate": _Range(0.0, None, 1e-5, N_("How far each update goes; must be above 0."), "%.6f"),
    "epochs": _Range(1, 4000, 1, N_("How often every song is heard.")),
    "batch_size": _Range(1, 8, 1, N_("Songs at a time; less takes less memory and longer.")),
    "accumulation": _Range(1, 16, 1, N_("Batches an update; keeps the effective batch while each one is small.")),
    "save_every": _Range(1, None, 1, N_("A checkpoint is saved after every so many epochs, and whenever you stop.")),
    "shift": _Range(1.0, 5.0, 0.5, N_("Moves training towards noisier moments; 3 is what turbo models are used with.")),
    "seed": _Range(0, 2**32 - 1, 1, N_("The same seed with the same songs and settings gives the same adapter.")),
    "keep": _Range(1, 1000, 1, N_("Older checkpoints than the newest so many are removed.")),
    "ema": _Range(0.0, 0.9999, 0.001, N_("Decay of a running average that is saved instead; 0 is none."), "%.4f"),
    "warmup_steps": _Range(0, None, 10, N_("Updates until the full rate is reached, at most a tenth of all.")),
    "condition_dropout": _Range(0.0, 1.0, 0.05, N_("Share of the songs heard without their words, for guidance.")),
    "factor": _Range(-1, 512, 1, N_("Size of the smaller block; -1 is near the square root.")),
    "sample_every": _Range(0, 4000, 1, N_("Epochs between takes of the prompts below; 0 makes none.")),
    "sample_seconds": _Range(1.0, 120.0, 1.0, N_("Length of each take in seconds."), "%.0f"),
    "validation": _Range(0.0, 0.5, 0.05, N_("Share of the songs that is not trained on but measured.")),
}


def key(name: str) -> str:
    """Return the widget key of a setting."""
    return PREFIX + name


def seed() -> None:
    """Give every setting its value before its widget is drawn."""
    own = {"clip_seconds": 0, "preset": "default", "sample_every": 0, "sample_seconds": 10.0, "prompts": ""}
    for name, value in {**DEFAULTS, **PATHS, **own}.items():
        st.session_state.setdefault(key(name), value)


def collect() -> dict[str, object]:
    """Return the settings as the service takes them."""
    values: dict[str, object] = {name: st.session_state[key(name)] for name in DEFAULTS if name != "crop_frames"}
    if values["adapter"] == "lokr":
        values["weight_decompose"] = False  # not drawn for this kind, nor are the others for LoRA
    else:
        values |= {"factor": -1, "decompose_both": False}
    prompts = [line.strip() for line in str(st.session_state[key("prompts")]).splitlines() if line.strip()]
    samples = {name: st.session_state[key(name)] for name in ("sample_every", "sample_seconds")}
    clip = int(st.session_state[key("clip_seconds")]) * FRAMES
    return values | samples | {"prompts": prompts, "crop_frames": clip}


def panel() -> None:
    """Draw all settings."""
    st.selectbox(
        _("Preset"),
        tuple(PRESETS),
        key=key("preset"),
        format_func=lambda name: _(_PRESETS[name]),
        help=_("Fills in settings for a device with so much memory, for a published model and songs of four minutes."),
        on_change=_apply_preset,
        persist_state="session",
    )
    kind = st.segmented_control(
        _("Kind of adapter"),
        tuple(_KINDS),
        key=key("adapter"),
        format_func=lambda name: _(_KINDS[name]),
        help=_("LoKr is smaller and learns faster; fewer programs play it."),
        on_change=_apply_kind,
        required=True,
        persist_state="session",
    )
    for column, name in zip(st.columns(3), ("rank", "alpha", "dropout"), strict=True):
        with column:
            _slider(name)
    _of_kind(str(kind))
    for row in (("learning_rate", "epochs", "batch_size"), ("accumulation", "save_every", "shift")):
        for column, name in zip(st.columns(3), row, strict=True):
            with column:
                _slider(name) if name == "shift" else _number(name)
    first, second, _rest = st.columns(3)
    with first:
        _number("seed")
    with second:
        _number("keep")
    _memory()
    _schedule()
    _samples()


def _schedule() -> None:
    with st.expander(_("Schedule and noise levels")):
        first, second = st.columns(2)
        first.selectbox(
            label("decay"),
            tuple(_DECAYS),
            key=key("decay"),
            format_func=lambda name: _(_DECAYS[name]),
            persist_state="session",
        )
        second.selectbox(
            label("timesteps"),
            tuple(_TIMESTEPS),
            key=key("timesteps"),
            format_func=lambda name: _(_TIMESTEPS[name]),
            persist_state="session",
        )
        with first:
            _number("warmup_steps")
        with second:
            _number("condition_dropout", _(_TIMESTEPS[None]))


def _of_kind(kind: str) -> None:
    if kind == "lokr":
        factor, both = st.columns([1, 2], vertical_alignment="bottom")
        with factor:
            _number("factor")
        both.checkbox(
            _("Decompose both blocks"),
            key=key("decompose_both"),
            help=_("A smaller adapter still. Tucker, scalar and weight decomposition are not there for LoKr in peft."),
            persist_state="session",
        )
    else:
        st.checkbox(
            _("Decompose weights (DoRA)"),
            key=key("weight_decompose"),
            help=_("Trains the length of each row apart from its direction; slower, often closer."),
            persist_state="session",
        )


def _samples() -> None:
    with st.expander(_("Takes while training")):
        st.text_area(
            _("Prompts"),
            key=key("prompts"),
            placeholder=_("one caption a line, up to eight"),
            help=_("Each is played with the same seed by the bare model and by the adapter as it learns."),
            persist_state="session",
        )
        every, length = st.columns(2)
        with every:
            _number("sample_every")
        with length:
            _number("sample_seconds")


def paths() -> None:
    """Draw where the run is written to, and what it goes on from."""
    st.text_input(
        _("Output directory"),
        key=key("out"),
        help=_("Checkpoints, the final adapter and the log lie here. A new folder for each LoRA."),
        persist_state="session",
    )
    st.text_input(
        _("Resume checkpoint"),
        key=key("resume"),
        placeholder=_("empty: start afresh"),
        help=_("The folder of a checkpoint, or of a run to go on from its newest one. Settings must be the same."),
        persist_state="session",
    )


def _memory() -> None:
    with st.expander(_("Memory, optimizer and averages")):
        st.checkbox(
            _("Gradient checkpointing"),
            key=key("checkpointing"),
            help=_("Keeps less of each layer and computes it again: much less memory, about a third slower."),
            persist_state="session",
        )
        first, second = st.columns(2)
        first.number_input(
            _("Longest clip"),
            min_value=0,
            max_value=600,
            key=key("clip_seconds"),
            help=_("In seconds: of longer songs a random part is heard each time. 0 is whole songs."),
            persist_state="session",
        )
        second.selectbox(
            _("Optimizer"),
            tuple(_OPTIMIZERS),
            key=key("optimizer"),
            format_func=lambda name: _(_OPTIMIZERS[name]),
            persist_state="session",
        )
        with first:
            _number("ema")
        with second:
            _number("validation")


def _number(name: str, placeholder: str | None = None) -> None:
    limits = _RANGES[name]
    st.number_input(
        label(name),
        min_value=limits.low,
        max_value=limits.high,
        step=limits.step,
        format=limits.format,
        key=key(name),
        help=_(limits.help),
        placeholder=placeholder,
        persist_state="session",
    )


def _slider(name: str) -> None:
    limits = _RANGES[name]
    st.slider(
        label(name),
        limits.low,
        limits.high,
        step=limits.step,
        key=key(name),
        help=_(limits.help),
        persist_state="session",
    )


def _apply_kind() -> None:
    """Fill in what is usual for the kind; a callback."""
    chosen = str(st.session_state[key("adapter")])
    for name, value in LOKR.items():
        st.session_state[key(name)] = value if chosen == "lokr" else DEFAULTS[name]


def _apply_preset() -> None:
    """Fill in a preset, for the kind of adapter that is chosen; a callback."""
    kind = st.session_state[key("adapter")]
    values = {**preset_values(str(st.session_state[key("preset")])), **(LOKR if kind == "lokr" else {})}
    for name, value in values.items():
        if name == "crop_frames":
            st.session_state[key("clip_seconds")] = cast(int, value) // FRAMES
        else:
            st.session_state[key(name)] = value
