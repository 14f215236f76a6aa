"""The radio: finished takes one after another without a gap, and always a batch on its way behind the last one."""

from __future__ import annotations

import streamlit as st

from studio.errors import NotFound, StudioError
from studio.services.results import Results
from studio.services.views import BatchView, JobState
from studio.ui import component, notices
from studio.ui.deck import link
from studio.ui.runtime import studio
from studio.ui.text import _, explain, plain, snippet

POLL = 2.0  # seconds between looks for a finished batch
LOUDNESS = -18.0  # LUFS; what is louder is played softer, and nothing is made louder
_BATCHES = "radio.batches."  # before a page: ids of its batches on air, in their order; absent while it is off
_ELEMENT = "radio.element"
_element = component.register(__file__)


def panel(page: str, results: Results, batch_id: str, *, on: bool) -> None:
    """Draw the radio of a page where AutoGen is `on`; it begins with the batch that is looked at."""
    if not on:
        st.session_state.pop(_BATCHES + page, None)
        return
    plays = on_air(page)
    with st.container(border=True, key="radio"):
        st.toggle(
            _("Radio"),
            value=plays,
            key=f"radio.on.{page}",
            on_change=_switch,
            args=[page, batch_id],
            help=_("Plays take after take and has the next batch made from the settings of the last, behind all else."),
        )
        if plays:
            st.fragment(_draw, run_every=POLL)(page, results)


def on_air(page: str) -> bool:
    """Whether the radio of a page plays or waits, and so redraws itself."""
    return _BATCHES + page in st.session_state


def _switch(page: str, batch_id: str) -> None:
    if st.session_state[f"radio.on.{page}"]:
        st.session_state[_BATCHES + page] = [batch_id]
    else:
        st.session_state.pop(_BATCHES + page, None)


def _draw(page: str, results: Results) -> None:
    batches = _on_air(page, results)
    if not batches:
        st.caption(_("The batch on air is not there any more; switch the radio off and on."))
        return
    takes = [(batch, take) for batch in batches for take in batch.takes]
    known = studio().takes.details([take.id for _batch, take in takes])
    louds = {take_id: found.loudness for take_id, found in known.items()}
    _element(
        key=_ELEMENT,
        default={"playing": ""},
        on_playing_change=_heard,
        data={
            "tracks": [
                {
                    "id": take.id,
                    "url": link(take.id),
                    "title": _title(batch, take.index + 1),
                    "duration": take.duration,
                    "gain": _gain(louds.get(take.id)),
                }
                for batch, take in takes
            ],
            "words": {
                "label": _("Radio"),
                "play": _("Play"),
                "stop": _("Stop"),
                "skip": _("Skip"),
                "volume": _("Volume"),
                "next": _("Next"),
                "waiting": _("Waiting for the next take…"),
                "making": _("The next batch is being made."),
                "failed": _("This take can't be played:"),
            },
        },
    )
    _go_on(results, batches)


def _heard() -> None:
    """A callback; without one Streamlit keeps no state of an element."""


def _on_air(page: str, results: Results) -> list[BatchView]:
    """The batch that plays and those that were finished behind it meanwhile; what went to the trash is left out."""
    ids: list[str] = st.session_state[_BATCHES + page]
    while ids and (place := results.place(ids[-1])) and place.batch_id == ids[-1] and place.next:
        ids.append(place.next)
    found = []
    for batch_id in ids:
        try:
            found.append(studio().library.batch(batch_id))
        except NotFound:
            continue
    found = [batch for batch in found if batch.takes]
    playing = next((place for place, batch in enumerate(found) if _plays(batch)), 0)
    ids[:] = [batch.id for batch in found[playing:]] or ids[-1:]
    return found[playing:]


def _plays(batch: BatchView) -> bool:
    return getattr(st.session_state.get(_ELEMENT), "playing", "") in {take.id for take in batch.takes}


def _go_on(results: Results, batches: list[BatchView]) -> None:
    """Have the next batch made while one of the last batch's takes plays."""
    last = batches[-1]
    if not _plays(last):
        return
    ahead = results.ahead()
    if ahead is not None and ahead.state == JobState.FAILED:
        st.error(
            _("The next batch failed: {reason}").format(reason=plain(explain(ahead.error))), icon=":material/error:"
        )
        return
    try:
        results.prepare(dict(last.form), last.id)
    except StudioError as error:
        notices.show(error)


def _title(batch: BatchView, number: int) -> str:
    name = snippet(str(batch.form.get("caption") or batch.form.get("lyrics") or "")) or _("no caption")
    return _("{name} · take {n}").format(name=name, n=number)


def _gain(loudness: float | None) -> float:
    return 1.0 if loudness is None else min(1.0, 10 ** ((LOUDNESS - loudness) / 20))
