"""The LoRA row: one adapter on the loaded model."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import cast

import streamlit as st

from studio.errors import StudioError
from studio.services.views import StatusView
from studio.ui import jobs, notices
from studio.ui.runtime import studio
from studio.ui.text import _, plain

_PLACE = "lora"
_SEEN = "lora.seen"  # the adapter state the widgets show
_ROUND = "lora.round"  # of the switch and the slider: counts up with every new state, see _follow


def row(status: StatusView) -> None:
    """Draw path, buttons, switch, scale and what is loaded."""
    loaded = _loaded(status)
    _follow(status, loaded)
    path, load, unload = st.columns([4, 1, 1], vertical_alignment="bottom")
    path.text_input(
        _("LoRA Path"),
        key="lora.path",
        placeholder=_("a folder with adapter_config.json, or the folder around it"),
        help=_("The folder of a trained adapter. One adapter at a time: another takes its place."),
        persist_state="session",
    )
    load.button(_("Load LoRA"), key="lora.load", on_click=_load, width="stretch")
    unload.button(_("Unload"), key="lora.unload", on_click=_unload, width="stretch")
    _strength(status, loaded)
    notices.kept(_PLACE)
    st.caption(_words(status, loaded))
    if str(status.loaded.get("quantization", "none")) != "none":
        _quantized()


def _strength(status: StatusView, loaded: Mapping[str, object] | None) -> None:
    use, scale = st.columns([1, 3], vertical_alignment="center")
    use.checkbox(
        _("Use LoRA"),
        key=_key("use"),
        disabled=not status.ready,
        help=_("Switch the loaded adapter off and on without unloading it."),
        on_change=_use,
    )
    scale.slider(
        _("LoRA Scale"),
        0.0,
        1.0,
        step=0.05,
        key=_key("scale"),
        disabled=not status.ready,
        help=_("How strong the adapter is. 0 is no effect, 1 as it was trained. Kept while Use LoRA is off."),
        on_change=_weigh,
        args=[bool(loaded)],
    )


def _words(status: StatusView, loaded: Mapping[str, object] | None) -> str:
    if loaded is None:
        return _("LoRA: none loaded")
    state = _("in use") if status.loaded.get("use_lora") else _("switched off")
    return _("LoRA: {name} · scale {scale} · {state}").format(
        name=plain(str(loaded["name"])), scale=f"{loaded['scale']:g}", state=state
    )


def _quantized() -> None:
    """Quantized weights and adapters: say what holds here, and offer the way without."""
    st.warning(
        _(
            "The model is loaded with INT8 weights. Adapters are trained on full weights: for their true sound "
            "set INT8 Quantization to None and initialize again."
        )
    )
    st.button(_("Set to None and initialize again"), key="lora.unquantize", on_click=_unquantize)


def _unquantize() -> None:
    from studio.ui.panels import service  # imports this module

    st.session_state["service.quantization"] = service.NONE
    service.initialize()


def _loaded(status: StatusView) -> Mapping[str, object] | None:
    adapters = status.loaded.get("adapters")
    return cast(Mapping[str, object], adapters[0]) if isinstance(adapters, list) and adapters else None


def _follow(status: StatusView, loaded: Mapping[str, object] | None) -> None:
    """Let switch and scale show what the worker has, whenever that changed.

    They are new widgets then: a value that the browser still sends for the old ones would switch the adapter back.
    """
    state = (loaded["name"], loaded["scale"], status.loaded.get("use_lora")) if loaded else None
    if _SEEN not in st.session_state or st.session_state[_SEEN] != state:
        st.session_state[_SEEN] = state
        st.session_state[_ROUND] = st.session_state.get(_ROUND, 0) + 1
    st.session_state.setdefault(_key("use"), bool(loaded and status.loaded.get("use_lora")))
    st.session_state.setdefault(_key("scale"), float(str(loaded["scale"])) if loaded else 1.0)


def _key(name: str) -> str:
    return f"lora.{name}.{st.session_state.get(_ROUND, 0)}"


def _do(work: Callable[[], str]) -> None:
    notices.forget(_PLACE)
    try:
        jobs.watch(work())
    except StudioError as error:
        notices.keep(_PLACE, error)
        st.session_state.pop(_SEEN, None)  # puts switch and scale back


def _load() -> None:
    path, scale = str(st.session_state["lora.path"]), float(st.session_state[_key("scale")])
    _do(lambda: studio().adapters.load(path, scale))


def _unload() -> None:
    _do(studio().adapters.unload)


def _use() -> None:
    on = bool(st.session_state[_key("use")])
    _do(lambda: studio().adapters.use(on))


def _weigh(loaded: bool) -> None:
    scale = float(st.session_state[_key("scale")])
    if loaded:
        _do(lambda: studio().adapters.weigh(scale))
