"""A file is under its key whole or not at all, and never outside the store."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from studio.errors import StorageError
from studio.storage.artifacts import SCRATCH_LIFE, ArtifactStore


def test_put_moves_the_draft_and_replaces(tmp_path: Path) -> None:
    store = ArtifactStore(tmp_path)
    for content in (b"first", b"second"):
        with store.drafts("job") as folder:
            draft = folder / "0.wav"
            draft.write_bytes(content)
            store.put("batches/b/0.wav", draft)
            assert not draft.exists()
        assert store.path("batches/b/0.wav").read_bytes() == content
    assert store.names("batches/b") == {"0.wav"}
    assert store.draft_names() == set()


@pytest.mark.parametrize("key", ["../out.wav", "/etc/passwd", "batches/../../out.wav", ".drafts/x", "", "."])
def test_key_stays_inside(tmp_path: Path, key: str) -> None:
    with pytest.raises(StorageError, match="inside the store"):
        ArtifactStore(tmp_path / "store").path(key)


def test_link_out_of_the_store_is_refused(tmp_path: Path) -> None:
    store = ArtifactStore(tmp_path / "store")
    (tmp_path / "store" / "batches").symlink_to(tmp_path)
    with pytest.raises(StorageError, match="inside the store"):
        store.path("batches/secret.key")


def test_drafts_of_the_dead_can_be_dropped(tmp_path: Path) -> None:
    store = ArtifactStore(tmp_path)
    (tmp_path / ".drafts" / "dead.1").mkdir()
    (tmp_path / ".drafts" / "dead.1" / "0.wav").write_bytes(b"half")
    assert store.draft_names() == {"dead.1"}
    store.drop_drafts("dead.1")
    assert store.draft_names() == set()


def test_what_is_written_outside_of_jobs_is_left_alone_until_it_is_old(tmp_path: Path) -> None:
    store = ArtifactStore(tmp_path)
    with store.scratch() as one, store.scratch() as other:
        assert one != other
        assert store.draft_names() == set()
        yesterday = time.time() - SCRATCH_LIFE - 1
        os.utime(one, (yesterday, yesterday))
        assert store.draft_names() == {one.name}
    assert list((tmp_path / ".drafts").iterdir()) == []


def test_unwritable_store_is_explained(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(StorageError, match="artifact store"):
        ArtifactStore(tmp_path / "file" / "store")
