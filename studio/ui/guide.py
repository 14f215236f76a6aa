"""Help on every page: keys, tips for the page, what to do when something goes wrong, and the documents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import streamlit as st

from studio.config import ROOT
from studio.i18n import N_
from studio.ui.text import _

_OPEN = "guide.open"
KEYS = (
    (N_("Tab"), N_("goes to the next control, Shift+Tab back")),
    (N_("Space"), N_("ticks or unticks the checkbox that has the focus, or presses the button")),
    (N_("Enter"), N_("takes over what you typed in a line; in a box with several lines use Ctrl+Enter or ⌘+Enter")),
    (N_("Arrow keys"), N_("move a slider by one step")),
)
_START = ((N_("Ctrl+Shift+Enter"), N_("presses Generate Music from anywhere on the page")),)
_PLAYER = (
    (N_("Space"), N_("plays and pauses; it, and the keys below, need the focus on a player")),
    (N_("← and →"), N_("go 5 seconds back or on, with Shift one second")),
    (N_("Home and End"), N_("go to the beginning or the end")),
    (N_("L"), N_("repeats the take, or the region where there is one")),
)
_REGION = (
    (N_("Space and P"), N_("play the source, or its region alone; the focus is on the waveform")),
    (N_("Arrow keys"), N_("move the grip that has the focus by 0.1 s or a beat, with Shift ten times as far")),
    (N_("Page Up and Page Down"), N_("move it by 10 seconds, Home and End to the beginning or the end")),
    (N_("+, − and 0"), N_("zoom in, out, and back")),
)
_MORE_REGIONS = ((N_("Insert and Delete"), N_("add a region and take the chosen one away")),)
_SWITCH = ((N_("A and B"), N_("change between the two takes that are compared, at the same place")),)
_KEYS: Mapping[str, Sequence[tuple[str, str]]] = {
    "home": _PLAYER,
    "generate": (*_START, *_PLAYER),
    "edit": (*_START, *_REGION, *_MORE_REGIONS, *_PLAYER),
    "stems": ((_START[0][0], N_("presses the page's main button from anywhere on it")), *_REGION, *_PLAYER),
    "history": (*_PLAYER, *_SWITCH),
    "take": (*_PLAYER, *_SWITCH),
}
QUALITY = (
    N_("Keep Think on: a planned song holds together better."),
    N_("Write an exact caption: genre, instruments, mood, style."),
    N_("Leave BPM, key and length on Auto unless you need a certain one."),
    N_("Make two to four takes and keep the best."),
    N_("Tempo, key and metre are wishes: 60 to 180 BPM, common keys and 4/4 are followed best."),
    N_("Base models: 32 to 64 steps, Use ADG, a Guidance Scale of 7 to 9, and wav or flac."),
)
SPEED = (
    N_("Choose a turbo or turbo-shift3 model."),
    N_("Turbo needs no more than 8 steps."),
    N_("Fewer takes at once are done sooner."),
    N_("Leave AutoGen off when you want to decide batch by batch."),
)
REPEAT = (
    N_("Untick Random Seed and type a seed to get the same again."),
    N_("Save what you like: the JSON beside a take brings every setting back."),
    N_("Apply These Settings to UI on a good batch starts from where it was."),
)
LONG = (
    N_("For long pieces set the duration yourself; pieces without singing hold together best up to 180 seconds."),
    N_("Repaint the weak passages afterwards instead of making all of it again."),
    N_("Send a result to the source and go on from there, run after run."),
)
STYLE = (
    N_("Train a LoRA for a sound you come back to."),
    N_("Give a reference audio for timbre and mix."),
    N_("Keep the wording of captions alike from song to song."),
)
TRAINING = (
    N_("On Windows or with little memory, training and preparing may stall or need more than expected."),
    N_("Workers started anew after each epoch cost long pauses on Windows; now they stay, so pauses are rare."),
    N_("While preparing data, Offload to CPU moves models aside that the step doesn't need."),
    N_("Encoding in tiles lowers the peak of memory, and is much faster where memory is short."),
    N_("About 500 epochs suit 100 songs, 800 suit 10 to 20. Initialize without the language model before training."),
    N_("A smaller training batch takes less memory and longer; accumulation keeps its effect the same."),
    N_("Try these when preparing takes very long, memory runs out, or training pauses between epochs."),
)
TROUBLE = (
    (N_("No sound"), N_("Is the badge green? With Think on, is the language model loaded? Read the status text.")),
    (N_("Poor quality"), N_("More steps on base models, another guidance, other seeds, a more exact caption.")),
    (N_("Out of memory"), N_("Fewer takes, Offload to CPU, a smaller LM batch chunk, INT8.")),
    (N_("The language model does not work"), N_("Tick Initialize 5Hz LM, check its path, try the backend pt.")),
    (N_("A LoRA is refused"), N_("The message says what does not fit: its rank, its layers, or its model.")),
    (N_("Silent result"), N_("Use the language model's backend pt, and check that torch fits your driver.")),
    (N_("The seed is ignored"), N_("Untick Random Seed; one number counts for the first take only.")),
    (N_("Timesteps are ignored"), N_("Numbers from 1 down to 0 with commas between; they replace steps and shift.")),
)
_TIPS: Mapping[str, Sequence[tuple[str, Sequence[str]]]] = {
    "generate": (
        (N_("Best quality"), QUALITY),
        (N_("Speed"), SPEED),
        (N_("The same again"), REPEAT),
        (N_("Long music"), LONG),
        (N_("One style"), STYLE),
    ),
    "history": ((N_("The same again"), REPEAT),),
    "edit": ((N_("Long music"), LONG),),
    "dataset": ((N_("Windows and little memory"), TRAINING),),
    "train": ((N_("One style"), STYLE), (N_("Windows and little memory"), TRAINING)),
}
_DOCUMENTS = (  # words, file
    (N_("README"), "README.md"),
    (N_("REST API reference"), "docs/rest-api.md"),
    (N_("Python inference API reference"), "docs/python-api.md"),
)


def guide(page: str) -> None:
    """Draw the help of a page; its text is written only while it is open."""
    box = st.expander(_("Help"), icon=":material/help:", key=_OPEN, on_change="rerun")
    if not box.open:
        return
    with box:
        keys = (*KEYS, *_KEYS.get(page, ()))
        st.markdown("**" + _("Keyboard") + "**\n" + "\n".join(f"- **{_(name)}** {_(words)}" for name, words in keys))
        for title, tips in _TIPS.get(page, ()):
            st.markdown(f"**{_(title)}**\n" + "\n".join(f"- {_(tip)}" for tip in tips))
        st.markdown(
            "**"
            + _("When something goes wrong")
            + "**\n"
            + "\n".join(f"- **{_(what)}** – {_(do)}" for what, do in TROUBLE)
        )
        for words, file in _DOCUMENTS:
            there = (ROOT / file).is_file()
            if there and st.button(_(words), key=f"guide.{file}", icon=":material/menu_book:"):
                _open(words, file)


def _open(words: str, file: str) -> None:
    @st.dialog(_(words), width="large")
    def show() -> None:
        st.markdown((ROOT / file).read_text(encoding="utf-8"))

    show()
