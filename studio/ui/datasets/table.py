"""The songs of a dataset as a table: what is known of each, and many changed at once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import streamlit as st

from studio.engine.audio.checks import Verdict
from studio.engine.dataset.editing import METRES
from studio.engine.dataset.samples import Sample
from studio.engine.requests import LANGUAGES
from studio.i18n import N_
from studio.services.datasets.views import DatasetView, Quality
from studio.ui.datasets import current
from studio.ui.runtime import studio
from studio.ui.text import _, seconds

CAPTION = 50  # characters the table shows
_EDITING = "dataset.table.editing"
_SEEN = "dataset.table.seen"  # (dataset id, songs by id) as the editor shows them
_ROUND = "dataset.table.round"  # counts up to empty the editor
_PLACE = "dataset.table"
_EDITED = ("labeled", "caption", "genre", "bpm", "keyscale", "timesignature", "language")
_ISSUES = {
    "bpm": N_("tempo heard: {heard}"),
    "keyscale": N_("key heard: {heard}"),
    "clipping": N_("clips: {heard} samples"),
    "silence": N_("silent: {heard}"),
}


def panel(view: DatasetView) -> None:
    """Draw the table (D-08), or its editor."""
    editing = st.toggle(
        _("Edit in the table"), key=_EDITING, help=_("Change many songs, then save all changes together.")
    )
    if editing:
        _editor(view)
    else:
        st.session_state.pop(_SEEN, None)
        st.dataframe(
            [_row(place, sample, view.quality[sample.id]) for place, sample in enumerate(view.dataset.samples)],
            hide_index=True,
            key=f"dataset.table.{view.id}",
            alt=_("The songs of the dataset"),
            column_config={"#": st.column_config.NumberColumn(width=40)},
        )
    current.came_of(_PLACE)


def issues(quality: Quality) -> list[str]:
    """Return in words what was heard that is not as it should be; nothing before a song is measured."""
    found = [_("the file is gone")] if quality.missing else []
    found += [quality.error] if quality.error else []
    for check in quality.checks:
        if check.name in _ISSUES and check.verdict in (Verdict.OFF, Verdict.CHECK) and check.heard is not None:
            sure = "" if check.verdict == Verdict.OFF else "? "
            heard = f"{check.heard:.0%}" if check.name == "silence" else _plain_number(check.heard)
            found.append(sure + _(_ISSUES[check.name]).format(heard=heard))
    if quality.alike:
        found.append(_("same recording as {names}").format(names=", ".join(quality.alike)))
    return found


def _plain_number(value: str | float) -> str:
    return value if isinstance(value, str) else f"{value:.0f}"


def _row(place: int, sample: Sample, quality: Quality) -> dict[str, object]:
    sung = _("instrumental") if sample.is_instrumental else _("yes") if sample.lyrics.strip() else _("none")
    return {
        "#": place,
        _("File"): sample.filename,
        _("Duration"): seconds(sample.duration),
        _("Lyrics"): sung,
        _("Labelled"): sample.labeled,
        _("BPM"): sample.bpm,
        _("Key"): sample.keyscale,
        _("Metre"): sample.timesignature,
        _("Heard"): _heard(quality),
        _("Caption"): sample.caption if len(sample.caption) <= CAPTION else sample.caption[: CAPTION - 1] + "…",
    }


def _heard(quality: Quality) -> str:
    if found := issues(quality):
        return " · ".join(found)
    return _("as written") if quality.checks else _("not measured yet")


def _editor(view: DatasetView) -> None:
    """The editor keeps showing what it showed first: a job may change songs, which saving then finds out."""
    seen = st.session_state.get(_SEEN)
    if seen is None or seen[0] != view.id:
        seen = st.session_state[_SEEN] = (view.id, {sample.id: sample for sample in view.dataset.samples})
        st.session_state[_ROUND] = st.session_state.get(_ROUND, 0) + 1
    samples: dict[str, Sample] = seen[1]
    key = f"dataset.table.editor.{st.session_state[_ROUND]}"
    st.data_editor(
        [
            {"filename": sample.filename} | {name: getattr(sample, name) for name in _EDITED}
            for sample in samples.values()
        ],
        hide_index=True,
        disabled=["filename"],
        key=key,
        alt=_("The songs of the dataset, to be edited"),
        column_config={
            "filename": st.column_config.TextColumn(_("File")),
            "labeled": st.column_config.CheckboxColumn(_("Labelled")),
            "caption": st.column_config.TextColumn(_("Caption"), width="large"),
            "genre": st.column_config.TextColumn(_("Genre")),
            "bpm": st.column_config.NumberColumn(_("BPM"), step=1),
            "keyscale": st.column_config.TextColumn(_("Key")),
            "timesignature": st.column_config.SelectboxColumn(_("Metre"), options=METRES),
            "language": st.column_config.SelectboxColumn(_("Language"), options=LANGUAGES),
        },
    )
    changed = cast(Mapping[int, dict[str, object]], st.session_state.get(key, {}).get("edited_rows", {}))
    with st.container(horizontal=True):
        st.button(
            _("Save table changes"),
            key="dataset.table.save",
            type="primary",
            disabled=not changed,
            on_click=_save,
            args=[view.id, samples, changed],
        )
        st.button(_("Discard table changes"), key="dataset.table.discard", disabled=not changed, on_click=_discard)


def _save(dataset_id: str, samples: Mapping[str, Sample], changed: Mapping[int, dict[str, object]]) -> None:
    ids = list(samples)
    changes = {ids[row]: values for row, values in changed.items()}
    if current.attempt(_PLACE, lambda: studio().datasets.edit(dataset_id, changes, samples)):
        current.say(_PLACE, _("The changes are stored."))
        _discard()


def _discard() -> None:
    st.session_state.pop(_SEEN, None)
