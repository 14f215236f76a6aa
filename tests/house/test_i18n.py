"""Languages are found from locales, and a language without a catalogue shows the source text."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog, Message
from babel.messages.pofile import read_po

from studio.extraction import texts
from studio.i18n import LANGUAGES, LOCALES, N_, SOURCE, catalogue, explain, match


@pytest.mark.parametrize("locale", ["en-GB", "en_US.UTF-8", "EN", None, "", "tlh-KX"])
def test_a_locale_gives_a_language_we_have(locale: str | None) -> None:
    assert match(locale) == SOURCE
    assert SOURCE in LANGUAGES


def test_a_missing_catalogue_gives_the_source_text_back() -> None:
    assert catalogue("tlh").gettext("Caption") == "Caption"
    assert catalogue("en").ngettext("{n} take", "{n} takes", 2) == "{n} takes"
    assert N_("Caption") == "Caption"


@pytest.mark.parametrize(
    ("locale", "language"), [("it-IT", "it"), ("zh_CN.UTF-8", "zh"), ("ja", "ja"), ("zh-Hans-CN", "zh")]
)
def test_a_browsers_language_is_taken(locale: str, language: str) -> None:
    assert match(locale) == language


@pytest.mark.parametrize("language", sorted(set(LANGUAGES) - {SOURCE}))
def test_a_catalogue_is_whole(language: str) -> None:
    """Every text of the code is there in every form, none is a guess, and none has lost a value or its emphasis."""
    template = {_key(message) for message in _read("studio.pot") if message.id}
    messages = {
        _key(message): message for message in _read(f"{language}/LC_MESSAGES/studio.po", language) if message.id
    }
    assert set(messages) == template, "run `make catalogues` and translate"
    assert [text for text, message in messages.items() if message.fuzzy or not all(_forms(message))] == []
    wrong = [text for text, message in messages.items() if not _keeps_its_marks(message)]
    assert wrong == []


def _read(name: str, language: str | None = None) -> Catalog:
    with (LOCALES / name).open("rb") as file:
        return read_po(file, locale=language)


def _key(message: Message) -> str:
    return message.id if isinstance(message.id, str) else message.id[0]


def _forms(message: Message) -> list[str]:
    return [message.string] if isinstance(message.string, str) else list(message.string)


def _keeps_its_marks(message: Message) -> bool:
    source = message.id if isinstance(message.id, str) else message.id[-1]
    last = _forms(message)[-1]
    holes = [sorted(re.findall(r"\{\w*[^{}]*\}", text)) for text in (source, last)]
    return holes[0] == holes[1] and all(source.count(mark) == last.count(mark) for mark in ("**", "`"))


def test_a_finished_message_is_found_again_and_its_values_stay() -> None:
    said = "be at most 8 seconds with acestep-mini"
    pattern = catalogue("it").gettext("be at most {duration} seconds with {name}")
    assert explain(said, "it") == pattern.format(duration=8, name="acestep-mini") != said
    assert explain(said, "tlh") == said
    assert explain("what nobody ever says", "it") == "what nobody ever says"


def test_messages_of_errors_are_extracted_with_named_values(tmp_path: Path) -> None:
    code = """
raise InvalidRequest("end", f"be after start, got {end:.1f} <= {self.start}", end)
raise NotFound(f"{path} can't be read: {error}" f" ({path})")
raise AudioError("no sound")
rule = f"hold at most {MAX} numbers and {len(x)} and {len(y)}"
raise ValueError("not for people")
words = f"{count} {_('{n} left')}"
"""
    (tmp_path / "x.py").write_text(code)
    with (tmp_path / "x.py").open("rb") as file:
        found = [text for _line, _function, text, _comments in texts(file, {"_": None}, [], {})]
    assert set(found) == {
        "be after start, got {end} <= {start}",
        "{path} can't be read: {error} ({path})",
        "no sound",
        "hold at most {max} numbers and {value} and {value_3}",
        "{n} left",
    }
