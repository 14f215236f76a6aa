"""Requests to the language model as JSON-ready mappings and back: the form a job keeps them in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from enum import StrEnum
from typing import TypedDict, cast

from studio.engine.lm.requests import CreateRequest, Draw, FormatRequest, Guidance, UnderstandRequest
from studio.engine.requests import Metas
from studio.errors import InvalidRequest

Ask = CreateRequest | FormatRequest | UnderstandRequest


class AskKind(StrEnum):
    """What the language model is asked for beside plans."""

    CREATE = "create_sample"
    FORMAT = "format"
    UNDERSTAND = "understand"


_KINDS: Mapping[type[Ask], AskKind] = {
    CreateRequest: AskKind.CREATE,
    FormatRequest: AskKind.FORMAT,
    UnderstandRequest: AskKind.UNDERSTAND,
}


class _Stored(TypedDict, total=False):
    """The parts that are objects or tuples; JSON has neither."""

    draw: dict[str, float]
    guidance: dict[str, object]
    metas: dict[str, object]
    codes: list[int]


def kind_of(ask: Ask) -> AskKind:
    """Return what is asked for."""
    return _KINDS[type(ask)]


def ask_settings(ask: Ask) -> dict[str, object]:
    """Return the mapping; `ask_from` gives the request back."""
    stored = asdict(ask)
    return {**stored, "codes": list(stored["codes"])} if "codes" in stored else stored


def ask_row(ask: CreateRequest | FormatRequest) -> dict[str, object]:
    """Return what is asked for beside its kind; `ask_of_row` gives the request back."""
    return {"kind": kind_of(ask).value, "ask": ask_settings(ask)}


def ask_of_row(row: Mapping[str, object]) -> CreateRequest | FormatRequest:
    """Rebuild what `ask_row` gave; raises InvalidRequest for a row that another version wrote."""
    ask = ask_from(AskKind(str(row["kind"])), cast(Mapping[str, object], row["ask"]))
    if isinstance(ask, UnderstandRequest):
        raise InvalidRequest("words", "be one this version of the studio can read", row["kind"])
    return ask


def ask_from(kind: AskKind, stored: Mapping[str, object]) -> Ask:
    """Rebuild and check a request; raises InvalidRequest for a mapping that another version wrote."""
    parts = cast(_Stored, stored)
    values: dict[str, object] = dict(stored)
    try:
        if "draw" in parts:
            values["draw"] = Draw(**parts["draw"])  # type: ignore[arg-type]  # checked by Draw itself
        if "guidance" in parts:
            values["guidance"] = Guidance(**parts["guidance"])  # type: ignore[arg-type]  # as above
        if "metas" in parts:
            values["metas"] = Metas(**parts["metas"])  # type: ignore[arg-type]  # as above
        if "codes" in parts:
            values["codes"] = tuple(parts["codes"])
        made = {found: asked for asked, found in _KINDS.items()}[kind]
        return made(**values)  # type: ignore[arg-type]  # every class checks its own values
    except TypeError as error:
        raise InvalidRequest("request", "be one this version of the studio can read", str(error)) from error
