"""The record of what went into a training run: songs, settings, weights, versions."""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from studio.engine.checkpoint import Checkpoint
from studio.engine.environment import MODEL_SUM, environment_of, weights_sum
from studio.engine.lora.examples import Example

_SOURCE = Path(__file__).resolve().parents[3]


def card_of(
    checkpoint: Checkpoint, tensors: Path, examples: Sequence[Example], device: Mapping[str, object]
) -> dict[str, object]:
    """Return the card without the settings; `device` names device and number type."""
    return {
        "tensors": str(tensors.absolute()),
        "data_sha256": data_sum(examples),
        **environment_of(checkpoint.spec.name, device),
        MODEL_SUM: weights_sum(str(checkpoint.path), ()),
        "revision": revision(),
    }


def data_sum(examples: Sequence[Example]) -> str:
    """Return the SHA-256 over the names and sums of the tensor files."""
    lines = "".join(f"{example.name} {example.sha256}\n" for example in examples)
    return hashlib.sha256(lines.encode()).hexdigest()


def revision() -> str | None:
    """Return the git revision of the studio's source, with `-dirty` after changes; None where there is no git."""
    if not (_SOURCE / ".git").exists():
        return None
    command = ["git", "-C", str(_SOURCE), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=30, check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return None
