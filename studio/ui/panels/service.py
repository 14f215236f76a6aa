"""Service Configuration: which models to load, where and how, and what is loaded now."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from studio.engine.memory import LM_SIZES
from studio.engine.setup import Attention, Quantization, Setup
from studio.errors import StudioError
from studio.i18n import LANGUAGES
from studio.services.views import LmView, ModelView, StatusView, WorkerState
from studio.ui import jobs, notices
from studio.ui.panels import devices, download, hardware, loaded, lora
from studio.ui.panels.download import OPEN
from studio.ui.runtime import settings, studio
from studio.ui.shell import word
from studio.ui.text import _, language, plain, speak

BACKENDS = ("pt", "vllm")
REMOTE = "remote"
NONE, INT8 = "none", "int8"
_ALL = ""
_PLACE = "service"  # where errors stand


def panel(status: StatusView) -> DeltaGenerator:
    """Draw the panel, open until a model is ready; return the place beside the status where progress belongs."""
    with st.expander(
        _("Service Configuration"), expanded=not status.ready or OPEN in st.session_state, icon=":material/tune:"
    ):
        models = _models()
        _seed(models, status)
        _language()
        _model_row(models, status)
        devices.row(_follow_tier)
        _lm_row()
        _switches()
        _initialize_row(status)
        progress = st.container()
        loaded.status_box(status)
        st.divider()
        lora.row(status)
    return progress


@st.cache_data(ttl=60, show_spinner=False)
def _found() -> tuple[list[ModelView], list[LmView]]:
    """Reading every checkpoint's files at each rerun would cost more than all widgets; Refresh looks again."""
    usable = [lm for lm in studio().language_models() if not lm.problem]
    return [*studio().models(), *studio().published()], [*usable, *studio().published_lms()]


def _models() -> dict[str, ModelView]:
    root = st.session_state.get("service.root", _ALL)
    return {model.name: model for model in _found()[0] if root in (_ALL, model.folder)}


def _lms() -> dict[str, LmView]:
    root = st.session_state.get("service.root", _ALL)
    return {lm.name: lm for lm in _found()[1] if root in (_ALL, lm.folder)}


def chosen(status: StatusView) -> ModelView | None:
    """Return the model the form is for: the loaded one, or the chosen one until one is loaded (product.md 1.X.1)."""
    return status.model or _models().get(st.session_state.get("service.model") or "")


def _language() -> None:
    """The choice counts for every page of the session; until there is one, the browser's language does."""
    st.session_state.setdefault("language", language())
    st.selectbox(
        _("UI Language"),
        list(LANGUAGES),
        key="language",
        format_func=lambda code: LANGUAGES[code],
        on_change=lambda: speak(st.session_state["language"]),
        persist_state="session",
    )


def _model_row(models: Mapping[str, ModelView], status: StatusView) -> None:
    if not any(model.here for model in models.values()):
        st.warning(_("No model was found. Put a checkpoint folder into data/models or data/checkpoints."))
    root, choice, refresh = st.columns([2, 4, 1], vertical_alignment="bottom")
    roots = [_ALL, str(settings().models_dir), str(settings().checkpoints_dir)]
    root.selectbox(
        _("Checkpoint File"),
        roots,
        key="service.root",
        format_func=lambda folder: f"{Path(folder).parent.name}/{Path(folder).name}" if folder else _("All folders"),
        help=_("The folder that checkpoints are read from: the bundled ones, your own, or both."),
        persist_state="session",
    )
    choice.selectbox(
        _("Main Model Path"),
        list(models),
        key="service.model",
        format_func=lambda name: _model_words(models[name]) if name in models else str(name),
        placeholder=_("no model"),
        help=_("The DiT that renders the sound. Turbo is quick, sft and base take guidance, base knows all tasks."),
        disabled=not models,
        on_change=_model_chosen,
        persist_state="session",
    )
    refresh.button(
        _("Refresh"), key="service.refresh", icon=":material/refresh:", on_click=_found.clear, width="stretch"
    )
    other = models.get(st.session_state["service.model"])
    if other is not None and not other.here:
        download.offer(other.name)
    if other is not None and status.model is not None and other.name != status.model.name:
        st.caption(
            _(
                "{loaded} stays loaded until you press Initialize Service; {chosen} then comes with {steps} steps."
            ).format(loaded=plain(status.model.name), chosen=plain(other.name), steps=other.steps)
        )


