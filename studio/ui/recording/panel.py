"""A recording from the microphone, made while a metronome or a take plays, that becomes source or reference."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from datetime import datetime
from typing import cast

import streamlit as st

from studio.engine.requests import MAX_BPM, MIN_BPM
from studio.errors import AudioError, StudioError
from studio.i18n import N_
from studio.services import recording
from studio.services.recording import Capture, Samples
from studio.services.sources import SourceView
from studio.ui import fields, jobs, notices, radio
from studio.ui.handoff import REFERENCE, SOURCE
from studio.ui.recording import metronome
from studio.ui.runtime import settings, studio
from studio.ui.text import _

POLL = 0.5  # seconds between looks at the meter
_OPEN, _CAPTURE, _PLACE = "record.open", "record.capture", "record"
_METRONOME, _DELAY, _OVER, _KEPT = "record.metronome", "record.delay", "record.over", "record.kept"
_BPM = 120  # of the metronome while the form leaves it to the model; it says so beside its button
_QUIET, _CLIPS = -50.0, -0.1  # dBFS
_ASK: dict[str, object] = {"echoCancellation": False, "noiseSuppression": False, "autoGainControl": False}
_TEXTS = {
    "start": N_("Start the microphone"),
    "stop": N_("Stop the microphone"),
    "select_device": N_("Choose a microphone"),
    "media_api_not_available": N_(
        "This browser gives no microphone here; open the studio by https or on this machine."
    ),
    "device_ask_permission": N_("Allow the microphone in the browser."),
    "device_not_available": N_("The microphone is not available."),
    "device_access_denied": N_("The browser refuses the microphone."),
    "select_microphone": N_("Choose a microphone"),
    "mute_microphone": N_("Mute"),
    "unmute_microphone": N_("Unmute"),
}


def panel(view: SourceView | None, page: str, *, closed: bool = False) -> None:
    """Draw the recorder of a page; with a source it can be played while one records over it.

    Nothing else on the page may redraw by itself meanwhile: the microphone's connection would not outlive it.
    """
    box = st.expander(_("Record live"), icon=":material/mic:", key=_OPEN, on_change="rerun")
    if not box.open:
        return
    with box:
        if importlib.util.find_spec("streamlit_webrtc") is None:
            st.info(_("Live recording needs a package: pip install -c constraints.txt '.[webrtc]'. Or record above."))
        elif closed or jobs.any_active():
            st.info(_("The recorder is here again when nothing is being made."))
        elif radio.on_air(page):
            st.info(_("The recorder is here again when the radio is off."))
        else:
            _recorder(view)


def dropped(lost: int | None) -> list[str]:
    """Say how many frames of a recording never came; nothing of what is no live recording."""
    if lost is None:
        return []
    return [_("{n} frames were lost and are silent").format(n=lost) if lost else _("no dropped frames")]


def _recorder(view: SourceView | None) -> None:
    st.caption(_("48 kHz, stereo, untouched by the browser. Wear headphones, or the metronome is recorded too."))
    st.session_state.setdefault(_DELAY, 0.0)
    bpm = st.session_state.get(fields.key("bpm")) or _BPM
    if MIN_BPM <= bpm <= MAX_BPM:
        metronome.metronome(
            key=_METRONOME,
            bpm=float(bpm),
            beats=_beats(),
            take=None if view is None else (view.name, view.path, view.seconds),
            on_clicked=_measure,
            on_punched=_punched,
        )
    else:
        words = _("The metronome needs a BPM from {low} to {high}; the form has {bpm}.")
        st.warning(words.format(low=MIN_BPM, high=MAX_BPM, bpm=bpm))
    st.number_input(
        _("Delay of this machine (ms)"),
        0.0,
        recording.MAX_DELAY,
        step=1.0,
        format="%.1f",
        key=_DELAY,
        help=_("What is recorded over a take is moved to the front by this. Measure delay plays clicks and listens."),
    )
    st.fragment(_microphone, run_every=POLL)()
    notices.kept(_PLACE)


def _relays() -> dict[str, object]:
    """Return the TURN server of the settings; without one the studio and its people must share a network."""
    own = settings()
    relay = {"urls": [own.turn_url], "username": own.turn_user, "credential": own.turn_password}
    return {"iceServers": [relay] if own.turn_url else []}


def _microphone() -> None:
    """The connection lives only as long as each of the fragment's runs draws it."""
    from streamlit_webrtc import Translations, WebRtcMode, webrtc_streamer

    capture = _capture()
    context = webrtc_streamer(
        key="record.microphone",
        mode=WebRtcMode.SENDONLY,
        rtc_configuration=_relays(),
        media_stream_constraints={"audio": _ASK, "video": False},
        queued_audio_frames_callback=capture.push,
        on_audio_ended=capture.end,
        translations=cast(Translations, {name: _(text) for name, text in _TEXTS.items()}),
    )
    level = capture.level()
    meter = min(1.0, max(0.0, 1 + level.peak / 60))
    st.progress(meter, text=_said(level, playing=context.state.playing))
    with st.container(horizontal=True):
        ready = level.seconds >= recording.SHORTEST and not context.state.playing
        st.button(_("Use as source"), key="record.source", disabled=not ready, on_click=_keep, args=[SOURCE])
        st.button(_("Use as reference"), key="record.reference", disabled=not ready, on_click=_keep, args=[REFERENCE])
        st.button(_("Discard"), key="record.discard", disabled=not level.seconds, on_click=_discard)
    if st.session_state.pop(_KEPT, False):
        st.rerun()  # the whole page shows its source and reference elsewhere


