"""The house rules that ruff, mypy and import-linter can't check: each takes source text and returns what breaks it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import PurePath

MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 50
FORBIDDEN_NAMES = {"utils", "util", "helpers", "helper", "common", "misc"}
WIDGETS = set(
    "button download_button form_submit_button link_button checkbox toggle radio selectbox multiselect slider "
    "select_slider text_input text_area number_input date_input time_input datetime_input file_uploader camera_input "
    "audio_input color_picker feedback pills segmented_control chat_input data_editor menu_button".split()
)
TEXTS = WIDGETS | set(
    "title header subheader markdown caption text info warning error success toast expander popover status spinner "
    "metric page_link set_page_config progress tabs".split()
)
SHOWN_KEYWORDS = {"label", "body", "text", "help", "placeholder", "page_title", "title", "alt"}
PICKLES = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
LOGGERS = {"_log", "_LOG", "log", "logger", "logging"}
KEYLESS = {"link_button"}  # has no state, so Streamlit takes no key


def long_file(source: str) -> list[str]:
    """Name the file's length when it is over the limit."""
    lines = source.count("\n")
    return [f"{lines} lines, at most {MAX_FILE_LINES}"] if lines > MAX_FILE_LINES else []


def long_functions(source: str) -> list[str]:
    """Name functions that don't fit a screen."""
    return [
        f"{node.lineno}: {node.name} has {length} lines, at most {MAX_FUNCTION_LINES}"
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (length := (node.end_lineno or 0) - node.lineno + 1) > MAX_FUNCTION_LINES
    ]


def widgets_without_key(source: str) -> list[str]:
    """Name widget calls that leave their key to Streamlit, which then changes with the label's language."""
    return [
        f"{call.lineno}: {name} without key="
        for name, call in _method_calls(source)
        if name in WIDGETS - KEYLESS and not any(keyword.arg in ("key", None) for keyword in call.keywords)
    ]


def untranslated(source: str) -> list[str]:
    """Name texts shown to people that don't go through gettext."""
    return [
        f"{value.lineno}: {ast.unparse(value)} is shown without _()"
        for name, call in _method_calls(source)
        if name in TEXTS
        for value in _shown(call)
        if _has_words(value)
    ]


def reads_environment(source: str) -> list[str]:
    """Name reads of the process environment; only studio/config.py may do that."""
    names = {"environ", "getenv", "putenv", "environb"}
    found = [
        node.lineno
        for node in ast.walk(ast.parse(source))
        if (isinstance(node, ast.Attribute) and node.attr in names)
        or (isinstance(node, ast.ImportFrom) and node.module == "os" and names & {alias.name for alias in node.names})
    ]
    return [f"{line}: reads the environment" for line in found]


def prints(source: str) -> list[str]:
    """Name calls of print; only the command line prints."""
    return [
        f"{node.lineno}: print"
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
    ]


def blind_excepts(source: str) -> list[str]:
    """Name handlers that catch everything."""
    return [
        f"{node.lineno}: blind except"
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.ExceptHandler) and (node.type is None or _catches_everything(node.type))
    ]


def runs_what_it_reads(source: str) -> list[str]:
    """Name what would run code out of a file: pickles in any form, eval, exec, YAML with objects."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found += [(node.lineno, one.name) for one in node.names if one.name.split(".")[0] in PICKLES]
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in PICKLES:
            found += [(node.lineno, one.name) for one in node.names if one.name != "UnpicklingError"]
        elif isinstance(node, ast.Call):
            found += [(node.lineno, ast.unparse(node.func))] if _runs(node) else []
    return [f"{line}: {name} runs what it reads" for line, name in found]


def _runs(call: ast.Call) -> bool:
    name, given = ast.unparse(call.func), {one.arg: ast.unparse(one.value) for one in call.keywords}
    if name == "torch.load":
        return given.get("weights_only") != "True"
    if name == "yaml.load":
        return given.get("Loader") not in ("yaml.BaseLoader", "yaml.SafeLoader")
    return name in ("eval", "exec", "yaml.unsafe_load", "yaml.full_load") or given.get("allow_pickle") == "True"


def forbidden_name(path: PurePath) -> list[str]:
    """Name the parts of a path that say nothing about what is inside."""
    return [f"{part} says nothing" for part in (*path.parts[:-1], path.stem) if part.lower() in FORBIDDEN_NAMES]


def imported(source: str) -> list[str]:
    """Return the studio modules a script imports."""
    modules: list[str] = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            modules += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            modules.append(node.module)
    return sorted({module for module in modules if module.split(".")[0] == "studio"})


def outside_doors(source: str) -> list[str]:
    """Name imports of a page that go past ui and services."""
    doors = ("studio.ui", "studio.services", "studio.errors", "studio.i18n")
    return [f"imports {module}" for module in imported(source) if ".".join(module.split(".")[:2]) not in doors]


def _method_calls(source: str) -> Iterator[tuple[str, ast.Call]]:
    for node in ast.walk(ast.parse(source)):
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and not (isinstance(node.func.value, ast.Name) and node.func.value.id in LOGGERS)
        ):
            yield node.func.attr, node


def _shown(call: ast.Call) -> list[ast.expr]:
    first = [] if isinstance(call.func, ast.Attribute) and call.func.attr == "page_link" else call.args[:1]
    shown = [*first, *(keyword.value for keyword in call.keywords if keyword.arg in SHOWN_KEYWORDS)]
    return [part for value in shown for part in (value.elts if isinstance(value, ast.List | ast.Tuple) else [value])]


def _has_words(value: ast.expr) -> bool:
    if isinstance(value, ast.JoinedStr):
        return any(_has_words(part) for part in value.values)
    if isinstance(value, ast.BinOp):
        return _has_words(value.left) or _has_words(value.right)
    if isinstance(value, ast.IfExp):
        return _has_words(value.body) or _has_words(value.orelse)
    if not isinstance(value, ast.Constant) or not isinstance(value.value, str):
        return False
    words = [word for word in value.value.split() if not (word.startswith(":") and word.endswith(":"))]
    return any(letter.isalpha() for word in words for letter in word)


def _catches_everything(handled: ast.expr) -> bool:
    kinds = handled.elts if isinstance(handled, ast.Tuple) else [handled]
    return any(isinstance(kind, ast.Name) and kind.id in ("Exception", "BaseException") for kind in kinds)
