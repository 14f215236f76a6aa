"""Advanced settings: how the DiT works, how the language model works, and what happens to the result."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from studio.services.views import ModelView, StatusView
from studio.ui import fields
from studio.ui.fields import FIELDS, key
from studio.ui.panels.choices import checkbox, slider, why_no_lm
from studio.ui.text import _, plain

_TURBO_SHIFTS = (1.0, 2.0, 3.0)
_SAMPLE = "0.97, 0.76, 0.615, 0.5, 0.395, 0.28, 0.18, 0.085, 0"


_DIFFUSION = (
    *("inference_steps", "shift", "infer_method", "timesteps", "guidance_scale", "use_adg", "cfg_interval_start"),
    *("cfg_interval_end", "use_random_seed", "audio_format"),
)
_PLANNING = (
    *("lm_temperature", "lm_cfg_scale", "lm_top_k", "lm_top_p", "use_cot_metas", "use_cot_language"),
    *("lm_negative_prompt", "constrained_decoding_debug"),
)
_RESULT = (
    *("audio_cover_strength", "auto_score", "score_scale", "auto_lrc", "lm_batch_chunk_size", "enable_normalization"),
    *("normalization_db", "latent_shift", "latent_rescale"),
)


def panel(model: ModelView | None, status: StatusView, *, unused: str = "") -> None:
    """Draw the three groups; `unused` says why the language model has no part in the page's task."""
    with st.expander(_("Advanced Settings")):
        _diffusion(model)
        _seeds_and_format()
    _changed(_DIFFUSION, model)
    with st.expander(_("Language Model Settings")):
        _language_model(status, unused)
    _changed(_PLANNING, model)
    with st.expander(_("Generation Options")):
        _options(status, unused)
    _changed(_RESULT, model)


def _changed(names: Sequence[str], model: ModelView | None) -> None:
    """Name under a group what is not at its default in it, so that nobody has to open it to know."""
    told = [name for name in names if fields.guided(model) or not FIELDS[name].guided]
    values = {name: st.session_state[key(name)] for name in told}
    words = [
        f"{_(FIELDS[name].label)} **{plain(fields.show(name, value))}**"
        for name, value in values.items()
        if value != fields.default(name, model)
    ]
    with st.container():  # a word that comes or goes here must not move, and so close, the panels below
        if words:
            st.caption(_("Changed: {settings}").format(settings=", ".join(words)))


def _diffusion(model: ModelView | None) -> None:
    st.slider(
        _("Inference Steps"),
        1,
        fields.steps_limit(model),
        key=key("inference_steps"),
        help=_("More steps cost more time and add detail. Turbo models are made for 8."),
        persist_state="session",
    )
    slider(
        "shift",
        0.1,
        _("Where along the way from noise to music the steps are spent. 3.0 is advised for turbo models."),
        form="%.1f",
    )
    shift = st.session_state[key("shift")]
    if model is not None and not fields.guided(model) and shift not in _TURBO_SHIFTS:
        st.caption(
            _("Turbo was trained with shifts 1, 2 and 3 only; {shift} is used as it is, {near} is the nearest.").format(
                shift=f"{shift:g}", near=f"{min(_TURBO_SHIFTS, key=lambda known: abs(known - shift)):g}"
            )
        )
    st.segmented_control(
        _("Inference Method"),
        FIELDS["infer_method"].options,
        key=key("infer_method"),
        required=True,
        help=_("ode goes the straight way and gives the same again for a seed; sde adds new noise after every step."),
        persist_state="session",
    )
    st.text_input(
        _("Custom Timesteps"),
        key=key("timesteps"),
        placeholder=_SAMPLE,
        help=_("Numbers from 1 down to 0 with commas between. They take the place of steps and shift."),
        persist_state="session",
    )
    if warning := _timesteps_warning():
        st.warning(warning)
    if fields.guided(model):
        _guidance()
    elif model is not None:
        st.caption(_("Guidance Scale, Use ADG and the CFG interval are hidden: turbo has its guidance built in."))


def _timesteps_warning() -> str:
    text = st.session_state[key("timesteps")].replace("，", ",").strip()
    if not text:
        return ""
    try:
        levels = [float(part) for part in text.split(",") if part.strip()]
    except ValueError:
        return _("Custom Timesteps must be numbers with commas between; Generate will refuse these.")
    if not all(0 <= level <= 1 for level in levels):
        return _("Custom Timesteps must lie between 0 and 1; Generate will refuse these.")
    count = len([level for level in levels if level > 0])
    if count != st.session_state[key("inference_steps")]:
        return _("{n} custom timesteps are used instead of {steps} inference steps.").format(
            n=count, steps=st.session_state[key("inference_steps")]
        )
    return ""