def _said(level: recording.Level, *, playing: bool) -> str:
    """Say in words what the bar shows."""
    parts = [_("{time} s recorded").format(time=f"{level.seconds:.1f}")]
    if playing:
        sound = _("silence") if level.peak == float("-inf") else _("{level} dBFS").format(level=f"{level.peak:.0f}")
        if level.peak > _CLIPS:
            sound += " · " + _("too loud: it clips")
        elif level.peak < _QUIET and level.seconds > 1:
            sound += " · " + _("very quiet: is this the right microphone?")
        parts.append(sound)
    if level.seconds:
        parts += dropped(level.lost)
    if level.full:
        parts.append(
            _("the longest recording is {time} s; the rest was not kept").format(time=f"{recording.LONGEST:g}")
        )
    return " · ".join(parts)


def _capture() -> Capture:
    if _CAPTURE not in st.session_state:
        st.session_state[_CAPTURE] = Capture()
    found: Capture = st.session_state[_CAPTURE]
    return found


def _beats() -> int:
    text = str(st.session_state.get(fields.key("timesignature")) or "4")
    return int(text) if text.isdigit() else 4


def _keep(target: str) -> None:
    """A callback: make the recording source or reference; a punch-in stands on its take's timeline."""
    notices.forget(_PLACE)
    field = _("Source Audio") if target == SOURCE else _("Reference Audio")
    lost = _capture().level().lost
    name = f"recording {datetime.now():%Y-%m-%d %H.%M.%S}.wav"
    try:
        upload = studio().uploads.add(field, name, recording.wav(_placed(_capture().samples())), lost)
    except StudioError as error:
        notices.keep(_PLACE, error)
        return
    st.session_state[target] = upload
    if target == REFERENCE:
        st.session_state[fields.key("reference_audio")] = upload.key
    st.session_state[_KEPT] = True
    st.toast(_("The recording is the {field} now.").format(field=field))
    if st.session_state.get(_OVER, (0,))[0] == _capture().number:
        st.toast(
            _("It stands where the source played, {time} ms of delay taken away.").format(
                time=f"{st.session_state[_DELAY]:g}"
            )
        )


def _placed(samples: Samples) -> Samples:
    """Move a punch-in to where its take was, by the delay of this machine."""
    over: tuple[int, float, float] | None = st.session_state.get(_OVER)
    if over is None:
        return samples
    number, moment, start = over
    if number != _capture().number:
        return samples  # the source played during another recording
    delay = recording.checked_delay(st.session_state[_DELAY])
    return recording.aligned(samples, _capture().place(moment) + delay, start)


def _discard() -> None:
    _capture().clear()
    st.session_state.pop(_OVER, None)


def _punched() -> None:
    """A callback: the take began to play; the recording is over it until it is discarded."""
    if (said := metronome.punched(_METRONOME)) is not None:
        st.session_state[_OVER] = (_capture().number, *said)


def _measure() -> None:
    """A callback: clicks were played while the microphone was open."""
    notices.forget(_PLACE)
    clicks: Sequence[float] = metronome.clicked(_METRONOME)
    capture = _capture()
    try:
        late = recording.heard_after(capture.samples(), [capture.place(click) for click in clicks])
    except AudioError as error:
        notices.keep(_PLACE, error)
        return
    if late < 0:
        notices.keep(
            _PLACE, AudioError(f"the clicks came {-1000 * late:.0f} ms before they were played: clocks differ")
        )
        return
    st.session_state[_DELAY] = round(1000 * late, 1)
    st.toast(_("The delay is {time} ms.").format(time=f"{1000 * late:.0f}"))
