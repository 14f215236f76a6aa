"""A saved take gives its form back, from its JSON or its audio; anything else is refused with a reason."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from studio.engine.requests import KEY_SCALES, LANGUAGES, TIME_SIGNATURES, AudioFormat
from studio.engine.snapshot import settings_of
from studio.errors import InvalidRequest
from studio.jobs.sidecar import ANSWERS, DEFAULTS, sidecar
from studio.services.forms import DEFAULTS as FORM
from studio.services.forms import build_request, complete_form
from studio.services.restore import restore
from studio.services.studio import Studio
from tests.services.conftest import finish

WORDS = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)
FORMS = st.fixed_dictionaries(
    {
        "caption": WORDS.map(lambda words: f"x{words}"),
        "lyrics": WORDS,
        "instrumental": st.booleans(),
        "vocal_language": st.sampled_from(LANGUAGES),
        "bpm": st.none() | st.integers(30, 300),
        "keyscale": st.sampled_from(["", *KEY_SCALES]),
        "timesignature": st.sampled_from(["", *TIME_SIGNATURES]),
        "duration": st.just(-1.0) | st.floats(10, 600),
        "batch_size": st.integers(1, 8),
        "inference_steps": st.integers(1, 20),
        "shift": st.floats(1, 5),
        "audio_format": st.sampled_from([kind.value for kind in AudioFormat]),
        "seed": st.integers(0, 2**32 - 1).map(str),
        "use_random_seed": st.just(False),
    }
)


def saved(form: dict[str, object]) -> dict[str, object]:
    """The sidecar of the first take of a form."""
    request = build_request(complete_form(form))
    facts = settings_of(request)
    return sidecar(form, facts, facts, seed=request.seeds[0], model="m")


@settings(max_examples=60, deadline=None)
@given(form=FORMS)
def test_form_json_form_is_the_same(form: dict[str, object]) -> None:
    data = json.dumps(saved(form)).encode()
    restored = restore("take.json", data)
    assert {name: restored[name] for name in form} == form
    again = {name: restored[name] for name in FORM}
    assert build_request(again).seeds[0] == int(str(form["seed"]))


def test_the_json_has_every_key_of_the_specification() -> None:
    keys = set(saved({"caption": "x"}))
    assert set(DEFAULTS) <= keys
    assert {f"cot_{name}" for name in ANSWERS} <= keys
    assert {"model", "schema_version", "sampler_mode", "fade_in_duration"} <= keys


def test_the_original_studio_s_file_is_understood() -> None:
    data = {
        "task_type": "cover",
        "caption": "c",
        "bpm": "N/A",
        "duration": "N/A",
        "seed": 5,
        "timesteps": [0.97, 0.5, 0.0],
        "audio_codes": "<|audio_code_1|><|audio_code_2|>",
        "thinking": True,
        "keyscale": "N/A",
        "guidance_scale": 3,
        "inference_steps": "12",
        "complete_track_classes": ["drums", 4],
        "of_the_future": [1],
    }
    form = restore("a.json", json.dumps(data).encode("utf-8-sig"))
    assert form["bpm"] is None
    assert (form["duration"], form["keyscale"], form["seed"], form["use_random_seed"]) == (-1.0, "", "5", False)
    assert (form["timesteps"], form["inference_steps"], form["guidance_scale"]) == ("0.97, 0.5, 0", 12, 3.0)
    assert (form["audio_codes"], form["thinking"]) == ("<|audio_code_1|><|audio_code_2|>", False)
    assert (form["batch_size"], form["audio_format"], form["task_type"]) == (2, "mp3", "cover")
    assert (form["complete_track_classes"], form["of_the_future"]) == (["drums"], [1])
    assert form["is_formatted"] is True


@pytest.mark.parametrize(
    "data",
    [b"", b"words", b"{", b"[1]", b'{"other": 1}', b'{"caption": ', b"\xff\xfe{}", b"RIFF\0\0", b"[" * 100_000],
)
def test_foreign_and_broken_files_are_refused(data: bytes) -> None:
    with pytest.raises(InvalidRequest) as refused:
        restore("what.json", data)
    assert refused.value.field == "file"


@pytest.mark.parametrize("kind", ["mp3", "flac", "wav"])
def test_the_audio_itself_restores_the_form(studio: Studio, kind: str) -> None:
    form = {**FORM, "caption": "a *song*", "audio_format": kind, "bpm": 97, "seed": "7", "use_random_seed": False}
    job = finish(studio, studio.generation.submit({**form, "batch_size": 1, "inference_steps": 8, "shift": 3.0}))
    take = studio.library.batch(job.batch_id or "").takes[0]
    file = studio.media.resolve(studio.media.link(take.id).rpartition("/")[2])
    restored = restore(file.filename, file.path.read_bytes())
    assert {name: restored[name] for name in form} == {**form, "batch_size": 1, "inference_steps": 8, "shift": 3.0}
    name, content = studio.takes.sidecar_file(take.id)
    assert name == file.filename.replace(f".{kind}", ".json")
    assert restore(name, content) == restored
