"""A short run of the fuzzer, and that it would find what it looks for; the long one is in docs/log.md."""

from __future__ import annotations

import pytest

from tests.faults import fuzz


def test_broken_files_and_texts_are_refused_and_nothing_else_happens() -> None:
    tally = fuzz.fuzz(300, seed=7)
    assert tally.faults == {}
    assert tally.ends["refused"] > 100
    assert tally.ends["read"] > 50


def test_a_reader_that_fails_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(fuzz.READERS, "codes", lambda data, folder: fuzz.reading.number({}, "missing"))
    (fault,) = fuzz.fuzz(3, seed=1, only="codes").faults
    assert fault.startswith("codes: KeyError \"'missing'\" in reading.py:")
