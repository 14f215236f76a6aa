"""Finds the texts that are translated: those marked in the code, and the messages of errors with values in them.

Babel calls `texts` (studio/locale/babel.cfg). Errors are raised where no language is known, so their messages are not
marked: a message `f"{path} can't be read"` becomes the catalogue's text `{path} can't be read`, and
`studio.i18n.explain` finds it again from the finished message.
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import IO

from babel.messages.extract import extract_python

from studio import errors

_RULES = ("rule", "RULE")  # variables that hold what an InvalidRequest says
_PLACES: Mapping[str, int] = {  # what is called -> which of its arguments is read by people
    **{name: 1 if name == "InvalidRequest" else 0 for name, _ in inspect.getmembers(errors, inspect.isclass)},
    "_": 0,  # Babel finds these, but not inside an f-string before Python 3.12
}
Found = tuple[int, str, str | tuple[str, ...], list[str]]


def texts(
    file: IO[bytes], keywords: Mapping[str, object], tags: Collection[str], options: Mapping[str, object]
) -> Iterator[Found]:
    """Yield line, function, text and comments of every text of a Python file, as Babel wants them."""
    for line, function, marked, comments in extract_python(file, keywords, tags, options):  # type: ignore[arg-type]
        yield line, str(function), marked, comments  # type: ignore[misc]
    file.seek(0)
    for node in ast.walk(ast.parse(file.read())):
        for text in _messages(node):
            yield node.lineno, "", text, []  # type: ignore[attr-defined]


def template(node: ast.expr) -> str | None:
    """Return a string as the catalogue has it, an f-string's values as named placeholders; None when it is neither."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if not isinstance(node, ast.JoinedStr):
        return None
    names: dict[str, str] = {}
    parts = []
    for part in node.values:
        if isinstance(part, ast.FormattedValue):
            source = ast.unparse(part.value)
            name = names.setdefault(source, _name(part.value, names.values()))
            parts.append(f"{{{name}}}")
        elif isinstance(part, ast.Constant):
            parts.append(str(part.value))
    return "".join(parts)


def _messages(node: ast.AST) -> Iterator[str]:
    for expression in _expressions(node):
        text = template(expression)
        if text and any(letter.isalpha() for letter in text):
            yield text


def _expressions(node: ast.AST) -> Sequence[ast.expr]:
    if isinstance(node, ast.Assign) and any(isinstance(one, ast.Name) and one.id in _RULES for one in node.targets):
        return [node.value]
    if isinstance(node, ast.FunctionDef) and node.name.endswith("notes"):
        return [one.value for one in ast.walk(node) if isinstance(one, ast.Yield) and one.value is not None]
    if isinstance(node, ast.Call) and ast.unparse(node.func) == "notes.append":
        return node.args
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        place = _PLACES.get(node.func.id)
        return node.args[place : place + 1] if place is not None else []
    return []


def _name(value: ast.expr, taken: Collection[str]) -> str:
    last = value.attr if isinstance(value, ast.Attribute) else value.id if isinstance(value, ast.Name) else "value"
    name = last.lower().strip("_")
    return name if name not in taken else f"{name}_{len(taken) + 1}"
