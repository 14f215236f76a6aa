"""What stands beside a song: caption, lyrics and facts in files of the same name (training.md 1.2, 1.3)."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from studio.errors import InvalidRequest

Facts = dict[str, object]  # values by the sample's keys
_JSON_KEYS = ("caption", "bpm", "keyscale", "timesignature", "language")
_TAGS = ("CAPTION", "LYRICS", "BPM", "KEYSCALE", "TIMESIGNATURE", "DURATION", "LANGUAGE")
_TAGGED = re.compile(rf"<({'|'.join(_TAGS)})>(.*?)</\1>", re.DOTALL | re.IGNORECASE)
_LINE = re.compile(r"([A-Za-z_ ]+?)\s*:(.*)")
_WORDS: Mapping[str, str] = {  # what a line of a key-value sidecar may begin with, and the sample's key
    "caption": "caption",
    "genre": "genre",
    "bpm": "bpm",
    "tempo": "bpm",
    "key": "keyscale",
    "keyscale": "keyscale",
    "scale": "keyscale",
    "signature": "timesignature",
    "timesignature": "timesignature",
    "time_signature": "timesignature",
    "language": "language",
    "lang": "language",
    "is_instrumental": "is_instrumental",
    "custom_tag": "custom_tag",
    "trigger": "custom_tag",
    "tags": "custom_tag",
    "prompt_override": "prompt_override",
    "repeat": "",
    "duration": "",
}
_YES, _NO = ("true", "yes", "1"), ("false", "no", "0")


@dataclass(slots=True)
class Found:
    """What sidecars said of one song, which kinds were there, and what couldn't be read."""

    facts: Facts = field(default_factory=dict)
    kinds: set[str] = field(default_factory=set)  # caption, lyrics, json
    faults: list[str] = field(default_factory=list)

    def add(self, facts: Mapping[str, object], kind: str, file: Path) -> None:
        """Take over facts of `file`; a number that is none is a fault of the file, not of the scan."""
        for key, value in facts.items():
            try:
                self.facts[key] = _fitting(key, value)
            except InvalidRequest as error:
                self.faults.append(f"{file.name}: {error}")
        self.kinds.add(kind)


def read_sidecars(audio: Path) -> Found:
    """Read the sidecars of one song: `.caption.txt`, `.json`, `.lyrics.txt` or `.txt`; later ones win.

    A `.txt` of another tool (lines `key: value`, or `<CAPTION>` tags) is read as such, any other one is lyrics.
    """
    found = Found()
    if caption := _content(audio, ".caption.txt", found):
        found.add({"caption": caption}, "caption", audio.with_suffix(".caption.txt"))
    plain = _content(audio, ".txt", found)
    foreign = foreign_facts(plain) if plain else None
    if foreign is not None:
        kinds = "lyrics" if "lyrics" in foreign else "caption"
        found.add(foreign, kinds, audio.with_suffix(".txt"))
    if text := _content(audio, ".json", found):
        found.add(_json_facts(text, audio, found), "json", audio.with_suffix(".json"))
    lyrics = _content(audio, ".lyrics.txt", found) or (plain if foreign is None else "")
    if lyrics:
        found.add({"lyrics": lyrics}, "lyrics", audio.with_suffix(".lyrics.txt"))
    return found


def foreign_facts(text: str) -> Facts | None:
    """Return the facts of a sidecar in one of two other tools' shapes; None when the text is of neither.

    Key-value text must begin with a known key and hold a second one or a caption: a verse with a colon doesn't.
    """
    if tagged := {name.lower(): value.strip() for name, value in _TAGGED.findall(text)}:
        tagged.pop("duration", None)  # measured
        return {key: value for key, value in tagged.items() if value}
    head, colon, sung = _split_lyrics(text)
    facts, known = Facts(), int(bool(colon))
    for line in filter(None, map(str.strip, head.splitlines())):
        match = _LINE.fullmatch(line)
        word = match[1].strip().lower().replace(" ", "_") if match else ""
        if not match or word not in _WORDS:
            return None
        known += 1
        if _WORDS[word] and match[2].strip():
            facts[_WORDS[word]] = match[2].strip()
    if known < 2 and "caption" not in facts:
        return None
    return facts | ({"lyrics": sung.strip()} if sung.strip() else {})


def _split_lyrics(text: str) -> tuple[str, str, str]:
    """Cut key-value text at the line that begins its lyrics, which go on to the end."""
    parts = re.split(r"^\s*(lyrics\s*:)", text, maxsplit=1, flags=re.IGNORECASE | re.MULTILINE)
    return (parts[0], parts[1], parts[2]) if len(parts) == 3 else (text, "", "")


def read_tables(folder: Path) -> tuple[dict[str, Facts], list[str]]:
    """Return the facts of every `*.csv` right in `folder` by file name, and the faults of what can't be read."""
    rows: dict[str, Facts] = {}
    faults: list[str] = []
    for table in sorted(folder.glob("*.csv")):
        try:
            text = table.read_text(encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            faults.append(f"{table.name}: can't be read as UTF-8 text: {error}")
            continue
        try:
            dialect: type[csv.Dialect] = csv.Sniffer().sniff(text[:4096], delimiters=",;\t")
        except csv.Error:
            dialect = csv.excel
        reader = csv.DictReader(io.StringIO(text), dialect=dialect)
        names = {(name or "").strip().lower(): name for name in reader.fieldnames or ()}
        if "file" not in names:
            faults.append(f"{table.name}: has no column File")
            continue
        for line in reader:
            file = (line.get(names["file"]) or "").strip()
            if file:
                rows[file] = _table_facts({key: (line.get(names[key]) or "").strip() for key in names if key})
    return rows, faults


def _table_facts(line: Mapping[str, str]) -> Facts:
    facts: Facts = {key: line[name] for key, name in (("caption", "caption"), ("keyscale", "key")) if line.get(name)}
    with suppress(ValueError, OverflowError):  # a finder's empty or "?" cell says nothing
        facts["bpm"] = int(float(line.get("bpm", "")))
    return facts


def _content(audio: Path, suffix: str, found: Found) -> str:
    file = audio.with_name(audio.stem + suffix)
    if not file.is_file():
        return ""
    try:
        return file.read_text(encoding="utf-8-sig").strip()
    except (OSError, UnicodeDecodeError) as error:
        found.faults.append(f"{file.name}: can't be read as UTF-8 text: {error}")
        return ""


def _json_facts(text: str, audio: Path, found: Found) -> Facts:
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        found.faults.append(f"{audio.stem}.json: is no JSON: {error}")
        return {}
    if not isinstance(content, dict):
        found.faults.append(f"{audio.stem}.json: must hold a JSON object")
        return {}
    return {key: content[key] for key in _JSON_KEYS if content.get(key)}


def _fitting(key: str, value: object) -> object:
    """Bring a sidecar's value to the sample's type."""
    if key == "bpm":
        try:
            return int(float(str(value)))
        except (ValueError, OverflowError) as error:
            raise InvalidRequest("bpm", "be a number", value) from error
    text = str(value).strip()
    if key == "is_instrumental":
        if text.lower() not in _YES + _NO:
            raise InvalidRequest(key, "be true or false", value)
        return text.lower() in _YES
    if key == "prompt_override":
        if text.lower() not in ("caption", "genre"):
            raise InvalidRequest(key, "be caption or genre", value)
        return text.lower()
    return text
