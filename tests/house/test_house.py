"""The house rules, checked on the tree."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from tests.house import rules

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = [ROOT / "Home.py", *sorted((ROOT / "pages").glob("*.py"))]
STUDIO = sorted((ROOT / "studio").rglob("*.py"))
UI = [*SCRIPTS, *sorted((ROOT / "studio" / "ui").rglob("*.py"))]
CODE = [ROOT / "app.py", *SCRIPTS, *STUDIO]


def _inside(*parts: str) -> Callable[[Path], bool]:
    return lambda path: path.relative_to(ROOT).as_posix().startswith(parts)


def _broken(rule: Callable[[str], list[str]], files: Iterable[Path], but: tuple[str, ...] = ("-",)) -> list[str]:
    """Return file:problem for every file outside the prefixes `but`."""
    allowed = _inside(*but)
    return [
        f"{path.relative_to(ROOT)}:{problem}"
        for path in files
        if not allowed(path)
        for problem in rule(path.read_text(encoding="utf-8"))
    ]


@pytest.mark.parametrize(
    ("rule", "files", "but"),
    [
        (rules.long_file, CODE, ("-",)),
        (rules.long_functions, CODE, ("studio/storage/migrations/versions/",)),
        (rules.widgets_without_key, UI, ("-",)),
        (rules.untranslated, UI, ("-",)),
        (rules.reads_environment, CODE, ("studio/config.py",)),
        (rules.prints, CODE, ("studio/cli/",)),
        (rules.runs_what_it_reads, CODE, ("-",)),
        (rules.outside_doors, SCRIPTS, ("-",)),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)
def test_the_tree_keeps_the_rule(rule: Callable[[str], list[str]], files: list[Path], but: tuple[str, ...]) -> None:
    assert len(files) > 1
    assert _broken(rule, files, but) == []


def test_the_only_blind_except_is_the_workers() -> None:
    found = _broken(rules.blind_excepts, CODE)
    assert len(found) == 1
    assert found[0].startswith("studio/jobs/")


def test_every_name_says_what_is_inside() -> None:
    places = [
        path for folder in ("studio", "pages", "mini", "tests", "bench") for path in (ROOT / folder).rglob("*.py")
    ]
    assert [problem for path in places for problem in rules.forbidden_name(path.relative_to(ROOT))] == []