def _model_words(model: ModelView) -> str:
    if model.here:
        return f"{model.name} ({model.family})"
    return _("{name} ({family}, is downloaded first)").format(name=model.name, family=model.family)


def _lm_words(lm: LmView) -> str:
    return lm.name if lm.here else _("{name} (is downloaded first)").format(name=lm.name)


def _lm_row() -> None:
    names = _lms()
    choice, backend, load = st.columns([3, 1, 2], vertical_alignment="bottom")
    choice.selectbox(
        _("5Hz LM Model Path"),
        list(names),
        key="service.lm",
        format_func=lambda name: _lm_words(names[name]) if name in names else str(name),
        placeholder=_("no language model was found"),
        help=_("The language model that plans: 0.6B is quick, 1.7B the usual one, 4B the best."),
        disabled=not names,
        persist_state="session",
    )
    backend.selectbox(
        _("5Hz LM Backend"),
        (*BACKENDS, REMOTE) if settings().lm_url else BACKENDS,
        key="service.backend",
        help=_("vllm is faster and needs its own package; pt runs everywhere."),
        disabled=not names,
        persist_state="session",
    )
    load.checkbox(
        _("Initialize 5Hz LM"),
        key="service.init_lm",
        help=_("Needed for Think, Format, Create Sample, Transcribe, Auto-Label and the codes part of scores."),
        disabled=not names,
        persist_state="session",
    )
    wanted = names.get(st.session_state["service.lm"] or "")
    if wanted is not None and not wanted.here and st.session_state["service.init_lm"]:
        download.offer(wanted.name)
    _warn_of_size(st.session_state["service.lm"])


def _warn_of_size(lm: str | None) -> None:
    """A language model larger than the tier's list is a risk, not an error (product.md G-07)."""
    sizes = devices.memory().tier.lm_sizes
    size = next((size for size in LM_SIZES if lm and size in lm), None)
    if lm is not None and size is not None and size not in sizes:
        st.warning(
            _("{name} is larger than what fits this tier ({sizes}); it may run out of memory.").format(
                name=plain(lm), sizes=", ".join(sizes) or _("none")
            )
        )


def _switches() -> None:
    flash_reason = "" if hardware.card() else _("Flash attention needs a CUDA device of compute capability 8 or more.")
    offload_reason = (
        ""
        if devices.memory().separate
        else _("On the CPU there is nothing to move: models are in the machine's memory.")
    )
    flash, compiled, offload, offload_dit = st.columns(4)
    flash.checkbox(
        _("Use Flash Attention"),
        key="service.flash",
        disabled=bool(flash_reason),
        help=flash_reason or _("Use the flash kernel only; without it torch chooses for itself."),
        persist_state="session",
    )
    compiled.checkbox(
        _("Compile Model"),
        key="service.compile",
        help=_("The first run takes minutes longer, later ones of the same length are faster."),
        persist_state="session",
    )
    offload.checkbox(
        _("Offload to CPU"),
        key="service.offload",
        disabled=bool(offload_reason),
        help=offload_reason or _("Parts that are not at work wait in the machine's memory."),
        persist_state="session",
    )
    offload_dit.checkbox(
        _("Offload DiT to CPU"),
        key="service.offload_dit",
        disabled=bool(offload_reason) or not st.session_state["service.offload"],
        help=_("Move the DiT too. Works only together with Offload to CPU."),
        persist_state="session",
    )
    st.selectbox(
        _("INT8 Quantization"),
        (NONE, INT8),
        key="service.quantization",
        format_func=lambda kind: _("INT8 weight-only") if kind == INT8 else _("None"),
        help=_("Stores the DiT's weights in half the memory, for a small loss."),
        persist_state="session",
    )


def _initialize_row(status: StatusView) -> None:
    reason = ""
    if status.state == WorkerState.GONE:
        reason = word(status)
    elif status.state == WorkerState.LOADING:
        reason = _("The model is still being loaded.")
    elif st.session_state.get("service.model") is None:
        reason = _("There is no model to load.")
    elif busy := jobs.held_by():
        reason = _("A job has the model: {job}").format(job=busy)
    st.button(
        _("Initialize Service"),
        key="service.initialize",
        type="secondary" if status.ready else "primary",
        disabled=bool(reason),
        help=reason
        or _("Load what is chosen above in place of what is loaded now. An adapter has to be loaded again."),
        on_click=initialize,
        width="stretch",
    )
    if reason:
        st.caption(reason)
    notices.kept(_PLACE)


