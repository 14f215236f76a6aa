"""What the evaluation prints: sections of rows, each figure beside its control and its ceiling."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mini.evaluation.scores import NOTHING

NOT_OFFERED = "not offered by this checkpoint"
HEADER = ("| figure | asked | control | perfect audio |", "|---|---|---|---|")


@dataclass(frozen=True, slots=True)
class Row:
    """One figure as text, three times."""

    figure: str
    asked: str
    control: str = NOTHING
    ceiling: str = NOTHING


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """The figures of one ability of one model, with a sentence on how they are made."""

    title: str
    about: str
    rows: tuple[Row, ...]

    @property
    def markdown(self) -> str:
        """A heading, the sentence and a table."""
        lines = [f"| {row.figure} | {row.asked} | {row.control} | {row.ceiling} |" for row in self.rows]
        return "\n".join([f"## {self.title}", "", self.about, "", *HEADER, *lines, ""])


def skipped(title: str, why: str = NOT_OFFERED) -> Section:
    """A section for what could not be measured."""
    return Section(title=title, about="Skipped.", rows=(Row(title.lower(), why),))


def report(sections: Sequence[Section], head: str) -> str:
    """Everything as one Markdown page."""
    return "\n".join(
        ["# What the mini models do of what they are asked", "", head, "", *(s.markdown for s in sections)]
    )
