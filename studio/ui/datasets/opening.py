"""Step 1: load a dataset file, scan a folder on the server, or bring songs along."""

from __future__ import annotations

from typing import BinaryIO, cast

import streamlit as st
from streamlit.runtime.uploaded_file_manager import UploadedFile

from studio.engine.dataset.scan import EXTENSIONS
from studio.services.datasets.views import Scan
from studio.ui.datasets import current
from studio.ui.runtime import studio
from studio.ui.text import _, plain, plural

EXAMPLE = "./datasets/my_lora_dataset.json"
FOLDER = "./datasets/my_songs"
_LOAD, _SCAN, _UPLOAD = "dataset.load", "dataset.scan", "dataset.upload"
_PATH = "dataset.path"
_FAULTS = "dataset.scan.faults"
_ROUND = "dataset.upload.round"  # counts up to empty the uploader, whose value can't be set
_SHOWN = 50  # faults


def panel() -> None:
    """Draw the three ways to a dataset."""
    left, right = st.columns(2, gap="large")
    with left:
        st.markdown("**" + _("Load a dataset file") + "**")
        load(_PATH, "dataset.load.button")
    with right:
        st.markdown("**" + _("Scan a folder of songs") + "**")
        _scan()
    with st.expander(_("Upload songs"), icon=":material/upload:"):
        _upload()
    roots = ", ".join(f"`{root}`" for root in studio().settings.training_roots)
    st.caption(
        _("Paths begin in {roots}. STUDIO_DATASET_ROOTS names more folders that this page may use.").format(roots=roots)
    )


def outcome() -> None:
    """Draw what came of the last try, below the step: it folds up when there is a dataset."""
    for place in (_UPLOAD, _SCAN, f"{_LOAD}.{_PATH}"):
        current.came_of(place)
    if faults := st.session_state.get(_FAULTS, ()):
        with st.expander(plural("{n} remark on what was found", "{n} remarks on what was found", len(faults))):
            st.markdown("\n".join(f"- {plain(fault)}" for fault in faults[:_SHOWN]))


def load(path_key: str, button_key: str) -> None:
    """Draw a dataset file's path and the button that opens it (D-01, D-02, D-31)."""
    st.text_input(
        _("Dataset JSON Path"),
        key=path_key,
        placeholder=EXAMPLE,
        help=_("A dataset that was saved before, here or by the original."),
        persist_state="session",
    )
    st.button(_("Load"), key=button_key, on_click=_open, args=[path_key, f"{_LOAD}.{path_key}"])
    if path_key != _PATH:
        current.came_of(f"{_LOAD}.{path_key}")


def _open(path_key: str, place: str) -> None:
    def work() -> None:
        current.show(studio().datasets.opening.load(str(st.session_state.get(path_key) or "")))
        st.session_state[_FAULTS] = ()
        current.say(place, _("Loaded; name, songs, labels and tag stand at the top."))

    current.attempt(place, work)


def _scan() -> None:
    st.text_input(
        _("Audio Folder Path"),
        key="dataset.folder",
        placeholder=FOLDER,
        help=_("Everything below it is found: {kinds}.").format(kinds=" ".join(EXTENSIONS)),
        persist_state="session",
    )
    if st.button(_("Scan"), key="dataset.scan.button"):
        _scan_folder(str(st.session_state.get("dataset.folder") or ""))
        st.rerun()


def _scan_folder(folder: str) -> None:
    bar = st.progress(0.0, text=_("Looking for songs…"))

    def progress(done: int, total: int, name: str) -> None:
        bar.progress(done / total, text=_("{k} of {n}: {file}").format(k=done + 1, n=total, file=plain(name)))

    def work() -> None:
        _tell(studio().datasets.opening.scan(folder, current.current_id(), progress))

    current.attempt(_SCAN, work)


def _tell(found: Scan) -> None:
    current.show(found.dataset_id)
    st.session_state[_FAULTS] = found.faults
    parts = [
        plural("{n} song", "{n} songs", found.songs),
        plural("{n} with lyrics", "{n} with lyrics", found.used["lyrics"]),
        plural("{n} with a caption file", "{n} with caption files", found.used["caption"]),
        plural("{n} with a JSON file", "{n} with JSON files", found.used["json"]),
        plural("{n} found in tables", "{n} found in tables", found.used["csv"]),
    ]
    current.say(_SCAN, _("Found: {what}.").format(what=" · ".join(parts)))


def _upload() -> None:
    uploader = f"dataset.upload.{st.session_state.setdefault(_ROUND, 0)}"
    kinds = [kind.lstrip(".") for kind in EXTENSIONS]
    files = st.file_uploader(
        _("Songs, their text files, or a zip of them"),
        type=["zip", "txt", "json", "csv", *kinds],
        accept_multiple_files=True,
        key=uploader,
        help=_("They are put into a folder of yours on the server and scanned there."),
    )
    st.text_input(_("Folder for the upload"), key="dataset.upload.name", value="my_songs")
    if st.button(_("Upload and scan"), key="dataset.upload.button", disabled=not files):
        _take_in(files)
        st.rerun()


def _take_in(files: list[UploadedFile]) -> None:
    name = str(st.session_state["dataset.upload.name"])
    given = [(file.name, cast(BinaryIO, file)) for file in files]

    def work() -> None:
        arrived = studio().datasets.opening.upload(name, given)
        st.session_state[_ROUND] += 1
        if arrived.left_out:
            words = _("Left out, neither songs nor their texts: {names}")
            current.say(_UPLOAD, words.format(names=plain(", ".join(arrived.left_out[:10]))))
        _scan_folder(arrived.folder)

    current.attempt(_UPLOAD, work)