def _seed(models: Mapping[str, ModelView], status: StatusView) -> None:
    """Begin with what the settings say, and below that with the tier's defaults."""
    wanted, names = settings(), _lms()
    st.session_state.setdefault("service.device", wanted.device)
    st.session_state.setdefault("service.played", float(wanted.max_vram_gb))
    if st.session_state.get("service.model") not in models:
        st.session_state["service.model"] = _first(models, status.model.name if status.model else wanted.model)
    if st.session_state.get("service.lm") not in names:
        st.session_state["service.lm"] = _recommended(names)
    if "service.init_lm" not in st.session_state:
        _follow_tier()
        st.session_state["service.flash"] = wanted.attention == Attention.FLASH.value
        st.session_state["service.compile"] = wanted.compile == "on"
        if wanted.offload != "auto":
            st.session_state["service.offload"] = wanted.offload == "on"
        if wanted.offload_dit != "auto":
            st.session_state["service.offload_dit"] = wanted.offload_dit == "on"
        if wanted.quantization != "auto":
            st.session_state["service.quantization"] = wanted.quantization
    backend = "vllm" if hardware.card() and wanted.lm_backend != REMOTE else wanted.lm_backend
    st.session_state.setdefault("service.backend", backend if backend != REMOTE or wanted.lm_url else BACKENDS[0])


def _first(models: Mapping[str, ModelView], wanted: str) -> str | None:
    here = {name: model for name, model in models.items() if model.here}
    known = [name for name in (wanted, "acestep-v15-turbo") if name in here]
    turbo = [name for name, model in here.items() if model.family == "turbo"]
    return next(iter((*known, *turbo, *here, *models)), None)


def _recommended(found: Mapping[str, LmView]) -> str | None:
    """Return the tier's language model or the first that is here; nobody asked for the download of another."""
    size, names = devices.memory().tier.lm, [name for name, lm in found.items() if lm.here]
    return next(iter([*[name for name in names if size and size in name], *names, *found]), None)


def _follow_tier() -> None:
    """Set the switches to the defaults of the chosen device's tier."""
    memory, names = devices.memory(), _lms()
    tier = memory.tier
    st.session_state["service.offload"] = tier.offload and memory.separate
    st.session_state["service.offload_dit"] = tier.offload_dit and memory.separate
    st.session_state["service.quantization"] = INT8 if tier.int8 else NONE
    st.session_state["service.lm"] = _recommended(names)
    here = any(lm.here for lm in names.values())
    st.session_state["service.init_lm"] = here and (tier.lm is not None or not memory.separate)


def _model_chosen() -> None:
    """Base models are mostly used without a language model (product.md 1.X.1)."""
    chosen = _models().get(st.session_state["service.model"])
    if chosen is not None and chosen.family == "base":
        st.session_state["service.init_lm"] = False


def setup() -> Setup:
    """Return the choices of the panel as the engine takes them."""
    state = st.session_state
    offload = bool(state["service.offload"]) and devices.memory().separate
    return Setup(
        device=devices.used(),
        dtype=settings().dtype,
        attention=Attention.FLASH if state["service.flash"] and hardware.card() else Attention.SDPA,
        compile=state["service.compile"],
        offload=offload,
        offload_dit=offload and state["service.offload_dit"],
        quantization=Quantization(state["service.quantization"]),
        max_vram_gb=state["service.played"] or None,
    )


def initialize() -> None:
    """Submit the job; a callback, so the page is drawn with the job in it."""
    notices.forget(_PLACE)
    st.session_state.pop(OPEN, None)
    try:
        job_id = studio().generation.initialize(
            str(st.session_state["service.model"]),
            setup(),
            init_llm=bool(st.session_state["service.init_lm"]),
            lm_name=st.session_state["service.lm"] or "",
            lm_backend=st.session_state["service.backend"],
            lm_fallback=True,
        )
        jobs.watch(job_id)
    except StudioError as error:
        notices.keep(_PLACE, error)
