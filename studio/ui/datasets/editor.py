"""Step 4: one song after the other: listen, look at what is written about it, change it."""

from __future__ import annotations

from urllib.parse import urljoin

import streamlit as st

from studio.engine.dataset.editing import EDITABLE, METRES, NOT_SAID, lm_fields
from studio.engine.dataset.samples import INSTRUMENTAL, Sample
from studio.engine.requests import LANGUAGES, MAX_BPM
from studio.i18n import N_
from studio.services.datasets.views import DatasetView
from studio.services.media import MIME
from studio.ui import fields
from studio.ui.datasets import current, drafts
from studio.ui.datasets.table import issues
from studio.ui.runtime import studio
from studio.ui.text import _, plain, seconds

_PLACE = "dataset.edit"
_SAMPLE = "dataset.edit.sample"
_SHOWN = "dataset.edit.shown"  # (dataset id, song) the widgets were filled from
_NAMES = tuple(name for name in EDITABLE if name != "labeled")  # saving makes a song labelled
_OVERRIDES = {"": N_("as the whole dataset"), "caption": N_("caption"), "genre": N_("genre")}
_LANGUAGES = ("unknown", *(code for code in LANGUAGES if code != "unknown"))


def panel(view: DatasetView) -> None:
    """Draw the choice of a song, its sound and its values (D-20 to D-28)."""
    samples = view.dataset.samples
    if not samples:
        st.info(_("There are no songs yet: scan a folder or upload some in step 1."))
        return
    place = min(int(st.session_state.get(_SAMPLE, 0)), len(samples) - 1)
    if len(samples) > 1:
        st.session_state[_SAMPLE] = place
        place = st.slider(_("Song"), 0, len(samples) - 1, key=_SAMPLE, persist_state="session")
    sample = samples[place]
    _unsaved_elsewhere(view, sample)
    _fill(view, sample)
    _preview(view, sample)
    _values(view, sample)
    _buttons(view, sample)
    current.came_of(_PLACE)


def _unsaved_elsewhere(view: DatasetView, sample: Sample) -> None:
    """Warn of edits of songs that are not shown now; they wait, and are not lost."""
    places = {one.id: place for place, one in enumerate(view.dataset.samples)}
    others = [one for one in drafts.of(view.id) if one in places and one != sample.id]
    if not others:
        return
    names = ", ".join(plain(view.dataset.samples[places[one]].filename) for one in others)
    with st.container(border=True):
        st.warning(_("Not saved yet: your changes to {names}.").format(names=names), icon=":material/edit:")
        with st.container(horizontal=True):
            st.button(_("Go back to it"), key="dataset.edit.back", on_click=_go, args=[places[others[0]]])
            st.button(_("Save these changes"), key="dataset.edit.others", on_click=_save, args=[view.id, others])
            st.button(_("Discard them"), key="dataset.edit.drop", on_click=_drop, args=[view.id, others])


def _preview(view: DatasetView, sample: Sample) -> None:
    quality = view.quality[sample.id]
    st.markdown(f"**{plain(sample.filename)}** · {seconds(sample.duration)}")
    if not quality.missing:
        ending = sample.filename.rpartition(".")[2].lower()
        link = urljoin(st.context.url or "http://localhost/", studio().datasets.link(view.id, sample.id))
        st.audio(link, format=MIME.get(ending, "audio/wav"), alt=_("Preview of {file}").format(file=sample.filename))
    if found := issues(quality):
        st.markdown(" ".join(f":orange-badge[:material/hearing: {plain(words)}]" for words in found))
    if names := sorted(lm_fields(sample)):
        written = ", ".join(fields.label(name) for name in names)
        st.caption(_("Written by the language model: {names}").format(names=plain(written)))


def _values(view: DatasetView, sample: Sample) -> None:
    instrumental = bool(st.session_state[_key("is_instrumental")])
    left, right = st.columns([3, 2], gap="large")
    with left:
        _area(_("Caption"), "caption", view, sample, height=90)
        _area(_("Lyrics"), "lyrics", view, sample, height=200, disabled=instrumental)
        if sample.raw_lyrics:
            st.text_area(
                _("Lyrics as the file has them"),
                value=sample.raw_lyrics,
                height=120,
                disabled=True,
                key=f"dataset.edit.raw.{view.id}.{sample.id}",
            )
    with right:
        _facts(view, sample, instrumental)


