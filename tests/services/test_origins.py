"""What is made from a take remembers it: its sound as a reference, its codes, its settings; whoever submits."""

from __future__ import annotations

import io
import json

import numpy as np
import pytest
import soundfile

from studio.services import Studio
from studio.services.forms import complete_form
from studio.services.library import Parent, Role
from studio.services.library.lineage import Edge
from studio.services.writing import ToCodes
from tests.jobs.fakes import Garage
from tests.jobs.writers import HearingEngine
from tests.services.conftest import FORM, finish


@pytest.fixture
def garage() -> Garage:
    return Garage(HearingEngine())


def made(studio: Studio, *parents: Parent, **form: object) -> str:
    """Generate a take and return its id."""
    job = finish(studio, studio.generation.submit({**FORM, **form}, parents))
    assert job.error == ""
    return studio.library.batch(job.batch_id or "").takes[0].id


def edges(studio: Studio, take_id: str) -> set[Edge]:
    return set(studio.library.lineage(take_id).edges)


@pytest.mark.parametrize("audio_format", ["wav", "flac", "mp3", "opus", "aac"])
def test_a_takes_own_file_is_known_when_it_comes_back(studio: Studio, audio_format: str) -> None:
    first = made(studio, audio_format=audio_format)
    name, content = studio.takes.audio_file(first)
    upload = studio.uploads.add("Reference Audio", name, content)
    second = made(studio, reference_audio=upload.key)
    assert edges(studio, second) == {Edge(first, second, Role.REFERENCE)}
    assert [edge.child for edge in studio.library.lineage(first).became()] == [second]
    assert studio.takes.named_in(content) == first
    assert studio.takes.named_in(studio.takes.sidecar_file(first)[1]) == first
    assert studio.takes.named_in(b"neither") == studio.takes.named_in(b'{"take_id": "strange"}') == ""


def test_a_file_from_elsewhere_keeps_its_name(studio: Studio) -> None:
    file = io.BytesIO()
    soundfile.write(file, 0.3 * np.sin(np.arange(8000) / 9), 8000, format="WAV")
    upload = studio.uploads.add("Reference Audio", "hum.wav", file.getvalue())
    take = made(studio, reference_audio=upload.key)
    assert edges(studio, take) == {Edge("reference:hum.wav", take, Role.REFERENCE)}


def test_converted_codes_lead_to_what_was_converted(studio: Studio) -> None:
    first = made(studio)
    upload = studio.uploads.add("Source Audio", *studio.takes.audio_file(first))
    finish(studio, studio.writing.submit(ToCodes(source=upload.key)))
    codes = "<|audio_code_5|><|audio_code_6|><|audio_code_7|>"
    second = made(studio, audio_codes=codes)
    assert edges(studio, second) == {Edge(first, second, Role.CODES)}
    third = made(studio, Parent(role=Role.CODES, take_id=second), audio_codes=codes)
    assert Edge(second, third, Role.CODES) in edges(studio, third)
    assert Edge(first, third, Role.CODES) not in edges(studio, third)
    assert edges(studio, made(studio, audio_codes=codes[:16])) == set()


def test_autogen_copies_settings_from_where_the_batch_did(studio: Studio) -> None:
    first = made(studio)
    second = made(studio, Parent(role=Role.SETTINGS, take_id=first))
    job_id = studio.results.prepare(complete_form(FORM), studio.library.take(second).batch_id)
    assert job_id is not None
    job = finish(studio, job_id)
    third = studio.library.batch(job.batch_id or "").takes[0].id
    assert Edge(first, third, Role.SETTINGS) in edges(studio, third)
    assert {edge.child for edge in studio.library.lineage(first).became()} == {second, third}


def test_the_json_beside_a_take_says_which_take_it_is(studio: Studio) -> None:
    take = made(studio)
    assert json.loads(studio.takes.sidecar_file(take)[1])["take_id"] == take
