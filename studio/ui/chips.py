"""What was heard in a take beside what was asked for, as small coloured words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import streamlit as st

from studio.i18n import N_
from studio.services.details import Check, Sameness, ScoreView, Verdict
from studio.ui.text import Colour, _, plain, seconds, table

_NAMES = {
    "bpm": N_("BPM"),
    "keyscale": N_("Key Scale"),
    "duration": N_("Duration"),
    "loudness": N_("Loudness"),
    "true_peak": N_("True peak"),
    "clipping": N_("Clipping"),
    "silence": N_("Silence"),
}
_LOOKS: dict[Verdict, tuple[Colour, str]] = {
    Verdict.PASS: ("green", ":material/check:"),
    Verdict.CHECK: ("orange", ":material/hearing:"),
    Verdict.OFF: ("red", ":material/close:"),
    Verdict.NONE: ("gray", ""),
}
_WORDS = {
    Verdict.PASS: N_("as asked"),
    Verdict.CHECK: N_("listen yourself"),
    Verdict.OFF: N_("not as asked"),
    Verdict.NONE: N_("nothing was asked"),
}
_QUIET = ("clipping", "silence")  # shown only when there is something to see


def row(checks: Sequence[Check], score: ScoreView | None = None) -> None:
    """Draw the chips of a take; one line says that they are still to come."""
    shown = [check for check in checks if check.name not in _QUIET or check.verdict != Verdict.PASS]
    words = [_chip(check) for check in shown if check.heard is not None]
    if score is not None and score.total is not None:
        mark = _("Score {n}").format(n=f"{score.total:.2f}")
        words.append(f":blue-badge[:material/grade: {plain(mark)}]")
    if words:
        st.markdown(" ".join(words))
    if not checks:
        st.caption(_("Not measured yet"))


def checks(found: Sequence[Check]) -> None:
    """Draw every check with both values, the verdict in words and how sure the estimator is."""
    rows = []
    for check in found:
        sure = "–" if check.confidence is None else f"{check.confidence:.0%}"
        cells = (_(_NAMES[check.name]), show(check.name, check.asked), show(check.name, check.heard))
        rows.append((*map(plain, cells), _(_WORDS[check.verdict]), sure))
    table((_("Property"), _("Asked for"), _("Heard"), _("Verdict"), _("Confidence")), rows)


def show(name: str, value: str | float | None) -> str:
    """Write a measured or wanted value with its unit."""
    if value is None:
        return "–"
    if isinstance(value, str):
        return value
    units = {
        "bpm": f"{value:.0f}",
        "duration": seconds(value),
        "loudness": _("{n} LUFS").format(n=f"{value:.1f}"),
        "true_peak": _("{n} dBTP").format(n=f"{value:.1f}"),
        "clipping": _("{n} samples").format(n=f"{value:.0f}"),
        "silence": f"{value:.0%}",
    }
    return units[name]


def _chip(check: Check) -> str:
    colour, icon = _LOOKS[check.verdict]
    name = "" if check.name in ("loudness", "duration", "keyscale") else f"{_(_NAMES[check.name])} "
    wanted = "" if check.verdict in (Verdict.PASS, Verdict.NONE) else _wanted(check)
    return f":{colour}-badge[{icon} {plain(name + show(check.name, check.heard) + wanted)}]"


def _wanted(check: Check) -> str:
    return "" if check.asked is None else _(" (asked {value})").format(value=show(check.name, check.asked))


def outside(effective: Mapping[str, object]) -> None:
    """Say what a repaint left of its source around the region; nothing for takes that kept none of one."""
    found = effective.get("outside")
    if not isinstance(found, Mapping):
        return
    if found.get("verdict") == Sameness.IDENTICAL:
        st.markdown(":green-badge[:material/check: " + _("outside the region: identical") + "]")
    elif (snr := found.get("snr")) is not None:
        words = _("outside the region: differs, {n} dB below the music").format(n=f"{float(str(snr)):.1f}")
        st.markdown(f":orange-badge[:material/hearing: {plain(words)}]")
    else:
        st.markdown(":red-badge[:material/close: " + _("outside the region: different") + "]")
