"""Fetching from a server on this machine that speaks the hubs' protocols, over every kind of bad connection."""

from __future__ import annotations

import json
import shutil
from collections import namedtuple
from collections.abc import Iterator
from pathlib import Path

import pytest

from studio.engine import download as downloads
from studio.engine.checkpoint import find_checkpoints, resolve
from studio.engine.engine import Engine
from studio.engine.fetch import MAIN, STAGING, Fetched, fetch, measure
from studio.engine.hubs import Endpoints, Hub
from studio.engine.manifest import MANIFEST, check_sums
from studio.engine.run import Phase, Run
from studio.errors import Cancelled, CheckpointError, FetchFailed, InvalidRequest, NotFound, StorageError
from tests.engine.hub_server import HubServer, serve
from tests.engine.originals import build, write_dit, write_tree

NAME = "acestep-v15-turbo"
WEIGHTS = f"{NAME}/model.safetensors"


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folders of the main repository, with what must never be fetched among them."""
    root = tmp_path_factory.mktemp("published")
    dit = write_tree(root, build(turbo=True), NAME)
    (dit / "pytorch_model.bin").write_bytes(b"pickle")
    (root / "acestep-5Hz-lm-1.7B").mkdir()
    (root / "acestep-5Hz-lm-1.7B" / "model.safetensors").write_bytes(b"a planner nobody asked for")
    write_dit(root / "base", build(turbo=False), is_turbo=False, model_version="base")
    return root


@pytest.fixture
def hub(published: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(downloads.time, "sleep", lambda seconds: None)
    with serve() as server:
        for folder in (NAME, "vae", "Qwen3-Embedding-0.6B", "acestep-5Hz-lm-1.7B"):
            server.publish(MAIN, published / folder, folder)
        server.publish("ACE-Step/acestep-v15-base", published / "base")
        yield server


def get(hub: HubServer, into: Path, name: str = NAME, source: str = "auto", run: Run | None = None) -> Fetched:
    endpoints = Endpoints(huggingface=hub.address, modelscope=hub.address)
    return fetch(name, into, source=source, endpoints=endpoints, run=run)


@pytest.mark.parametrize("source", [Hub.HUGGINGFACE, Hub.MODELSCOPE])
def test_a_fetched_checkpoint_plays_and_holds_no_code(hub: HubServer, tmp_path: Path, source: Hub) -> None:
    done = get(hub, tmp_path, source=source)
    assert (done.path, done.hub, done.failures) == (tmp_path / NAME, source, ())
    assert sorted(path.name for path in tmp_path.iterdir() if path.name != STAGING) == [
        "Qwen3-Embedding-0.6B",
        NAME,
        "vae",
    ]
    assert not [path for path in tmp_path.rglob("*") if path.suffix in (".py", ".bin", ".part")]
    assert Engine.load(NAME, device="cpu", dirs=[tmp_path]).spec.name == NAME
    for folder in resolve(tmp_path / NAME).folders:
        assert {fault for _, fault in check_sums(folder)} == {""}
        assert json.loads((folder / MANIFEST).read_text())["source"] == f"fetched from {source}"


def test_progress_counts_bytes_up_to_all_of_them(hub: HubServer, tmp_path: Path) -> None:
    heard: list[tuple[Phase, int, int]] = []
    done = get(hub, tmp_path, run=Run(lambda *step: heard.append(step)))
    counts = [count for _, count, _ in heard]
    assert counts == sorted(counts)
    assert heard[-1] == (Phase.FETCHING, done.downloaded, done.downloaded)


def test_a_second_fetch_downloads_nothing(hub: HubServer, tmp_path: Path) -> None:
    get(hub, tmp_path)
    hub.ranges.clear()
    assert get(hub, tmp_path).downloaded == 0
    assert hub.ranges == []


def test_a_cut_connection_is_gone_on_with(hub: HubServer, tmp_path: Path) -> None:
    hub.cuts[WEIGHTS] = [1000, 500]
    get(hub, tmp_path)
    assert hub.asked(WEIGHTS) == ["", "bytes=1000-", "bytes=1500-"]
    assert Engine.load(tmp_path / NAME, device="cpu")


def test_an_interrupted_fetch_is_gone_on_with_by_the_next(hub: HubServer, tmp_path: Path) -> None:
    size = len(hub.repos[MAIN][WEIGHTS])
    hub.cuts[WEIGHTS] = [size - 10] + [0] * 20
    with pytest.raises(FetchFailed, match=rf"{WEIGHTS} stopped at {size - 10} of {size} bytes"):
        get(hub, tmp_path, source="huggingface")
    assert find_checkpoints([tmp_path]) == []  # nothing half done is shown
    hub.cuts.clear()
    hub.ranges.clear()
    done = get(hub, tmp_path, source="modelscope")  # the bytes are the same wherever they come from
    assert hub.asked(WEIGHTS) == [f"bytes={size - 10}-"]
    assert done.downloaded < size
    assert resolve(tmp_path / NAME)


def test_a_cancelled_fetch_keeps_what_arrived(hub: HubServer, tmp_path: Path) -> None:
    heard: list[int] = []
    run = Run(lambda phase, done, total: heard.append(done), lambda: len(heard) > 4)
    with pytest.raises(Cancelled):
        get(hub, tmp_path, run=run)
    kept = sum(path.stat().st_size for path in (tmp_path / STAGING).rglob("*.part"))
    assert kept >= heard[-1] > 0
    total = get(hub, tmp_path / "elsewhere").downloaded
    assert get(hub, tmp_path).downloaded == total - kept


def test_a_server_without_ranges_sends_everything_again(hub: HubServer, tmp_path: Path) -> None:
    hub.cuts[WEIGHTS], hub.ignore_ranges = [1000], True
    get(hub, tmp_path)
    assert len(hub.asked(WEIGHTS)) == 2
    assert resolve(tmp_path / NAME)


def test_a_passing_server_error_is_tried_again(hub: HubServer, tmp_path: Path) -> None:
    hub.statuses[WEIGHTS] = [503, 429]
    get(hub, tmp_path, source="huggingface")
    assert len(hub.asked(WEIGHTS)) == 3


def test_auto_says_why_the_first_hub_was_not_used(hub: HubServer, tmp_path: Path) -> None:
    hub.silent.add("huggingface")
    done = get(hub, tmp_path)
    assert done.hub is Hub.MODELSCOPE
    assert len(done.failures) == 1
    assert done.failures[0].startswith("huggingface: ACE-Step/Ace-Step1.5 can't be listed")
    assert "503" in done.failures[0]


def test_when_no_hub_delivers_both_reasons_are_given(hub: HubServer, tmp_path: Path) -> None:
    hub.silent |= {"huggingface", "modelscope"}
    with pytest.raises(
        FetchFailed, match=r"acestep-v15-turbo can't be fetched; huggingface: .*503.*; modelscope: .*503"
    ):
        get(hub, tmp_path)


def test_a_missing_repository_and_an_unknown_name_are_named(hub: HubServer, tmp_path: Path) -> None:
    with pytest.raises(FetchFailed, match=r"huggingface: some/body can't be listed: .*404.*; modelscope: .*404"):
        get(hub, tmp_path, "some/body")
    for name in ("nobody", "../up", "a/..", "a/b/c"):
        with pytest.raises(NotFound, match="no checkpoint is published as"):
            get(hub, tmp_path, name)


def test_an_unknown_source_is_refused(hub: HubServer, tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match="source must be one of auto, huggingface, modelscope, got 'torrent'"):
        get(hub, tmp_path, source="torrent")


def test_two_fetches_never_write_into_one_directory(hub: HubServer, tmp_path: Path) -> None:
    def second(*_: object) -> None:
        with pytest.raises(FetchFailed, match=r"another fetch into .* is running"):
            get(hub, tmp_path)

    get(hub, tmp_path, run=Run(second))
    assert resolve(tmp_path / NAME)


def test_a_directory_that_can_not_be_written_is_named(hub: HubServer, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="file can't be written"):
        get(hub, tmp_path / "file")


def test_a_file_that_may_not_be_read_ends_it_at_once(hub: HubServer, tmp_path: Path) -> None:
    hub.statuses[WEIGHTS] = [403] * 9
    with pytest.raises(FetchFailed, match=rf"{WEIGHTS} can't be downloaded: HTTP 403"):
        get(hub, tmp_path, source="huggingface")
    assert len(hub.asked(WEIGHTS)) == 1


def test_a_wrong_checksum_is_refused_and_the_bytes_are_thrown_away(hub: HubServer, tmp_path: Path) -> None:
    hub.promised[WEIGHTS] = "ab" * 32
    with pytest.raises(FetchFailed, match=rf"{WEIGHTS} arrived damaged: its SHA-256 is \w+, the hub says (ab){{32}}"):
        get(hub, tmp_path, source="huggingface")
    assert not (tmp_path / NAME).exists()
    assert not list((tmp_path / STAGING / NAME).rglob("model.safetensors*"))


def test_a_full_disk_is_known_before_anything_is_downloaded(
    hub: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", "free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(12_345))
    with pytest.raises(StorageError, match=r"has 12\.3 kB free, \d\.\d MB are needed"):
        get(hub, tmp_path)
    assert hub.ranges == []


def test_the_size_is_known_before_and_after_a_broken_download(hub: HubServer, tmp_path: Path) -> None:
    endpoints = Endpoints(huggingface=hub.address, modelscope=hub.address)
    need = measure(NAME, tmp_path, endpoints=endpoints)
    assert need.total == need.missing > 1_000_000
    assert list(tmp_path.iterdir()) == hub.ranges == []

    def stop(phase: Phase, done: int, total: int) -> None:
        if done > need.total / 2:
            raise Cancelled

    with pytest.raises(Cancelled):
        get(hub, tmp_path, run=Run(listener=stop))
    left = measure(NAME, tmp_path, endpoints=endpoints)
    assert (left.total, left.missing < need.missing) == (need.total, True)
    assert get(hub, tmp_path).downloaded == left.missing
    hub.silent = {"huggingface", "modelscope"}
    with pytest.raises(FetchFailed, match=r"nobody says how large acestep-v15-base is; huggingface: .*; modelscope: "):
        measure("acestep-v15-base", tmp_path, endpoints=endpoints)


def test_a_disk_that_fills_up_meanwhile_is_named(
    hub: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(downloads, "_receive", full)
    with pytest.raises(StorageError, match="can't be written: No space left on device"):
        get(hub, tmp_path)


def test_another_model_brings_what_it_shares_unless_it_is_there(hub: HubServer, tmp_path: Path) -> None:
    get(hub, tmp_path, "acestep-v15-base")
    assert sorted(info.name for info in find_checkpoints([tmp_path])) == ["acestep-v15-base"]
    own_vae = tmp_path / "vae" / "diffusion_pytorch_model.safetensors"
    changed = bytearray(own_vae.read_bytes())
    changed[-1] ^= 1  # the user's own autoencoder
    own_vae.write_bytes(changed)
    get(hub, tmp_path)
    assert own_vae.read_bytes() == bytes(changed)
    assert len(find_checkpoints([tmp_path])) == 2


def test_a_folder_somebody_else_filled_is_completed_but_never_overwritten(
    hub: HubServer, tmp_path: Path, published: Path
) -> None:
    shutil.copytree(published / NAME, tmp_path / NAME)
    (tmp_path / NAME / "silence_latent.pt").unlink()
    get(hub, tmp_path)
    assert hub.asked(WEIGHTS) == []
    assert resolve(tmp_path / NAME)
    (tmp_path / NAME / MANIFEST).unlink()
    (tmp_path / NAME / "model.safetensors").write_bytes(b"my own training")
    with pytest.raises(FetchFailed, match=r"model.safetensors is there with other content; move"):
        get(hub, tmp_path)
    assert (tmp_path / NAME / "model.safetensors").read_bytes() == b"my own training"


def test_a_file_outside_of_its_repository_is_refused(hub: HubServer, tmp_path: Path) -> None:
    hub.repos["some/body"] = {"../evil.json": b"{}"}
    with pytest.raises(FetchFailed, match=r"lists '../evil.json', which lies outside of it"):
        get(hub, tmp_path / "into", "some/body", source="modelscope")
    assert not (tmp_path / "evil.json").exists()


def test_a_published_model_that_can_not_be_used_is_named(hub: HubServer, tmp_path: Path) -> None:
    files = hub.repos["ACE-Step/acestep-v15-base"]
    files["config.json"] = files["config.json"].replace(b'"base"', b'"next"')
    with pytest.raises(CheckpointError, match="model_version 'next' names no known family"):
        get(hub, tmp_path, "acestep-v15-base")
