"""Saved settings fill the form again: for every task what the form asks survives sidecar, JSON and widgets."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from studio.engine.requests import KEY_SCALES, LANGUAGES, MAX_BATCH, TIME_SIGNATURES, AudioFormat, Task, Track
from studio.engine.sampling import MAX_SEED
from studio.engine.snapshot import request_from, settings_of
from studio.engine.thinking import thinking_settings
from studio.errors import InvalidRequest
from studio.jobs.sidecar import ANSWERS, sidecar
from studio.jobs.sidecar import DEFAULTS as SAVED
from studio.services.forms import DEFAULTS, build_request, build_thinking, complete_form
from studio.services.parameters import Parameters, form_from
from studio.services.principal import Principal
from studio.services.studio import Studio
from studio.services.uploads import Uploads
from studio.storage.artifacts import ArtifactStore
from studio.ui.fields import FIELDS
from tests.services.conftest import finish

WORDS = st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=60)
SOURCE = Path("uploads/me/source.wav")


def between(low: float, high: float) -> st.SearchStrategy[float]:
    return st.floats(low, high).map(lambda value: round(value, 4))


CODES = st.lists(st.integers(0, 63999), max_size=6).map(lambda codes: "".join(f"<|audio_code_{n}|>" for n in codes))
LEVELS = st.lists(between(0.01, 1), min_size=1, max_size=9, unique=True).map(lambda some: sorted(some, reverse=True))
TRACKS = st.sampled_from([track.value for track in Track])
FORMS = st.fixed_dictionaries(
    {
        "caption": WORDS.map(lambda text: f"music {text}"),
        "lyrics": WORDS,
        "instrumental": st.booleans(),
        "vocal_language": st.sampled_from(LANGUAGES),
        "bpm": st.none() | st.integers(30, 300),
        "keyscale": st.just("") | st.sampled_from(KEY_SCALES),
        "timesignature": st.just("") | st.sampled_from(TIME_SIGNATURES),
        "duration": st.just(-1.0) | between(10, 600),
        "inference_steps": st.integers(1, 200),
        "shift": between(1, 5),
        "seed": st.lists(st.integers(0, MAX_SEED), min_size=1, max_size=MAX_BATCH),
        "guidance_scale": between(1, 15),
        "use_adg": st.booleans(),
        "cfg_interval": st.tuples(between(0, 1), between(0, 1)).map(sorted),
        "infer_method": st.sampled_from(("ode", "sde")),
        "timesteps": st.just([]) | LEVELS,
        "audio_format": st.sampled_from([kind.value for kind in AudioFormat]),
        "enable_normalization": st.booleans(),
        "normalization_db": between(-10, 0),
        "latent_shift": between(-0.2, 0.2),
        "latent_rescale": between(0.5, 1.5),
        "audio_codes": CODES,
        "audio_cover_strength": between(0, 1),
        "thinking": st.booleans(),
        "use_cot_metas": st.booleans(),
        "use_cot_caption": st.booleans(),
        "use_cot_language": st.booleans(),
        "lm_temperature": between(0, 2),
        "lm_cfg_scale": between(1, 3),
        "lm_top_k": st.integers(0, 100),
        "lm_top_p": between(0, 1),
        "lm_negative_prompt": WORDS,
        "lm_batch_chunk_size": st.integers(1, 32),
        "allow_lm_batch": st.booleans(),
        "constrained_decoding_debug": st.booleans(),
        "auto_score": st.booleans(),
        "auto_lrc": st.booleans(),
        "score_scale": between(0.01, 1),
        "autogen": st.booleans(),
    }
)
SPAN = {"repainting_start": between(-20, 30), "repainting_end": st.just(-1.0) | between(31, 90)}
SPANS = SPAN | {"repainting_end": between(31, 60), "repainting_more": st.just([[61.5, 70.0], [90.25, -1.0]])}
FEEL = {
    "repaint_mode": st.sampled_from(("conservative", "balanced", "aggressive")),
    "repaint_strength": between(0, 1),
}
OF_TASK = {
    Task.TEXT2MUSIC: st.fixed_dictionaries({}),
    Task.COVER: st.fixed_dictionaries(
        {"cover_noise_strength": between(0, 1), "cover_quantized": st.none() | st.booleans()}
    ),
    Task.REPAINT: st.fixed_dictionaries({**SPAN, **FEEL}) | st.fixed_dictionaries({**SPANS, **FEEL}),
    Task.LEGO: st.fixed_dictionaries({**SPAN, "track_name": TRACKS}),
    Task.EXTRACT: st.fixed_dictionaries({"track_name": TRACKS}),
    Task.COMPLETE: st.fixed_dictionaries(
        {"complete_track_classes": st.lists(TRACKS, min_size=1, max_size=12, unique=True)}
    ),
}


def filled(drawn: dict[str, object], own: dict[str, object], task: Task) -> dict[str, object]:
    """The form a person could have filled so."""
    seeds, levels, interval = (drawn.pop(name) for name in ("seed", "timesteps", "cfg_interval"))
    assert isinstance(seeds, list)
    assert isinstance(levels, list)
    assert isinstance(interval, list)
    codes = "" if task is not Task.TEXT2MUSIC else drawn["audio_codes"]
    return complete_form(
        {
            **drawn,
            **own,
            "task_type": task.value,
            "src_audio": "" if task is Task.TEXT2MUSIC else str(SOURCE),
            "seed": ", ".join(map(str, seeds)),
            "use_random_seed": False,
            "batch_size": len(seeds),
            "timesteps": ", ".join(map(str, levels)),
            "cfg_interval_start": interval[0],
            "cfg_interval_end": interval[1],
            "formatted": True,
            "audio_codes": codes,
            # Loading switches Think off where codes are given, so that they count (product.md 2.4).
            "thinking": drawn["thinking"] and not codes,
        }
    )


def snapshot(form: dict[str, object]) -> dict[str, object]:
    """What is kept of a form beside its takes."""
    kept = {name: form[name] for name in ("audio_format", "auto_score", "auto_lrc", "score_scale", "autogen")}
    source = SOURCE if form["src_audio"] else None
    return {**settings_of(build_request(form, source=source)), **thinking_settings(build_thinking(form)), **kept}


def meant(form: dict[str, object]) -> dict[str, object]:
    """A form with its numbers as they are meant, not as they are written."""
    return {**form, "timesteps": [float(level) for level in str(form["timesteps"]).split(",") if level.strip()]}


@pytest.mark.parametrize("task", Task)
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_a_form_survives_snapshot_json_and_widgets(task: Task, data: st.DataObject) -> None:
    form = filled(data.draw(FORMS), data.draw(OF_TASK[task]), task)
    first = snapshot(form)
    request = build_request(form, source=SOURCE if form["src_audio"] else None)
    facts = settings_of(request)
    assert request_from(json.loads(json.dumps(facts))) == request
    saved = json.dumps(sidecar(form, facts, facts, seed=request.seeds[0], model="m"))
    again, odd = form_from(json.loads(saved))
    held = {name: FIELDS[name].fit(value) if name in FIELDS else value for name, value in again.items()}
    assert odd == []
    assert meant(held) == meant(form)
    assert snapshot(held) == first


def test_the_json_has_every_key_of_the_specification() -> None:
    form = complete_form({"caption": "x"})
    facts = settings_of(build_request(form))
    keys = set(sidecar(form, facts, facts, seed=1, model="m"))
    assert set(SAVED) <= keys
    assert {f"cot_{name}" for name in ANSWERS} <= keys
    assert {"model", "schema_version", "sampler_mode", "fade_in_duration"} <= keys


def test_the_file_of_one_region_is_what_it_was_and_odd_regions_are_named() -> None:
    form = complete_form({"task_type": "repaint", "caption": "x", "src_audio": str(SOURCE), "repainting_end": 5.5})
    facts = settings_of(build_request(form, source=SOURCE))
    assert "repainting_more" not in sidecar(form, facts, facts, seed=1, model="m")
    several = {**form, "repainting_more": [[8, 9]]}
    facts = settings_of(build_request(several, source=SOURCE))
    assert sidecar(several, facts, facts, seed=1, model="m")["repainting_more"] == [[8, 9]]
    again, odd = form_from({"task_type": "repaint", "repainting_more": [[8]]})
    assert (again["repainting_more"], odd) == ([], ["repainting_more: [[8]]"])
    for wrong in ([[8]], [["a", 9]], [8, 9], "8:9", [[True, 9]]):
        with pytest.raises(InvalidRequest, match=r"repainting_more must be a list of \[start, end\] in seconds"):
            build_request({**form, "repainting_more": wrong}, source=SOURCE)


def test_what_a_file_leaves_out_takes_its_default() -> None:
    form, odd = form_from({})
    assert odd == []
    assert set(form) == set(DEFAULTS)
    changed = {name: form[name] for name in form if form[name] != DEFAULTS[name]}
    assert changed == {"use_random_seed": False, "formatted": True, "thinking": True}


def test_the_original_studio_s_file_is_understood() -> None:
    form, odd = form_from(
        {
            "task_type": "cover",
            "caption": "c",
            "bpm": "N/A",
            "duration": "N/A",
            "seed": 5,
            "timesteps": [0.97, 0.5, 0.0],
            "audio_codes": "<|audio_code_1|><|audio_code_2|>",
            "thinking": True,
            "keyscale": "N/A",
            "timesignature": None,
            "guidance_scale": 3,
            "inference_steps": "12",
            "of_the_future": [1],
        }
    )
    assert odd == []
    assert (form["task_type"], form["bpm"], form["duration"], form["keyscale"]) == ("cover", None, -1.0, "")
    assert (form["timesteps"], form["seed"], form["use_random_seed"]) == ("0.97, 0.5, 0.0", "5", False)
    assert (form["inference_steps"], form["guidance_scale"]) == (12, 3.0)
    assert (form["audio_codes"], form["thinking"]) == ("<|audio_code_1|><|audio_code_2|>", False)
    assert (form["batch_size"], form["audio_format"]) == (2, "mp3")


def test_what_a_field_cannot_hold_is_named() -> None:
    form, odd = form_from({"caption": "c", "bpm": "fast", "use_adg": "yes", "batch_size": 2.5, "timesteps": ["a"]})
    assert odd == ["bpm: fast", "batch_size: 2.5", "use_adg: yes", "timesteps: ['a']"]
    assert {name: form[name] for name in ("bpm", "use_adg", "batch_size", "timesteps")} == {
        "bpm": None,
        "use_adg": False,
        "batch_size": 2,
        "timesteps": "",
    }


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"words",
        b"{",
        b"[1]",
        b'"text"',
        b'{"other": 1}',
        b'{"caption": ',
        b"\xff\xfe{}",
        b"RIFF\0\0",
        b"[" * 100_000,
        b'{"caption": "' + b"x" * (4 << 20) + b'"}',
    ],
)
def test_foreign_and_broken_files_are_refused(content: bytes, tmp_path: Path) -> None:
    uploads = Uploads(ArtifactStore(tmp_path), principal=Principal(user_id="me"))
    with pytest.raises(InvalidRequest) as caught:
        Parameters(uploads).read(content)
    assert caught.value.field == "parameters"


@pytest.mark.parametrize("name", ["reference_audio", "src_audio"])
def test_an_upload_that_is_gone_is_named(name: str, tmp_path: Path) -> None:
    uploads = Uploads(ArtifactStore(tmp_path), principal=Principal(user_id="me"))
    kept = tmp_path / "uploads" / "me" / f"{'0f' * 16}.wav"
    kept.parent.mkdir(parents=True)
    kept.write_bytes(b"sound")
    read = Parameters(uploads).read
    loaded = read(json.dumps({name: str(kept)}).encode())
    assert (loaded.form[name], loaded.gone) == (f"uploads/me/{kept.name}", ())
    for gone in ("/elsewhere/gone.wav", "uploads/me/gone.wav"):
        loaded = read(json.dumps({name: gone}).encode("utf-8-sig"))
        assert (loaded.form[name], loaded.gone) == ("", (f"{name}: gone.wav",))


@pytest.mark.parametrize("kind", list(AudioFormat))
def test_the_audio_itself_restores_the_form(studio: Studio, kind: AudioFormat) -> None:
    wanted = {"caption": "a *song*", "audio_format": kind.value, "bpm": 97, "seed": "7", "use_random_seed": False}
    form = {**DEFAULTS, **wanted, "batch_size": 1, "inference_steps": 8, "shift": 3.0, "formatted": True}
    job = finish(studio, studio.generation.submit(form))
    take = studio.library.batch(job.batch_id or "").takes[0]
    file = studio.media.resolve(studio.media.link(take.id).rpartition("/")[2])
    loaded = studio.parameters.read(file.path.read_bytes())
    assert (loaded.gone, loaded.odd) == ((), ())
    assert {**loaded.form, "guidance_scale": None} == form
    assert studio.parameters.read(studio.takes.sidecar_file(take.id)[1]) == loaded
