"""Settings of the studio: one frozen object from the environment and a TOML file; read nowhere else."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from ipaddress import ip_address
from pathlib import Path

from studio.errors import InvalidRequest

ROOT = Path(__file__).resolve().parent.parent
PREFIX = "STUDIO_"
_CHOICES: Mapping[str, tuple[str, ...]] = {
    "attention": ("sdpa", "flash"),
    "compile": ("on", "off"),
    "offload": ("auto", "on", "off"),
    "offload_dit": ("auto", "on", "off"),
    "quantization": ("auto", "none", "int8"),
    "worker": ("on", "off"),
    "metrics": ("off", "local", "on"),
    "log_format": ("text", "json"),
    "lm_backend": ("pt", "vllm", "remote"),
    "lm_fallback": ("on", "off"),
    "new_accounts": ("member", "listener", "closed"),
    "network_without_sign_in": ("on", "off"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything that can be set from outside.

    Each field can be given as environment variable `STUDIO_<NAME>` or as a key of the TOML file named by
    `STUDIO_CONFIG_FILE` (default `studio.toml` beside the code); the environment wins.
    """

    data_dir: Path = field(default_factory=lambda: ROOT / "data")  # database, artifacts, fetched checkpoints
    database_url: str = field(default="", repr=False)  # empty: SQLite in data_dir
    models_dir: Path = field(default_factory=lambda: ROOT / "data" / "models")  # bundled checkpoints
    checkpoints_dir: Path = field(default_factory=lambda: ROOT / "data" / "checkpoints")  # the user's own
    dataset_roots: tuple[Path, ...] = ()  # more folders that pages may read songs from and write training to
    huggingface_endpoint: str = ""  # empty: the public hub, or what huggingface_hub itself is set to
    modelscope_endpoint: str = ""  # empty: the public hub
    model: str = ""  # checkpoint to initialise at start; empty: none
    lm: str = ""  # language model to load at start: a name, "auto" for the first found; empty: none
    lm_backend: str = "pt"  # or vllm, or remote with lm_url
    lm_fallback: str = "off"  # on: pt may take the place of vllm where that can't be used
    device: str = "auto"
    dtype: str = "auto"
    attention: str = "sdpa"  # or flash
    compile: str = "off"
    offload: str = "auto"  # on, off, or as the device's tier has it
    offload_dit: str = "auto"
    quantization: str = "auto"  # none, int8, or as the device's tier has it
    max_vram_gb: float = 0.0  # play a device of that size; 0 = the real one
    lm_url: str = ""  # a language model server; empty: the language model runs on this machine
    lm_api_key: str = field(default="", repr=False)  # the key that server was started with
    host: str = "127.0.0.1"
    port: int = 7860
    language: str = "en"
    batch_size: int = 2  # takes a new form asks for
    secret: str = field(default="", repr=False)  # signs audio links; empty: made once and kept in data_dir
    turn_url: str = ""  # relays live recordings to where no direct way leads, such as turn:relay.example.org:3478
    turn_user: str = ""
    turn_password: str = field(default="", repr=False)
    lease_seconds: float = 30.0  # a worker that is silent this long is taken for dead
    admins: tuple[str, ...] = ()  # e-mail addresses or subjects of people who are administrators when they sign in
    new_accounts: str = "member"  # or listener, or closed: an administrator has to let the person in first
    session_hours: float = 12.0  # after which a person has to sign in again
    network_without_sign_in: str = "off"  # on: everybody who reaches the port may do everything
    worker: str = "on"  # off: the web process has none, and `studio worker` does the jobs
    metrics: str = "off"  # who may read /metrics: nobody, this machine, everybody
    log_format: str = "text"  # json: one object a line, with the job
    queue_limit: int = 0  # jobs of one person that may wait at once; 0: any number
    trash_days: float = 0.0  # after which a take is deleted from the trash for good; 0: when its owner empties it
    requests_per_minute: int = 3000  # of one person or address to our routes, once others can ask; 0: any number
    quota_seconds: float = 0.0  # of a model, a person and calendar month; beyond, everybody else goes first; 0: none

    def __post_init__(self) -> None:
        if not 1 <= self.port <= 65535:
            raise InvalidRequest("port", "be from 1 to 65535", self.port)
        for name, known in _CHOICES.items():
            if getattr(self, name) not in known:
                raise InvalidRequest(name, f"be one of {', '.join(known)}", getattr(self, name))
        if not 1 <= self.batch_size <= 8:
            raise InvalidRequest("batch_size", "be from 1 to 8", self.batch_size)
        if self.max_vram_gb < 0:
            raise InvalidRequest("max_vram_gb", "be above 0, or 0 for the real device", self.max_vram_gb)
        for name in ("queue_limit", "quota_seconds", "trash_days", "requests_per_minute"):
            if getattr(self, name) < 0:
                raise InvalidRequest(name, "be above 0, or 0 for no limit", getattr(self, name))
        if self.lease_seconds <= 0:
            raise InvalidRequest("lease_seconds", "be above 0", self.lease_seconds)
        if self.session_hours <= 0:
            raise InvalidRequest("session_hours", "be above 0", self.session_hours)

    def public(self) -> Mapping[str, object]:
        """Return every setting that is no secret; what isn't shown by repr is one."""
        return {item.name: getattr(self, item.name) for item in fields(self) if item.repr}

    @property
    def for_this_machine(self) -> bool:
        """Whether the address that is listened on can be reached from this machine alone."""
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"

    @property
    def resolved_database_url(self) -> str:
        """The SQLAlchemy URL in use."""
        return self.database_url or f"sqlite:///{self.data_dir / 'studio.db'}"

    @property
    def artifacts_dir(self) -> Path:
        """Where the audio of finished takes lies."""
        return self.data_dir / "artifacts"

    @property
    def training_roots(self) -> tuple[Path, ...]:
        """The folders that datasets and training may use when asked from a browser; relative paths begin there."""
        return (self.data_dir / "datasets", self.data_dir / "lora_output", *self.dataset_roots)


