"""A song's facts as the model writes and reads them: YAML between <think> and </think> (lm.md 2.3, 2.7)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass

import yaml  # type: ignore[import-untyped]  # its stubs are a package of their own

from studio.engine.lm.prompts import NO_REASONING, THINK, THINK_END

FIELDS = ("bpm", "caption", "duration", "genres", "keyscale", "language", "timesignature")  # in the model's order
_NOTHING = ("", "n/a")


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What the model says of a song; None where it says nothing. Names are the model's own."""

    bpm: int | None = None
    caption: str | None = None
    duration: int | None = None  # seconds
    genres: str | None = None
    keyscale: str | None = None
    language: str | None = None
    timesignature: str | None = None

    def known(self) -> dict[str, int | str]:
        """Return the facts that are there, in the model's order."""
        return {name: value for name, value in asdict(self).items() if value is not None}


def reasoning(facts: Facts) -> str:
    """Return the block codes are generated from; genres are never told again (lm.md 2.3)."""
    told = {name: value for name, value in facts.known().items() if name != "genres"}
    return f"{THINK}\n{facts_yaml(told)}\n{THINK_END}" if told else NO_REASONING


def facts_yaml(told: Mapping[str, int | str]) -> str:
    """Return the mapping as the training data wrote it: keys sorted, digits as numbers, lines folded at 80 columns."""
    values = {name: _as_trained(name, value) for name, value in told.items()}
    text: str = yaml.safe_dump(values, allow_unicode=True, sort_keys=True)
    return text.strip()


def parse_facts(text: str) -> Facts:
    """Read what the model wrote between its think tags; unknown fields and values that can't be read are left out."""
    found = dict(_fields(text))
    return Facts(
        bpm=_whole(found.get("bpm")),
        duration=_whole(found.get("duration")),
        **{name: found.get(name) for name in ("caption", "genres", "keyscale", "language", "timesignature")},
    )


def _as_trained(name: str, value: int | str) -> int | str:
    if isinstance(value, str):
        if name == "timesignature":
            value = value.removesuffix("/4")
        if value.isascii() and value.isdecimal():
            return int(value)
    return value


def _fields(text: str) -> Iterator[tuple[str, str]]:
    """Yield known fields: a line that isn't indented and holds a colon starts one, the others continue it."""
    name, lines = "", list[str]()
    for line in [*text.split("\n"), "end:"]:
        if line.startswith("<"):  # a tag
            continue
        if line[:1].strip() == "" or ":" not in line:
            lines.append(line)
            continue
        if name in FIELDS and (value := _value(lines)):
            yield name, value
        key, _, rest = line.partition(":")
        name, lines = key.strip().lower(), [rest]


def _value(lines: list[str]) -> str | None:
    """Join folded lines; quoted values are read as YAML, since the original kept their quotes (lm.md 10, quirk 21)."""
    joined = " ".join(line.strip() for line in lines if line.strip())
    if joined[:1] in ("'", '"'):
        try:
            quoted: object = yaml.load("\n".join(["value:" + lines[0], *lines[1:]]), Loader=yaml.BaseLoader)
        except yaml.YAMLError:
            return joined
        if isinstance(quoted, dict) and isinstance(value := quoted.get("value"), str) and value.strip():
            joined = " ".join(value.split())
    return None if joined.lower() in _NOTHING else joined


def _whole(text: str | None) -> int | None:
    return int(text) if text is not None and text.isascii() and text.isdecimal() else None
