"""`studio models fetch, convert, verify` as a person types them, against a hub on this machine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from studio.cli import main
from tests.engine.hub_server import HubServer, serve
from tests.engine.originals import build, write_tree

NAME = "acestep-v15-turbo"


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tree(tmp_path_factory.mktemp("published"), build(turbo=True), NAME)


@pytest.fixture
def hub(published: Path, own_folders: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with serve() as server:
        for folder in (NAME, "vae", "Qwen3-Embedding-0.6B"):
            server.publish("ACE-Step/Ace-Step1.5", published.parent / folder, folder)
        monkeypatch.setenv("STUDIO_HUGGINGFACE_ENDPOINT", server.address)
        monkeypatch.setenv("STUDIO_MODELSCOPE_ENDPOINT", server.address)
        yield server


@pytest.fixture
def own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Checkpoints of this test only."""
    monkeypatch.setenv("STUDIO_MODELS_DIR", str(tmp_path / "models"))
    monkeypatch.setenv("STUDIO_CHECKPOINTS_DIR", str(tmp_path / "checkpoints"))
    return tmp_path / "checkpoints"


def test_fetch_convert_list_and_verify(
    hub: HubServer, own_folders: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["models", "fetch", NAME]) == 0
    shown = capsys.readouterr()
    assert f"{own_folders / NAME}: complete" in shown.out
    assert shown.out.rstrip().endswith("downloaded from huggingface")
    assert "fetching" in shown.err
    assert main(["models", "convert", NAME, str(tmp_path / "models" / "mine")]) == 0
    assert capsys.readouterr().out.strip() == str(tmp_path / "models" / "mine")
    assert main(["models", "list"]) == 0
    assert [line.split()[:2] for line in capsys.readouterr().out.splitlines()] == [[NAME, "turbo"], ["mine", "turbo"]]
    for name in (NAME, "mine"):
        assert main(["models", "verify", name]) == 0
        assert "as it was made" in capsys.readouterr().out


def test_fetch_names_the_hub_it_could_not_use(hub: HubServer, capsys: pytest.CaptureFixture[str]) -> None:
    hub.silent.add("huggingface")
    assert main(["models", "fetch", NAME, "--source", "auto"]) == 0
    shown = capsys.readouterr()
    assert "Could not use huggingface: ACE-Step/Ace-Step1.5 can't be listed" in shown.err
    assert shown.out.rstrip().endswith("downloaded from modelscope")
    assert main(["models", "fetch", NAME, "--source", "huggingface"]) == 1
    assert "503" in capsys.readouterr().err


def test_verify_finds_a_changed_byte_and_says_what_it_can_not_know(
    own_folders: Path, published: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["models", "verify", str(published)]) == 0
    assert "no studio-manifest.json, so only names, sizes and headers were checked" in capsys.readouterr().out
    assert main(["models", "convert", str(published), str(own_folders / "mine")]) == 0
    weights = own_folders / "mine" / "transformer" / "diffusion_pytorch_model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    capsys.readouterr()
    assert main(["models", "verify", "mine"]) == 1
    assert f"{weights} was changed or damaged" in capsys.readouterr().out


def test_refusals_are_explained(own_folders: Path, published: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "fetch", "nobody"]) == 1
    assert "no checkpoint is published as 'nobody'; known are acestep-v15-turbo, vae" in capsys.readouterr().err
    assert main(["models", "convert", "nobody", "x"]) == 1
    assert "no checkpoint called 'nobody'" in capsys.readouterr().err
    assert main(["models", "convert", str(published), str(published.parent)]) == 1
    assert "exists; name a new folder" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["models", "fetch", NAME, "--source", "elsewhere"])
