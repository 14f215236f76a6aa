"""Stems of a song: found, summed, measured and packed."""

from __future__ import annotations

import io
import math
import zipfile
from dataclasses import replace

import numpy as np
import pytest
import soundfile
from sqlalchemy import update

from studio.config import Settings
from studio.engine.audio.measure import true_peak
from studio.engine.audio.mix import CEILING, mix, residual
from studio.engine.requests import AudioFormat
from studio.errors import InvalidRequest, NotFound
from studio.services import Studio, open_studio
from studio.services.mixing import Gain
from studio.services.views import JobState
from studio.storage.models import Batch
from tests.jobs.fakes import Garage
from tests.services.conftest import FORM, finish, until

RATE = 8000


def wav(*, seconds: float = 2.0, level: float = 0.2) -> bytes:
    file = io.BytesIO()
    times = np.arange(round(seconds * RATE)) / RATE
    soundfile.write(file, level * np.sin(2 * np.pi * 200 * times), RATE, format="WAV")
    return file.getvalue()


def test_a_sum_that_would_clip_is_turned_down_as_a_whole() -> None:
    tone = (0.8 * np.sin(2 * np.pi * 200 * np.arange(RATE) / RATE)).astype(np.float32)[None]
    quiet = mix([(tone, -6.0)], RATE)
    assert quiet.turned_down == 0.0
    assert np.abs(quiet.audio - tone * 10 ** (-6 / 20)).max() < 1e-6
    loud = mix([(tone, 0.0), (tone[:, : RATE // 2], 0.0)], RATE)
    assert loud.audio.shape == tone.shape
    found = true_peak(loud.audio, RATE)
    assert found is not None and abs(found - CEILING) < 0.05
    assert loud.turned_down > 4


def test_the_residual_is_what_the_parts_leave_over() -> None:
    whole = np.random.default_rng(1).uniform(-0.5, 0.5, (2, 4000)).astype(np.float32)
    assert residual(whole, [whole / 2, whole / 2]) == -math.inf
    half = residual(whole, [whole / 2])
    assert half is not None and abs(half + 6.02) < 0.01
    assert residual(np.zeros((2, 10), np.float32), [whole]) is None


def test_a_mix_becomes_a_take_with_its_parents(studio: Studio) -> None:
    finish(studio, studio.generation.submit({**FORM, "bpm": 97}))
    take = studio.library.batches(limit=1)[0].takes[0]
    upload = studio.uploads.add("Source Audio", "voice.wav", wav())
    ended = finish(studio, studio.mixing.bounce([Gain(id=take.id, decibels=-6), Gain(id=upload.key)], AudioFormat.WAV))
    assert ended.state == JobState.DONE, ended.error
    batch = studio.library.batches(limit=1)[0]
    assert (batch.task, batch.form["caption"], batch.form["bpm"]) == ("mix", "calm piano", 97)
    made = batch.takes[0]
    assert made.duration == 2.0  # the longest part
    assert made.effective["parts"] == [
        {"name": "text2music", "gain_db": -6},
        {"name": "voice.wav", "gain_db": 0.0},
    ]
    assert [edge.parent for edge in studio.library.lineage(made.id).made_from()] == [take.id]
    with pytest.raises(InvalidRequest, match="gain must be from -60 to 12 dB"):
        studio.mixing.bounce([Gain(id=take.id, decibels=99)])
    with pytest.raises(NotFound):
        studio.mixing.bounce([Gain(id="0" * 32)])


def test_a_source_without_stems_has_no_zip(studio: Studio) -> None:
    upload = studio.uploads.add("Source Audio", "voice.wav", wav())
    assert studio.mixing.stems(upload.key) == []
    with pytest.raises(NotFound, match="no stem"):
        studio.mixing.stems_zip(upload.key)


def test_stems_are_packed_as_long_as_their_source_and_numbered(studio: Studio) -> None:
    upload = studio.uploads.add("Source Audio", "voice.wav", wav())
    finish(studio, studio.generation.submit({**FORM, "task_type": "cover", "src_audio": upload.key}))
    with studio._database.write() as session:  # the stand-in engine knows no stems: a cover is made one
        for batch in session.query(Batch):
            batch.task = "extract"
    found = studio.mixing.stems(upload.key)
    assert len(found) == 1
    left = studio.mixing.left_over(upload.key, [found[0].id])
    assert left is not None
    with zipfile.ZipFile(io.BytesIO(studio.mixing.stems_zip(upload.key))) as archive:
        (name,) = archive.namelist()
        audio, rate = soundfile.read(io.BytesIO(archive.read(name)))
    assert name.startswith("01_") and name.endswith(".wav")
    assert (rate, len(audio)) == (RATE, 2 * RATE)


@pytest.mark.postgres
def test_stems_are_found_on_postgresql_too(settings: Settings, garage: Garage, postgres_url: str) -> None:
    studio = open_studio(replace(settings, database_url=postgres_url), engine_factory=garage)
    studio.start_worker()
    until(lambda: studio.status().ready)
    mine, other = (studio.uploads.add("Source Audio", f"{n}.wav", wav(level=0.1 * n)) for n in (1, 2))
    for upload in (mine, other, mine):
        finish(studio, studio.generation.submit({**FORM, "task_type": "cover", "src_audio": upload.key}))
    assert studio.mixing.stems(mine.key) == []  # covers are no stems
    with studio._database.write() as session:  # the stand-in engine knows no stems: the covers are made some
        session.execute(update(Batch).values(task="extract"))
    found = studio.mixing.stems(mine.key)
    assert [str(take.requested["src_audio"]).endswith(mine.key) for take in found] == [True, True]
    assert len(studio.mixing.stems(other.key)) == 1
    studio.library.trash.put([found[0].id])
    assert [take.id for take in studio.mixing.stems(mine.key)] == [found[1].id]
    studio.close()


def test_a_live_recording_remembers_what_it_lost(studio: Studio) -> None:
    sung = studio.uploads.add("Source Audio", "recording.wav", wav(), lost=3)
    assert (sung.lost, studio.sources.look(sung.key).lost) == (3, 3)
    assert studio.sources.look(studio.uploads.add("Source Audio", "plain.wav", wav(level=0.1)).key).lost is None


def test_a_source_is_looked_at_once_and_has_a_link(studio: Studio) -> None:
    upload = studio.uploads.add("Source Audio", "voice.wav", wav(seconds=3))
    first, second = studio.sources.look(upload.key), studio.sources.look(upload.key)
    assert first == second
    assert (first.name, first.seconds, first.sample_rate) == ("voice.wav", 3.0, RATE)
    assert max(first.peaks) == round(0.2 * 255)
    file = studio.sources.resolve(first.path.rpartition("/")[2])
    assert (file.mime, file.path.read_bytes()) == ("audio/wav", wav(seconds=3))
    with pytest.raises(InvalidRequest):
        studio.sources.look("uploads/somebody/else.wav")
