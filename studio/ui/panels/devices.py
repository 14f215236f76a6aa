"""Where models run: the device, what it has, and a smaller one played in its place."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable

import streamlit as st

from studio.engine.memory import DeviceMemory, Tier
from studio.ui.panels import hardware
from studio.ui.runtime import settings
from studio.ui.text import _, plain, seconds

AUTO, CUDA, MPS, XPU, CPU = "auto", "cuda", "mps", "xpu", "cpu"


def offered() -> list[str]:
    """Return the devices to choose from: the usual ones, and the rarer ones where they can be."""
    rare = [kind for kind, there in ((MPS, sys.platform == "darwin"), (XPU, shutil.which("xpu-smi"))) if there]
    named = settings().device
    return [AUTO, CUDA, *rare, CPU, *([named] if named not in (AUTO, CUDA, *rare, CPU) else [])]


def why_not(device: str) -> str:
    """Say why a device can't be used here; empty when it can, as far as a page can know."""
    return _("no NVIDIA GPU was found") if device == CUDA and hardware.card() is None else ""


def used() -> str:
    """Return the device to load on: the chosen one, or auto in place of one that isn't here."""
    chosen = str(st.session_state["service.device"])
    return AUTO if why_not(chosen) else chosen


def memory() -> DeviceMemory:
    """Return the memory models find on the chosen device, or on the one that is played."""
    return hardware.memory(used(), st.session_state["service.played"] or None)


def row(follow_tier: Callable[[], None]) -> None:
    """Draw device, tier and what was found; `follow_tier` is called when another is chosen."""
    device, played = st.columns(2, vertical_alignment="bottom")
    device.selectbox(
        _("Device"),
        offered(),
        key="service.device",
        help=_("Where models run. auto takes CUDA, then MPS, XPU and the CPU, whichever is there first."),
        on_change=follow_tier,
        persist_state="session",
    )
    sizes = sorted({0.0, *map(float, hardware.SIZES), float(settings().max_vram_gb)})
    played.selectbox(
        _("Hardware tier"),
        sizes,
        key="service.played",
        format_func=lambda size: _("{n} GB").format(n=f"{size:g}") if size else _("as detected"),
        help=_("Limits and defaults follow the memory of the device. Choose a size to play a smaller device."),
        on_change=follow_tier,
        persist_state="session",
    )
    chosen = st.session_state["service.device"]
    if reason := why_not(chosen):
        st.warning(
            _("{device} can't be used: {reason}. Initialize takes auto in its place.").format(
                device=chosen, reason=reason
            ),
            icon=":material/warning:",
        )
    st.caption(_line(memory().tier))


def _line(tier: Tier) -> str:
    card = hardware.card()
    found = (
        _("{name}, {size} GB").format(name=plain(card.name), size=f"{card.gigabytes:.1f}")
        if card
        else _("no NVIDIA GPU was found, models run on the CPU")
    )
    return _("Hardware: {found} · tier {tier}: up to {time} and a batch of {batch} without a language model").format(
        found=found, tier=plain(tier.name), time=seconds(tier.max_duration(False)), batch=tier.max_batch(False)
    )
