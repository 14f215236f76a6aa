"""The LoRA rows: the adapters on the loaded model, most often one."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from studio.engine.lora.wanted import AdapterSet, adapter_set_from
from studio.errors import StudioError
from studio.services.views import StatusView
from studio.ui import jobs, notices
from studio.ui.panels import known_adapters
from studio.ui.panels.known_adapters import PATH
from studio.ui.runtime import studio
from studio.ui.text import _, plain

_PLACE = "lora"
_SEEN = "lora.seen"  # the adapters the widgets show
_ROUND = "lora.round"  # of the switch and the sliders: counts up with every new state, see _follow


def row(status: StatusView) -> None:
    """Draw the known adapters, path, buttons, switch, a scale for each adapter and what is loaded."""
    loaded = adapter_set_from(status.loaded)
    _follow(loaded)
    known_adapters.row()
    path, load, add, unload = st.columns([4, 1, 1, 1], vertical_alignment="bottom")
    path.text_input(
        _("LoRA Path"),
        key=PATH,
        placeholder=_("a folder with adapter_config.json, or the folder around it"),
        help=_("The folder of a trained adapter. Load LoRA puts it in place of what is loaded, Add beside it."),
        persist_state="session",
    )
    load.button(_("Load LoRA"), key="lora.load", on_click=_load, width="stretch")
    add.button(
        _("Add"),
        key="lora.add",
        disabled=not loaded.adapters,
        help=_("Load it beside what is loaded; the effects add up."),
        on_click=_load,
        kwargs={"beside": True},
        width="stretch",
    )
    unload.button(_("Unload"), key="lora.unload", on_click=_unload, width="stretch")
    _strength(status, loaded)
    notices.kept(_PLACE)
    st.caption(_words(loaded))
    if str(status.loaded.get("quantization", "none")) != "none":
        _quantized()


def _strength(status: StatusView, loaded: AdapterSet) -> None:
    use, scale = st.columns([1, 3], vertical_alignment="center")
    use.checkbox(
        _("Use LoRA"),
        key=_key("use"),
        disabled=not status.ready,
        help=_("Switch what is loaded off and on without unloading it."),
        on_change=_use,
    )
    with scale:
        if len(loaded.adapters) < 2:
            _scale(status, _("LoRA Scale"), "".join(one.name for one in loaded.adapters))
            return
        for number, one in enumerate(loaded.adapters):
            slider, off = st.columns([4, 1], vertical_alignment="bottom")
            with slider:
                _scale(status, _("LoRA Scale of {name}").format(name=plain(one.name)), one.name, number)
            off.button(
                _("Unload {name}").format(name=plain(one.name)),
                key=f"lora.unload.{number}",
                on_click=_unload,
                args=[one.name],
                width="stretch",
            )


def _scale(status: StatusView, label: str, name: str, number: int = 0) -> None:
    """Draw the slider of the adapter called `name`; of the one to come while there is none."""
    st.slider(
        label,
        0.0,
        1.0,
        step=0.05,
        key=_key("scale", number),
        disabled=not status.ready,
        help=_("How strong the adapter is. 0 is no effect, 1 as it was trained. Kept while Use LoRA is off."),
        on_change=_weigh,
        args=[name, number],
    )


def _words(loaded: AdapterSet) -> str:
    if not loaded.adapters:
        return _("LoRA: none loaded")
    each = [_("{name} · scale {scale}").format(name=plain(one.name), scale=f"{one.scale:g}") for one in loaded.adapters]
    return _("LoRA: {adapters} · {state}").format(
        adapters=" + ".join(each), state=_("in use") if loaded.on else _("switched off")
    )


def _quantized() -> None:
    """Quantized weights take no adapters: say so, and offer the way without."""
    st.warning(
        _(
            "The model is loaded with INT8 weights, and adapters are trained on full weights: to load one, set "
            "INT8 Quantization to None and initialize again."
        )
    )
    st.button(_("Set to None and initialize again"), key="lora.unquantize", on_click=_unquantize)


def _unquantize() -> None:
    from studio.ui.panels import service  # imports this module

    st.session_state["service.quantization"] = service.NONE
    service.initialize()


def _follow(loaded: AdapterSet) -> None:
    """Let switch and sliders show what the worker has, whenever that changed.

    They are new widgets then: a value that the browser still sends for the old ones would switch the adapter back.
    """
    if _SEEN not in st.session_state or st.session_state[_SEEN] != loaded:
        st.session_state[_SEEN] = loaded
        st.session_state[_ROUND] = st.session_state.get(_ROUND, 0) + 1
    st.session_state.setdefault(_key("use"), loaded.on)
    for number, scale in enumerate([one.scale for one in loaded.adapters] or [1.0]):
        st.session_state.setdefault(_key("scale", number), scale)


def _key(name: str, number: int = 0) -> str:
    return f"lora.{name}.{number}.{st.session_state.get(_ROUND, 0)}"


def _do(work: Callable[[], str]) -> None:
    notices.forget(_PLACE)
    try:
        jobs.watch(work())
    except StudioError as error:
        notices.keep(_PLACE, error)
        st.session_state.pop(_SEEN, None)  # puts switch and sliders back


def _load(beside: bool = False) -> None:
    """What takes the place of one adapter, or comes first, is as strong as the slider says; else as trained."""
    path, alone = str(st.session_state[PATH]), len(st.session_state[_SEEN].adapters) < 2 and not beside
    scale = float(st.session_state[_key("scale")]) if alone else 1.0
    _do(lambda: studio().adapters.load(path, scale, beside=beside))


def _unload(name: str = "") -> None:
    _do(lambda: studio().adapters.unload(name))


def _use() -> None:
    on = bool(st.session_state[_key("use")])
    _do(lambda: studio().adapters.use(on))


def _weigh(name: str, number: int) -> None:
    scale = float(st.session_state[_key("scale", number)])
    if name:
        _do(lambda: studio().adapters.weigh(name, scale))
