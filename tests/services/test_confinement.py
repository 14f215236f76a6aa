"""Nobody of a team names a folder of the server outside of the studio's; the one person of a machine may."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from studio.config import Settings
from studio.engine.lora.wanted import AdapterSet, Wanted
from studio.errors import InvalidRequest, NotFound
from studio.services import Studio
from studio.services.accounts import Claims
from studio.services.studio import open_studio
from studio.storage.times import utc_now
from tests.cli.test_adapters import write_adapter

PLACES: dict[str, Callable[[Studio, str], object]] = {
    "LoRA Path": lambda s, path: s.adapters.load(path),
    "known adapter": lambda s, path: s.adapters.known.add(path),
    "folder of songs": lambda s, path: s.datasets.opening.scan(path, None),
    "dataset file": lambda s, path: s.datasets.opening.load(path),
    "tensors": lambda s, path: s.training.tensors(path),
    "export target": lambda s, path: s.training.exported(path),
    "reference": lambda s, path: s.uploads.resolve(path),
}


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    write_adapter(tmp_path / "outside" / "secret")
    return tmp_path / "outside" / "secret"


@pytest.fixture
def ada(idle: Studio) -> Studio:
    claims = Claims(issuer="https://id.example", subject="ada", signed_in_at=utc_now())
    return idle.as_user(idle.accounts.sign_in(claims))


@pytest.mark.parametrize("place", PLACES)
def test_a_path_outside_is_refused_however_it_is_written(
    ada: Studio, settings: Settings, outside: Path, place: str
) -> None:
    root = settings.training_roots[1]
    root.mkdir(parents=True)
    (root / "link").symlink_to(outside)
    climbing = f"{root}/../../outside/secret"
    for path in (str(outside), climbing, "../../outside/secret", str(root / "link"), "~root", "a\0b"):
        with pytest.raises(InvalidRequest):
            PLACES[place](ada, path)
    with pytest.raises((InvalidRequest, NotFound)):
        PLACES[place](ada, "x" * 300)


def test_an_adapter_is_read_in_the_folders_for_training_and_for_checkpoints(
    ada: Studio, settings: Settings, outside: Path
) -> None:
    for folder in (settings.training_roots[1] / "mine", settings.checkpoints_dir / "loras" / "bought"):
        write_adapter(folder)
        assert ada.adapters.known.add(str(folder)).path == folder
    assert ada.adapters.known.add("lora_output/mine").path == settings.training_roots[1] / "mine"
    inside = settings.training_roots[1] / "odd"
    write_adapter(inside)
    (inside / "adapter_model.safetensors").unlink()
    (inside / "adapter_model.safetensors").symlink_to(outside / "adapter_model.safetensors")
    with pytest.raises(InvalidRequest, match="lora_path must be below"):
        ada.adapters.known.add(str(inside))


def test_the_local_person_may_name_any_folder_until_the_network_is_let_in(
    idle: Studio, settings: Settings, outside: Path
) -> None:
    known = idle.adapters.known.add(str(outside))
    assert known.path == outside
    with pytest.raises(NotFound):
        idle.adapters.known.add("x" * 300)
    open_to_all = open_studio(replace(settings, host="0.0.0.0", network_without_sign_in="on"))
    with pytest.raises(InvalidRequest, match="STUDIO_DATASET_ROOTS can name more folders"):
        open_to_all.adapters.load(str(outside))
    there = Wanted(name="secret", path=str(outside), sha256=known.sha256, scale=1.0)
    with pytest.raises(NotFound, match="not where they were"):
        open_to_all.adapters.put_back(AdapterSet(adapters=(there,), on=True))
    open_to_all.close()
