"""What the music is about: task, caption, lyrics, voice, and the helpers that write them."""

from __future__ import annotations

import streamlit as st

from studio.config import ROOT
from studio.engine.prompts import INSTRUCTIONS
from studio.engine.requests import MAX_CAPTION, MAX_LYRICS, Task
from studio.i18n import N_
from studio.services.views import ModelView
from studio.ui import fields
from studio.ui.fields import FIELDS, FORMATTED, key
from studio.ui.panels import writing
from studio.ui.panels.choices import checkbox, language_name
from studio.ui.runtime import studio
from studio.ui.text import _

_NO_DICE = "words.no_dice"
_TASK = "create.task"
_TASKS = {  # task -> its words and the page that owns it
    Task.TEXT2MUSIC: (N_("text2music"), "pages/generate.py"),
    Task.COVER: (N_("cover"), "pages/edit.py"),
    Task.REPAINT: (N_("repaint"), "pages/edit.py"),
    Task.LEGO: (N_("lego"), "pages/stems.py"),
    Task.EXTRACT: (N_("extract"), "pages/stems.py"),
    Task.COMPLETE: (N_("complete"), "pages/stems.py"),
}


def task(model: ModelView | None) -> None:
    """Draw the task and the sentence the model is told for it; another task opens the page that owns it."""
    st.session_state.setdefault(_TASK, Task.TEXT2MUSIC.value)
    chosen = st.selectbox(
        _("Task Type"),
        [task.value for task in _TASKS],
        key=_TASK,
        format_func=lambda name: _task_words(Task(name), model),
        help=_("This page makes songs from text. Another task opens the page made for it, with your settings."),
    )
    wanted = Task(chosen)
    if wanted is not Task.TEXT2MUSIC and not (reason := why_not(wanted, model)):
        st.switch_page(_TASKS[wanted][1])
    if wanted is not Task.TEXT2MUSIC:
        st.warning(
            _("{task} can't be chosen: {reason}. This page goes on with text2music.").format(
                task=_(_TASKS[wanted][0]), reason=reason
            )
        )
    codes = bool(st.session_state[key("audio_codes")].strip()) and not st.session_state[key("thinking")]
    # The key changes with the text: a disabled box keeps the first value it was drawn with.
    st.text_area(
        _("Instruction"),
        value=INSTRUCTIONS["cover" if codes else "text2music"],
        height=70,
        key="create.instruction.codes" if codes else "create.instruction",
        disabled=True,
        help=_("The sentence the model is told for this task. It can't be changed."),
    )


def why_not(wanted: Task, model: ModelView | None) -> str:
    """Say why a task can't be opened; empty when it can."""
    if model is not None and model.family != "base" and wanted in (Task.LEGO, Task.EXTRACT, Task.COMPLETE):
        return _("{family} models know no stem tasks, base models do").format(family=model.family)
    if not (ROOT / _TASKS[wanted][1]).is_file():
        return _("its page is not there yet")
    return ""


def _task_words(wanted: Task, model: ModelView | None) -> str:
    reason = "" if wanted is Task.TEXT2MUSIC else why_not(wanted, model)
    return f"{_(_TASKS[wanted][0])} ({reason})" if reason else _(_TASKS[wanted][0])


def caption() -> None:
    """Draw the caption with its guidance and its dice."""
    text, dice = st.columns([8, 1], vertical_alignment="bottom")
    text.text_area(
        _("Caption"),
        key=key("caption"),
        height=110,
        placeholder=_("upbeat pop rock with driving electric guitars, live drums and a bright synth hook"),
        help=_(
            "Describe the music: genre and style, instruments, mood and atmosphere, and the tempo feel when BPM is "
            "empty. Fewer than 512 characters. May stay empty when there are lyrics."
        ),
        on_change=fields.touched,
        persist_state="session",
    )
    dice.button(
        ":material/casino:",  # not 🎲: machines without an emoji font show a box
        key="create.dice",
        help=_("Fill the form with one of the example songs"),
        on_click=_dice,
        width="stretch",
    )
    _count("caption", MAX_CAPTION - 1)
    if st.session_state.pop(_NO_DICE, False):
        st.warning(_("There are no examples: the folder data/examples is missing or empty."))


def lyrics() -> None:
    """Draw lyrics, voice and Format."""
    st.text_area(
        _("Lyrics"),
        key=key("lyrics"),
        height=190,
        placeholder=_("[verse]\nCity lights are fading low\n\n[chorus]\nWe keep on driving home"),
        help=_(
            "Put section tags such as [verse], [chorus] or [bridge] on lines of their own and an empty line between "
            "sections. Fewer than 4096 characters. May stay empty when there is a caption."
        ),
        disabled=fields.closed("lyrics", st.session_state[key("instrumental")]),
        on_change=fields.touched,
        persist_state="session",
    )
    _count("lyrics", MAX_LYRICS - 1)
    voice, spoken, rewrite = st.columns([2, 3, 2], vertical_alignment="bottom")
    with voice:
        checkbox(
            "instrumental",
            _("Music without singing. Your lyrics stay in the box and are used again when you untick this."),
        )
    spoken.selectbox(
        _("Vocal Language"),
        FIELDS["vocal_language"].options,
        key=key("vocal_language"),
        format_func=language_name,
        help=_("The language that is sung. Unknown lets the model decide."),
        on_change=fields.touched,
        persist_state="session",
    )
    rewrite.button(
        _("Format"),
        key="create.format",
        disabled=writing.busy(),
        help=_("Let the language model write caption and lyrics out. Tempo, key and length you set stay."),
        on_click=writing.format_words,
        width="stretch",
    )
    if st.session_state[FORMATTED]:
        st.caption(_(":material/auto_awesome: Already formatted: the language model will not look for facts again."))


def _count(name: str, most: int) -> None:
    """Count the characters; the widget's own limit would cut a pasted text without a word."""
    length = len(st.session_state[key(name)])
    words = _("{n} of {most} characters") if length <= most else _(":red[{n} of {most} characters: too many]")
    st.caption(words.format(n=length, most=most))


def guidance() -> None:
    """Draw what makes a good caption and good lyrics."""
    with st.expander(_("How to write caption and lyrics"), icon=":material/lightbulb:"):
        st.markdown(
            _(
                "**Caption** – name the genre and style, the instruments, the mood, and the tempo feel when BPM is "
                "empty. Specific words work better than vague ones: *mid-tempo synthwave with analog bass, gated drums "
                "and a lonely saxophone, nostalgic night-drive mood*. Leave tempo and key to their own fields.\n\n"
                "**Lyrics** – a tag on its own line opens a section, an empty line closes it:\n\n"
                "```\n[verse 1]\nRain on the window, radio low\n\n[chorus]\nCarry me over the river\n\n[verse 2]\n"
                "Streetlights are counting the road\n```\n\n"
                "Six to ten syllables a line sing well. Capitals mean force, (round brackets) are backing voices. Keep "
                "caption and lyrics of one mind: no whisper in one and shouting in the other."
            )
        )


def _dice() -> None:
    song = studio().examples.song()
    if song is None:
        st.session_state[_NO_DICE] = True
        return
    fields.put(**{**song, "instrumental": False})
    st.session_state[FORMATTED] = st.session_state[writing.SAMPLED] = True
