"""Every threat of docs/security.md names tests, and those exist."""

from __future__ import annotations

import re

import pytest

from tests.docs.commands import ROOT

PAGE = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| (?!threat|-)(.+?) \| .+? \| (.+?) \|$", PAGE, re.MULTILINE)


def test_there_are_threats() -> None:
    assert len(ROWS) > 20


@pytest.mark.parametrize(("threat", "named"), ROWS, ids=[threat for threat, _named in ROWS])
def test_each_threat_has_a_test_that_exists(threat: str, named: str) -> None:
    tests = re.findall(r"`(\S+?\.py)::(\w+)`", named)
    assert tests
    for file, name in tests:
        assert f"\ndef {name}(" in (ROOT / file).read_text(encoding="utf-8"), (threat, name)
