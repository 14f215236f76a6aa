"""The takes a run made of its prompts, the bare model's beside the newest of the adapter."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import cast

import streamlit as st

from studio.services.training.views import TrainingView
from studio.ui.text import _, plain, snippet


def panel(newest: TrainingView | None) -> None:
    """Draw a row for each prompt: without the adapter, and the epoch that is chosen."""
    if newest is None or not newest.samples:
        return
    st.subheader(_("Takes while training"), anchor=False)
    epochs = sorted({cast(int, sample["epoch"]) for sample in newest.samples if sample["epoch"]})
    chosen = epochs[-1] if epochs else 0
    if len(epochs) > 1:
        chosen = st.select_slider(_("Epoch"), epochs, value=epochs[-1], key=f"train.epoch.{newest.id}.{epochs[-1]}")
    prompts = cast(list[str], newest.settings.get("prompts", []))
    for number, prompt in enumerate(prompts):
        st.markdown(snippet(prompt))
        bare, with_it = st.columns(2)
        with bare:
            _take(_("Without the adapter"), newest.samples, 0, number)
        with with_it:
            _take(_("Epoch {epoch}").format(epoch=chosen), newest.samples, chosen, number)


def _take(title: str, samples: tuple[Mapping[str, object], ...], epoch: int, prompt: int) -> None:
    found = [sample for sample in samples if (sample["epoch"], sample["prompt"]) == (epoch, prompt)]
    if not found:
        return
    st.caption(title)
    if "path" in found[-1] and Path(str(found[-1]["path"])).is_file():
        st.audio(str(found[-1]["path"]))
    else:
        st.warning(plain(str(found[-1].get("fault", _("The file is gone.")))), icon=":material/warning:")