def _guidance() -> None:
    slider("guidance_scale", 0.1, _("How closely the prompt is followed. 1 is no guidance, 7 is usual."), form="%.1f")
    checkbox("use_adg", _("Angle-based guidance: often better, and slower."))
    start, end = st.columns(2)
    with start:
        slider("cfg_interval_start", 0.01, _("Where along the run guidance begins; 0 is the first step."))
    with end:
        slider("cfg_interval_end", 0.01, _("Where guidance stops; 1 is after the last step."))
    if st.session_state[key("cfg_interval_start")] > st.session_state[key("cfg_interval_end")]:
        st.error(_("CFG Interval Start must not be above CFG Interval End."), icon=":material/warning:")


def _seeds_and_format() -> None:
    st.text_input(
        _("Seed"),
        key=key("seed"),
        disabled=fields.closed("seed", st.session_state[key("use_random_seed")]),
        help=_("One number, or one a take with commas between; −1 is random. Used when Random Seed is off."),
        persist_state="session",
    )
    checkbox(
        "use_random_seed", _("Draw new seeds for every batch. They are written into Seed and kept with the takes.")
    )
    st.selectbox(
        _("Audio Format"),
        FIELDS["audio_format"].options,
        key=key("audio_format"),
        help=_("mp3, opus and aac are small; flac and wav keep every sample."),
        persist_state="session",
    )


def _language_model(status: StatusView, unused: str) -> None:
    reason = unused or why_no_lm(status)
    if reason:
        st.caption(reason)
    slider("lm_temperature", 0.05, _("Higher is more varied, lower is safer."), reason=reason)
    slider("lm_cfg_scale", 0.1, _("How closely codes follow the prompt; 1 is off."), reason=reason, form="%.1f")
    slider("lm_top_k", 1, _("Draw from the likeliest this many tokens only; 0 is off."), reason=reason)
    slider("lm_top_p", 0.01, _("Draw from the likeliest tokens up to this share; 1 is off."), reason=reason)
    checkbox("use_cot_metas", _("Let it choose BPM, key, metre and length where you left them open."), reason=reason)
    checkbox("use_cot_language", _("Let it choose the language where Vocal Language is Unknown."), reason=reason)
    if fields.has_lm(status) or st.session_state.get("service.init_lm"):
        st.text_input(
            _("LM Negative Prompt"),
            key=key("lm_negative_prompt"),
            disabled=fields.closed("lm_negative_prompt", bool(reason)),
            help=_("What codes are to move away from; works with an LM CFG Scale above 1."),
            persist_state="session",
        )
    checkbox("constrained_decoding_debug", _("Keep a log line for every token it writes."), reason=reason)


def _options(status: StatusView, unused: str) -> None:
    reason = unused or why_no_lm(status)
    if not unused:
        _strength(status)
    checkbox("auto_score", _("Score every take when it is done. A score that fails never fails the batch."))
    slider("score_scale", 0.01, _("Lower makes scores react more strongly."))
    checkbox("auto_lrc", _("Time the lyrics of every take when it is done. Needs lyrics."))
    slider("lm_batch_chunk_size", 1, _("How many takes the language model thinks about at once."), reason=reason)
    checkbox("enable_normalization", _("Bring the highest peak to the level below."))
    off = "" if st.session_state[key("enable_normalization")] else _("Normalize Peaks is off.")
    slider("normalization_db", 0.1, _("Highest peak in dBFS."), reason=off, form="%.1f")
    shift, scale = st.columns(2)
    with shift:
        slider("latent_shift", 0.01, _("Added to the latents before they are decoded; 0 changes nothing."))
    with scale:
        slider("latent_rescale", 0.01, _("Multiplied with the latents before they are decoded; 1 changes nothing."))


def _strength(status: StatusView) -> None:
    """One value with three names (product.md 2.10); without anything to follow it has no effect."""
    codes = bool(st.session_state[key("audio_codes")].strip())
    thinks = fields.has_lm(status) and st.session_state[key("thinking")]
    reference = bool(st.session_state[key("reference_audio")])
    words = _("LM Codes Strength") if codes or thinks or not reference else _("Similarity Strength")
    reason = "" if codes or thinks else _("There are no codes to follow: it works with Think, or with LM Codes Hints.")
    slider(
        "audio_cover_strength",
        0.01,
        _("The share of the steps that follow the codes; the rest run as plain text to music."),
        words=words,
        reason=reason,
    )
