"""README, Makefile and catalogue say what is so."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import yaml
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po

from studio.config import PREFIX, Settings

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
KEYWORDS = {"_": None, "N_": None, "plural": (1, 2)}
TEXTS = [("studio/api/**.py", "ignore")]  # as studio/locale/babel.cfg
TEXTS += [(files, "studio.extraction:texts") for files in ("Home.py", "pages/**.py", "studio/**.py")]


def test_the_two_commands_of_the_readme_are_in_the_makefile() -> None:
    block = re.search(r"```\w*\n(.*?)```", README, re.DOTALL)
    assert block is not None
    commands = [line.split("#")[0].strip() for line in block[1].splitlines() if line.strip()]
    assert commands == ["make run", "make test"]
    targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    assert {"run", "test", "check", "browser", "bench", "mini", "mini-eval", "migrate", "fmt", "clean"} <= set(targets)


def test_the_table_of_settings_lists_every_setting_with_its_default() -> None:
    rows = dict(re.findall(r"^\| `(STUDIO_\w+)` \|([^|]*)\|", README, re.MULTILINE))
    settings = Settings()
    for field in fields(Settings):
        value = getattr(settings, field.name)
        shown = value.relative_to(ROOT).as_posix() if isinstance(value, Path) else value
        assert rows.pop(PREFIX + field.name.upper()).strip(" `") == ("" if shown == () else str(shown))
    assert set(rows) <= {"STUDIO_CONFIG_FILE"}


def test_the_page_on_hosting_names_settings_files_and_metrics_that_exist() -> None:
    page = (ROOT / "docs" / "hosting.md").read_text(encoding="utf-8")
    files = [path.read_text(encoding="utf-8") for path in (ROOT / "docs" / "hosting").iterdir()]
    known = {PREFIX + field.name.upper() for field in fields(Settings)} | {"STUDIO_DATABASE_PASSWORD"}
    assert set(re.findall(r"\bSTUDIO_[A-Z_]+", " ".join([page, *files]))) <= known
    assert all((ROOT / name).exists() for name in re.findall(r"docs/hosting/[\w@.-]+\w", page))
    metrics = (ROOT / "studio" / "services" / "metrics.py").read_text(encoding="utf-8")
    assert all(name in metrics for name in re.findall(r"`(studio_\w+)`", page))


def test_the_containers_start_with_sign_in_or_not_at_all() -> None:
    compose = yaml.safe_load((ROOT / "docs" / "hosting" / "compose.yaml").read_text(encoding="utf-8"))
    web = compose["services"]["web"]
    assert "--host 0.0.0.0" in web["command"]
    assert web["ports"] == ["127.0.0.1:7860:7860"]
    (given,) = web["secrets"]
    assert given["target"] == f"{web['environment']['STUDIO_DATA_DIR']}/secrets.toml"
    assert compose["secrets"][given["source"]] == {"file": "./secrets.toml"}  # Compose fails where a file is missing
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert {"**/secrets.toml", "data/secret.key"} <= set(ignored)  # or they would be in the image


def test_pictures_and_documents_the_readme_names_exist() -> None:
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", README) if not link.startswith("http")]
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_the_catalogue_holds_the_texts_of_the_code() -> None:
    found = extract_from_dir(str(ROOT), method_map=TEXTS, keywords=KEYWORDS, directory_filter=_is_ours)
    texts = {message for _file, _line, message, _comments, _context in found}
    with (ROOT / "studio" / "locale" / "studio.pot").open("rb") as file:
        kept = {message.id for message in read_po(file) if message.id}
    assert texts == kept, "run `make catalogues`"


def _is_ours(folder: str) -> bool:
    return Path(folder).name in ("pages", "studio") or ROOT / "studio" in Path(folder).parents
