"""The parts of a take's own page: settings, lyrics in time, codes, timings and making it again."""

from __future__ import annotations

from collections.abc import Mapping

import streamlit as st

from studio.i18n import N_
from studio.services.details import ReplayView, Sameness, TakeDetails
from studio.services.views import BatchView, TakeView
from studio.ui import fields, judging, player
from studio.ui.deck import deck
from studio.ui.runtime import studio
from studio.ui.text import Colour, _, moment, plain, seconds, snippet, table

NEARBY = 12  # batches
TIMES = {
    "lm_facts": N_("LM phase 1: metadata"),
    "lm_codes": N_("LM phase 2: codes"),
    "lm_total": N_("LM in all"),
    "encode": N_("Encoders"),
    "denoise": N_("Diffusion"),
    "decode": N_("VAE decoding"),
    "save": N_("Writing the file"),
    "total": N_("Engine in all"),
    "wall": N_("The whole job"),
}
_SAMENESS: Mapping[Sameness, tuple[Colour, str]] = {
    Sameness.IDENTICAL: ("green", N_("Identical: every sample is the same")),
    Sameness.NEAR: ("orange", N_("Near: the same music with small differences")),
    Sameness.DIFFERENT: ("red", N_("Different music")),
}


def listen(take: TakeView, known: TakeDetails) -> None:
    """Draw the take's own player."""
    deck(
        [player.track(take, known)],
        label=_("Take {number}, seed {seed}: {caption}").format(
            number=take.index + 1, seed=take.seed, caption=str(take.requested.get("caption") or _("no caption"))
        ),
        key=f"take.deck.{take.id}",
        cues=known.lyrics.cues if known.lyrics else (),
        wide=True,
    )


def comparable(batch: BatchView) -> list[TakeView]:
    """Return the takes a person is likely to compare with: those of the same batch, then the newest others."""
    recent = [one for other in studio().library.batches(limit=NEARBY) if other.id != batch.id for one in other.takes]
    return [*batch.takes, *recent]


def settings(take: TakeView) -> None:
    """Draw requested beside effective, with what differs marked and first."""
    rows = list(player.differences(take.requested, take.effective))
    named = {name for name, _asked, _used in rows}
    same = [(name, value) for name, value in take.requested.items() if name not in named]
    if rows:
        st.markdown(_("**Not as asked**"))
    lines = [
        (f"**{_cell(fields.label(name))}**", _shown(name, asked), f":orange-badge[{_shown(name, used)}]")
        for name, asked, used in rows
    ]
    lines += [(_cell(fields.label(name)), _shown(name, value), _shown(name, value)) for name, value in same]
    extra = {name: value for name, value in take.effective.items() if name not in take.requested and name != "notes"}
    lines += [(_cell(fields.label(name)), "–", _shown(name, value)) for name, value in extra.items()]
    table((_("Setting"), _("Asked for"), _("Used")), lines)
    for words in player.notes(take.effective):
        st.caption(words)


def timings(take: TakeView, known: TakeDetails) -> None:
    """Draw what took how long."""
    rows = [(TIMES.get(name, name), value) for name, value in take.timings.items()]
    if known.lyrics:
        rows.append((N_("Lyric times"), known.lyrics.seconds))
    table((_("Step"), _("Time")), [(_cell(_(name)), plain(seconds(value))) for name, value in rows])


def replay(take: TakeView, known: TakeDetails) -> None:
    """Draw the button that makes the take again, and what came of it the last time."""
    st.caption(_("Makes the whole batch again from its stored settings and compares every sample."))
    if st.button(_("Make it again and compare"), key="take.replay", icon=":material/verified:"):
        judging.start(lambda: studio().takes.replay(take.id))
    if known.replay is not None:
        _replayed(known.replay)
    with st.expander(_("Environment")):
        if known.environment:
            rows = [(_cell(name), _shown(name, value)) for name, value in known.environment.items()]
            table((_("Part"), _("Value")), rows)
        else:
            st.markdown(_("No record of it was kept with this take."))


def _replayed(found: ReplayView) -> None:
    colour, words = _SAMENESS[found.verdict]
    snr = "" if found.snr is None else " · " + _("{n} dB above the difference").format(n=f"{found.snr:.1f}")
    st.badge(_(words) + snr, color=colour)
    st.caption(moment(found.created_at))
    if not found.known:
        st.caption(_("The environment of this take was not recorded, so what changed is not known."))
    elif not found.changes:
        st.caption(_("Nothing in the environment has changed: model, adapters, packages and device are the same."))
    else:
        rows = [(_cell(one.name), _shown(one.name, one.then), _shown(one.name, one.now)) for one in found.changes]
        table((_("Changed"), _("Then"), _("Now")), rows)


def _cell(text: str) -> str:
    return plain(text) or "–"


def _shown(name: str, value: object) -> str:
    return snippet(fields.show(name, value), 160) or "–"