def _facts(view: DatasetView, sample: Sample, instrumental: bool) -> None:
    st.checkbox(
        _("Instrumental"), key=_key("is_instrumental"), on_change=_note, args=["is_instrumental", view.id, sample]
    )
    st.number_input(
        _("BPM"),
        min_value=0,
        max_value=MAX_BPM,
        step=1,
        key=_key("bpm"),
        on_change=_note,
        args=["bpm", view.id, sample],
        placeholder=_("not known"),
    )
    st.text_input(_("Key Scale"), key=_key("keyscale"), on_change=_note, args=["keyscale", view.id, sample])
    st.selectbox(
        _("Time Signature"),
        METRES,
        key=_key("timesignature"),
        format_func=lambda metre: metre if metre == NOT_SAID else fields.METRES.get(metre, _("not known")),
        on_change=_note,
        args=["timesignature", view.id, sample],
    )
    st.selectbox(
        _("Language"),
        _LANGUAGES,
        key=_key("language"),
        disabled=instrumental,
        on_change=_note,
        args=["language", view.id, sample],
    )
    st.text_input(_("Genre"), key=_key("genre"), on_change=_note, args=["genre", view.id, sample])
    st.selectbox(
        _("Described by"),
        list(_OVERRIDES),
        key=_key("prompt_override"),
        format_func=lambda override: _(_OVERRIDES[override]),
        on_change=_note,
        args=["prompt_override", view.id, sample],
    )


def _area(label: str, name: str, view: DatasetView, sample: Sample, *, height: int, disabled: bool = False) -> None:
    st.text_area(
        label,
        key=_key(name),
        height=height,
        disabled=disabled,
        on_change=_note,
        args=[name, view.id, sample],
    )


def _buttons(view: DatasetView, sample: Sample) -> None:
    changed = sample.id in drafts.of(view.id)
    with st.container(horizontal=True, vertical_alignment="center"):
        st.button(
            _("Save Changes"),
            key="dataset.edit.save",
            type="primary",
            on_click=_save,
            args=[view.id, [sample.id], sample],
            help=_("Stores what you wrote and marks the song as labelled."),
        )
        st.button(
            _("Discard Changes"),
            key="dataset.edit.discard",
            disabled=not changed,
            on_click=_drop,
            args=[view.id, [sample.id]],
        )
        if changed:
            st.markdown(f":orange-badge[:material/edit: {_('not saved yet')}]")


def _fill(view: DatasetView, sample: Sample) -> None:
    """Show the draft over what is stored; what is typed now is in the session already."""
    shown = st.session_state.get(_SHOWN)
    missing = any(_key(name) not in st.session_state for name in _NAMES)
    if shown == (view.id, sample) and not missing:
        return
    draft = drafts.of(view.id).get(sample.id)
    for name in _NAMES:
        stored = _shown_value(sample, name)
        st.session_state[_key(name)] = draft.values.get(name, stored) if draft else stored
    st.session_state[_SHOWN] = (view.id, sample)


def _shown_value(sample: Sample, name: str) -> object:
    """Return a value as its widget can hold it; one it has no option for is shown as not known."""
    value: object = getattr(sample, name)
    if name == "lyrics":
        return "" if value == INSTRUMENTAL else value
    if name == "prompt_override":
        return value or ""
    if name == "language":
        return value if value in LANGUAGES else "unknown"
    if name == "timesignature":
        return value if value in METRES else ""
    if name == "bpm":
        return value if isinstance(value, int) and 0 <= value <= MAX_BPM else None
    return value


def _key(name: str) -> str:
    return f"dataset.edit.{name}"


def _note(name: str, dataset_id: str, sample: Sample) -> None:
    drafts.note(dataset_id, sample, name, st.session_state[_key(name)], _shown_value(sample, name))


def _go(place: int) -> None:
    st.session_state[_SAMPLE] = place


def _drop(dataset_id: str, sample_ids: list[str]) -> None:
    for sample_id in sample_ids:
        drafts.forget(dataset_id, sample_id)
    st.session_state.pop(_SHOWN, None)


def _save(dataset_id: str, sample_ids: list[str], shown: Sample | None = None) -> None:
    """A song without a change is saved too: pressing the button says that it is labelled."""
    kept = drafts.of(dataset_id)
    changes: dict[str, dict[str, object]] = {one: dict(kept[one].values) for one in sample_ids if one in kept}
    seen = {one: kept[one].seen for one in changes}
    if shown is not None and shown.id not in changes:
        changes[shown.id], seen[shown.id] = {}, shown
    if current.attempt(_PLACE, lambda: studio().datasets.edit(dataset_id, changes, seen)):
        _drop(dataset_id, sample_ids)
        current.say(_PLACE, _("The changes are stored."))
