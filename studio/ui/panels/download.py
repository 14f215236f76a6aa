"""Published models that are not on this machine: the way to them, and what a download takes before it begins."""

from __future__ import annotations

import streamlit as st

from studio.engine.space import readable
from studio.errors import FetchFailed
from studio.services.views import DownloadView
from studio.ui import jobs
from studio.ui.runtime import settings, studio
from studio.ui.text import _, explain, plain

OPEN = "service.asked"  # whether the person came here to choose a model
_FIRST = "acestep-v15-turbo"  # the quickest of the published ones, with everything else in its repository


def invite() -> None:
    """Draw the way to a published checkpoint while only the bundled ones are here."""
    if not _only_bundled():
        return
    with st.container(border=True, key="download.invite"):
        st.markdown("**" + _("A larger model") + "**")
        st.write(
            _(
                "The bundled model is small: it shows what the studio does. A published ACE-Step checkpoint sings and "
                "sounds far better. You see its size and the free disk before anything is downloaded."
            )
        )
        chosen = st.button(
            _("Choose a published checkpoint"), key="download.choose", icon=":material/download:", on_click=_choose
        )
    if chosen:
        st.switch_page("pages/generate.py")


def offer(name: str) -> None:
    """Say what downloading the published model `name` takes, and whether the disk has room for it."""
    if jobs.loading():
        return  # its progress says more
    view = _look(name)
    if isinstance(view, str):
        st.caption(
            _("{name} is downloaded first. Its size can't be looked up now: {reason}").format(
                name=plain(name), reason=plain(explain(view))
            )
        )
        return
    words = _("{name} is downloaded first: {missing} into {folder}, which has {free} free.").format(
        name=plain(name),
        missing=readable(view.missing),
        folder=plain(view.folder),
        free=readable(view.free),
    )
    if view.missing < view.total:
        words += " " + _("{there} of {total} are there already.").format(
            there=readable(view.total - view.missing), total=readable(view.total)
        )
    if view.free < view.missing:
        st.warning(words + " " + _("That is too little: make room first."), icon=":material/hard_drive:")
    else:
        st.info(words + " " + _("One that is interrupted goes on where it stopped."), icon=":material/download:")


def _choose() -> None:
    st.session_state["service.model"] = _FIRST
    st.session_state[OPEN] = True


@st.cache_data(ttl=60, show_spinner=False)
def _only_bundled() -> bool:
    models = studio().models()
    return bool(models) and all(model.folder == str(settings().models_dir) for model in models)


@st.cache_data(ttl=60, show_spinner=False)
def _look(name: str) -> DownloadView | str:
    """Ask the hubs, or return why they can't say: an error must not be asked for again at every rerun."""
    with st.spinner(_("Looking up the size of {name}").format(name=plain(name))):
        try:
            return studio().download(name)
        except FetchFailed as error:
            return str(error)