def load_settings(environment: Mapping[str, str] | None = None, **overrides: object) -> Settings:
    """Build Settings from defaults, TOML file, environment and `overrides`, later ones winning.

    Raises InvalidRequest for an unknown key of the file or a value of the wrong kind.
    """
    environment = os.environ if environment is None else environment
    values: dict[str, object] = dict(_from_file(Path(environment.get(PREFIX + "CONFIG_FILE", ROOT / "studio.toml"))))
    names = {item.name for item in fields(Settings)}
    values |= {name: environment[PREFIX + name.upper()] for name in names if PREFIX + name.upper() in environment}
    values |= {name: value for name, value in overrides.items() if value is not None}
    if unknown := sorted(set(values) - names):
        raise InvalidRequest("setting", f"be one of {', '.join(sorted(names))}", unknown[0])
    return Settings(**{name: _cast(name, value) for name, value in values.items()})  # type: ignore[arg-type]


def environment_with(**changes: str) -> dict[str, str]:
    """Return this process's environment with `changes`, for a program that is started or that this one becomes."""
    return {**os.environ, **changes}


def _from_file(path: Path) -> Mapping[str, object]:
    if not path.exists():
        return {}
    with path.open("rb") as file:
        return tomllib.load(file)


def _cast(name: str, value: object) -> object:
    if name == "dataset_roots":
        return _folders(name, value)
    if name == "admins":
        return _names(name, value)
    kinds: Mapping[str, type[int] | type[float] | type[Path]] = {
        "data_dir": Path,
        "models_dir": Path,
        "checkpoints_dir": Path,
        "port": int,
        "batch_size": int,
        "max_vram_gb": float,
        "lease_seconds": float,
        "session_hours": float,
        "queue_limit": int,
        "requests_per_minute": int,
        "quota_seconds": float,
        "trash_days": float,
    }
    kind = kinds.get(name, str)
    try:
        cast = kind(value)  # type: ignore[arg-type,call-overload]
    except (TypeError, ValueError) as error:
        raise InvalidRequest(name, f"be a {kind.__name__}", value) from error
    return cast.expanduser().resolve() if isinstance(cast, Path) else cast


def _folders(name: str, value: object) -> tuple[Path, ...]:
    folders = [part for part in value.split(os.pathsep) if part.strip()] if isinstance(value, str) else value
    if not isinstance(folders, list | tuple) or not all(isinstance(one, str | Path) for one in folders):
        raise InvalidRequest(name, f"be a list of folders, or their names with {os.pathsep!r} between them", value)
    return tuple(Path(one).expanduser().resolve() for one in folders)


def _names(name: str, value: object) -> tuple[str, ...]:
    names = value.split(",") if isinstance(value, str) else value
    if not isinstance(names, list | tuple) or not all(isinstance(one, str) for one in names):
        raise InvalidRequest(name, "be a list of names, or names with commas between them", value)
    return tuple(one.strip() for one in names if one.strip())
