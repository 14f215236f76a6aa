"""What the page tests have in common: waiting, making a batch, reading a page."""

from __future__ import annotations

import time
from collections.abc import Callable

from streamlit.testing.v1 import AppTest
from streamlit.testing.v1.element_tree import Node

from studio.services import Studio

MODEL = "tiny-turbo"
EVERY_FIELD = {  # what turbo without a language model can use; no value is its default
    "caption": "calm *piano*, no drums",
    "lyrics": "[verse]\nwords, <b>not</b> markup\n\n[chorus]\nmore",
    "instrumental": True,
    "vocal_language": "it",
    "bpm": 97,
    "keyscale": "F# minor",
    "timesignature": "6",
    "duration": 12.5,
    "batch_size": 3,
    "inference_steps": 4,
    "shift": 2.3,
    "seed": "5, 6",
    "use_random_seed": False,
    "audio_format": "flac",
    "infer_method": "sde",
    "timesteps": "0.9, 0.6, 0.4, 0.2",
    "normalization_db": -3.0,
    "latent_shift": 0.1,
    "latent_rescale": 1.2,
    "auto_score": True,
    "auto_lrc": True,
    "score_scale": 0.3,
    "autogen": True,
}


def wait_for(condition: Callable[[], bool], seconds: float = 60.0) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "waited too long"
        time.sleep(0.02)


def make(studio: Studio, **form: object) -> str:
    """Generate one batch to its end and return its id."""
    job_id = studio.generation.submit({"caption": "a song", **form})
    wait_for(lambda: not studio.generation.job(job_id).active)
    batch_id = studio.generation.job(job_id).batch_id
    assert batch_id is not None
    return batch_id


def players(app: AppTest) -> list[Node]:
    """Return the decks on the page."""
    return list(app.get("bidi_component"))


def texts(app: AppTest) -> str:
    """Return everything a person can read, for assertions on words."""
    kinds = ("title", "subheader", "markdown", "caption", "error", "warning", "info", "success", "toast", "code")
    words = [element.value for kind in kinds for element in app.get(kind)]
    words += [element.proto.text for element in app.get("progress")]
    for element in app.table:
        words += [f"| {' | '.join(map(str, row))} |" for row in (element.value.columns, *element.value.to_numpy())]
    words += [element.proto.body for element in app.get("alert")]
    return "\n".join(str(word) for word in words)
