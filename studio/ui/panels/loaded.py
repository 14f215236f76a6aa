"""What is loaded now, with everything the worker says of it."""

from __future__ import annotations

from collections.abc import Mapping

import streamlit as st

from studio.i18n import N_
from studio.services.views import LmStatusView, StatusView, WorkerState
from studio.ui.shell import word
from studio.ui.text import _, explain, plain

_LOADED_WORDS = {
    "device": N_("Device"),
    "dtype": N_("Number type"),
    "vae_dtype": N_("VAE number type"),
    "attention": N_("Attention"),
    "compiled": N_("Compiled"),
    "offload_to_cpu": N_("Offload to CPU"),
    "offload_dit_to_cpu": N_("Offload DiT to CPU"),
    "quantization": N_("Quantization"),
    "tier": N_("Tier"),
    "max_duration": N_("Longest duration"),
    "max_batch": N_("Largest batch"),
}


def status_box(status: StatusView) -> None:
    """Draw the state of the model and of the language model: green, red with the cause, or what is missing."""
    if status.ready and status.model is not None:
        words = _("Ready: {name} ({family}) on {device}, {dtype}").format(
            name=status.model.name, family=status.model.family, device=status.device, dtype=status.dtype
        )
        st.success(plain(words) + _details(status.loaded), icon=":material/check_circle:")
        _lm_status(status.lm)
    elif status.state == WorkerState.FAILED:
        st.error(
            _("The model could not be loaded: {reason}").format(reason=plain(explain(status.error))),
            icon=":material/error:",
        )
    else:
        st.info(word(status), icon=":material/info:")


def _lm_status(lm: LmStatusView) -> None:
    """Say what became of the language model; its failure is not the DiT's."""
    if lm.ready:
        words = _("5Hz LM ready: {name} with {backend} on {device}, {dtype}").format(
            name=lm.name, backend=lm.backend, device=lm.device, dtype=lm.dtype
        )
        st.success(plain(" · ".join([words, *lm.notes])), icon=":material/check_circle:")
    elif lm.state == "failed":
        st.error(
            _("The language model could not be loaded: {reason}").format(reason=plain(explain(lm.error))),
            icon=":material/error:",
        )


def _details(loaded: Mapping[str, object]) -> str:
    """Write everything the worker says of what it has loaded, one line."""
    parts = [f"{_(words)}: {plain(_value(loaded[key]))}" for key, words in _LOADED_WORDS.items() if key in loaded]
    memory, components = loaded.get("memory_gb"), loaded.get("parts")
    if isinstance(memory, dict):
        parts.append(_("Memory: {free} of {total} GB free").format(free=memory.get("free"), total=memory.get("total")))
    if isinstance(components, dict):
        sizes = ", ".join(f"{name} {size:g} MB" for name, size in components.items())
        parts.append(_("Parts: {sizes}").format(sizes=plain(sizes)))
    return "  \n" + " · ".join(parts) if parts else ""


def _value(value: object) -> str:
    if isinstance(value, bool):
        return _("yes") if value else _("no")
    if isinstance(value, dict):
        return ", ".join(_value(item) for item in value.values())
    return _("off") if value in (None, "") else f"{value:g}" if isinstance(value, float) else str(value)
