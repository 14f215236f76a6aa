"""How far the run is: one fragment that looks again every second while there is something to see."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import partial
from typing import cast

import streamlit as st

from studio.i18n import N_
from studio.services.training.views import TrainingState, TrainingView
from studio.ui.runtime import studio
from studio.ui.text import Colour, _, plain
from studio.ui.training.plot import loss_plot

POLL = 1.0  # seconds
SHOWN = 15  # lines of the log
_STATES: Mapping[TrainingState, tuple[str, Colour]] = {
    TrainingState.WAITING: (N_("Waiting for the device"), "gray"),
    TrainingState.RUNNING: (N_("Training"), "blue"),
    TrainingState.COMPLETED: (N_("Completed"), "green"),
    TrainingState.STOPPED: (N_("Stopped"), "orange"),
    TrainingState.FAILED: (N_("Failed"), "red"),
}


def panel(newest: TrainingView | None) -> None:
    """Draw progress, loss and log of the newest run."""
    st.subheader(_("Training Progress"), anchor=False)
    if newest is None:
        st.caption(_("Nothing has been trained yet."))
        return
    st.fragment(_draw, run_every=POLL if newest.active else None)(newest)


def _draw(drawn: TrainingView) -> None:
    view = studio().training.latest()
    if view is None:
        return
    if (view.id, view.state, len(view.samples)) != (drawn.id, drawn.state, len(drawn.samples)):
        st.rerun()  # buttons, export and the takes depend on it
    words, colour = _STATES[view.state]
    st.badge(_("Stopping: the update is finished and saved") if view.stopping else _(words), color=colour)
    _progress(view)
    if view.error:
        st.error(plain(view.error), icon=":material/error:")
    if view.points:
        st.altair_chart(loss_plot(view.points), width="stretch")
    st.markdown("**" + _("Training Log") + "**")
    st.code("\n".join(_line(line) for line in view.lines[-SHOWN:]) or _("nothing yet"), language=None)
    st.download_button(
        _("Download the whole log"),
        data=partial(studio().training.whole_log, view.id),  # called later, where nobody is signed in
        file_name=f"{view.out.name}.log",
        mime="text/plain",
        key=f"train.log.{view.id}",
        on_click="ignore",
    )
    st.caption(_("Written to {folder}").format(folder=f"`{view.out}`"))


def _progress(view: TrainingView) -> None:
    last = view.last
    if not last:
        st.progress(0.0, text=_("Loading the model to be trained") if view.active else _("No update was made."))
        return
    step, steps = (cast(int, last[name]) for name in ("step", "steps"))
    words = [
        _("Epoch {epoch}/{epochs}").format(epoch=last["epoch"], epochs=last["epochs"]),
        _("step {n} of {total}").format(n=step, total=steps),
        _("loss {loss}").format(loss=_number(last["loss"])),
        _("elapsed {time}").format(time=clock(view.elapsed)),
    ]
    if view.left is not None:
        words.append(_("about {time} left").format(time=clock(view.left)))
    st.progress(min(step / max(steps, 1), 1.0), text=" · ".join(words))
    more = [
        _("smoothed loss {loss}").format(loss=_number(last["smoothed"])),
        _("learning rate {rate}").format(rate=_number(last["learning_rate"])),
        _("gradient norm {norm}").format(norm=_number(last["grad_norm"])),
    ]
    if view.memory is not None:
        more.append(_("RAM {size} GB").format(size=f"{view.memory:.2f}"))
    if "vram_gb" in last:
        vram = cast(float | None, last["vram_gb"])
        more.append(_("no GPU") if vram is None else _("VRAM {size} GB at most").format(size=f"{vram:.2f}"))
    st.caption(" · ".join(more))


def clock(value: float) -> str:
    """Write a span of time as h:mm:ss."""
    minutes, rest = divmod(round(value), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}"


def _number(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, int | float) else str(value)


def _line(line: str) -> str:
    """Write an event of the log for people."""
    event = json.loads(line)
    kind = str(event.pop("event", ""))
    if kind == "step":
        keys = ("loss", "learning_rate", "grad_norm")
        where = f"epoch {event['epoch']}/{event['epochs']}  step {event['step']}/{event['steps']}  "
        return where + "  ".join(f"{name} {_number(event[name])}" for name in keys)
    parts = [f"{name} {_number(value)}" for name, value in event.items() if not isinstance(value, dict | list)]
    return "  ".join([kind, *parts])
