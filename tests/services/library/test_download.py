"""A zip holds every take that was asked for, with its settings, under a name no other take has."""

from __future__ import annotations

import io
import json
import zipfile

import pytest

from studio.errors import InvalidRequest, LinkExpired
from tests.services.library.conftest import Stock


def fetch(stock: Stock, link: str) -> dict[str, bytes]:
    archive = stock.studio.archives.open(link.removeprefix("/api/zip/"))
    with zipfile.ZipFile(io.BytesIO(b"".join(archive.chunks))) as opened:
        assert opened.testzip() is None
        return {name: opened.read(name) for name in opened.namelist()}


def test_takes_and_their_settings(stock: Stock) -> None:
    first, second = stock.add("a/song: *one*", takes=2, bpm=90)
    stock.library.marks.name(second, "Second")
    files = fetch(stock, stock.library.zip_link([first, second]))
    assert sorted(name.split(" ", 1)[1] for name in files) == [
        "Second 2 seed1001.json",
        "Second 2 seed1001.wav",
        "a song one 1 seed1000.json",
        "a song one 1 seed1000.wav",
    ]
    sound, settings = (
        next(data for name, data in files.items() if name.endswith(f"1000.{end}")) for end in ("wav", "json")
    )
    assert sound == b"sound 0 of a/song: *one*"
    told = json.loads(settings)
    assert (told["bpm"], told["seed"], told["inference_steps"], told["audio_format"]) == (90, 1000, 8, "wav")


def test_everything_and_collections_leave_the_trash_out(stock: Stock) -> None:
    kept, gone = stock.add(takes=2)
    (other,) = stock.add()
    album = stock.library.collections.create("Album")
    stock.library.collections.add(album, [kept, gone])
    stock.library.trash.put([gone])
    assert len(fetch(stock, stock.library.everything_zip_link())) == 4
    assert len(fetch(stock, stock.library.collection_zip_link(album))) == 2
    assert other


def test_a_lost_file_is_named(stock: Stock) -> None:
    (take,) = stock.add()
    stock.file(take).unlink()
    assert list(fetch(stock, stock.library.zip_link([take]))) == ["MISSING.txt"]


def test_another_persons_take_is_left_out(stock: Stock) -> None:
    mine, theirs = stock.add(), stock.add(user=stock.stranger())
    assert len(fetch(stock, stock.library.zip_link([*mine, *theirs]))) == 2


def test_bad_links_and_selections(stock: Stock) -> None:
    (take,) = stock.add()
    token = stock.library.zip_link([take]).removeprefix("/api/zip/")
    stock.clock.advance(60 * 60 * 26)
    for wrong in (token, token[:-1], "takes:x:y", ""):
        with pytest.raises(LinkExpired):
            stock.studio.archives.open(wrong)
    with pytest.raises(InvalidRequest):
        stock.library.zip_link([])
    with pytest.raises(InvalidRequest):
        stock.library.zip_link([take] * 201)
