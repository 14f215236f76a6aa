"""Training clips show the DiT what the engine shows it, task by task."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from mini.clips import TASKS, Clipper, Clips, Task, draw_task, players, prompt_for
from mini.codes import LEVELS, Codec
from mini.composer import draw_song
from mini.composer.song import TRACKS
from mini.data import MIX, REST, STEM, Songs, every_track, split_song
from mini.evaluation.material import MODELS
from mini.network import REFERENCE_FRAMES, Mini
from mini.prompts import bare_prompt
from mini.reading import CHOICES, MANY, draw_reading
from studio.engine.edits import Extract
from studio.engine.effective import fill
from studio.engine.model_spec import spec_for
from studio.engine.prompts import caption_prompt
from studio.engine.requests import Track


@pytest.fixture(scope="module")
def clipper() -> Clipper:
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    latents = rng.normal(size=(12, 3, 200, 64)).astype(np.float16)
    facts = [draw_song(seed) for seed in range(12)]
    tracks = np.array([TRACKS.index(song.tracks[0]) for song in facts])
    return Clipper(Songs(latents, tracks, np.arange(12)), facts, Codec().eval(), rng)


def batch_of(clipper: Clipper, task: str, later: float = 0.0) -> Clips:
    return clipper.batch(Mini(300), {task: 1.0}, 6, 100, later)


def test_text_to_music_hears_only_the_clocks(clipper: Clipper) -> None:
    clips = batch_of(clipper, "text2music")
    model = Mini(300)
    torch.testing.assert_close(clips.context, model.context(torch.zeros(6, dtype=torch.long), 100))


@pytest.mark.parametrize(("task", "source", "target"), [("extract", MIX, STEM), ("lego", REST, STEM)])
def test_stem_tasks_hear_one_version_and_make_another(clipper: Clipper, task: str, source: int, target: int) -> None:
    clips = batch_of(clipper, task)
    songs = torch.from_numpy(clipper.songs.latents[clips.rows].astype(np.float32))[:, :, :100]
    torch.testing.assert_close(clips.context[..., :64], songs[:, source])
    torch.testing.assert_close(clips.clean, songs[:, target])
    assert all(task.tracks for task in clips.tasks)


def test_a_repaint_hears_the_source_outside_and_the_clocks_inside(clipper: Clipper) -> None:
    clips = batch_of(clipper, "repaint")
    source, mask = clips.context[..., :64], clips.context[..., 64:]
    inside = mask[..., 0] > 0
    assert inside.any(1).all()
    clocks = Mini(300).silence(torch.zeros(6, dtype=torch.long), 100)
    torch.testing.assert_close(source[inside], clocks[inside])
    torch.testing.assert_close(source[~inside], clips.clean[~inside])
    assert (clips.weight[..., 0][inside].min() > clips.weight[..., 0][~inside].max()).item()


def test_a_cover_hears_what_the_codes_keep(clipper: Clipper) -> None:
    clips = batch_of(clipper, "cover")
    torch.testing.assert_close(clips.context[..., :64], clipper.codec.hints(clips.clean))


def test_a_song_of_one_track_is_made_from_text() -> None:
    rng = np.random.default_rng(0)
    assert draw_task("extract", draw_song(1), -1, rng).name == "text2music"


def test_a_text_says_which_track_of_its_song_is_missing_or_alone() -> None:
    song = next(song for song in map(draw_song, range(50)) if "drums" in song.tracks and len(song.tracks) > 2)
    drums = TRACKS.index("drums")
    without = players(Task("text2music", target=REST), song, drums)
    assert without.tracks == tuple(track for track in song.tracks if track != "drums")
    assert players(Task("text2music", target=STEM), song, drums).tracks == ("drums",)
    assert players(Task("text2music"), song, drums) == song
    assert players(Task("extract", ("drums",), MIX, STEM), song, drums) == song
    drawn = [draw_task("text2music", song, drums, np.random.default_rng(seed)).target for seed in range(60)]
    assert drawn.count(MIX) > drawn.count(REST) > drawn.count(STEM) > 0


def test_instructions_name_the_track() -> None:
    song, rng = draw_song(3), np.random.default_rng(0)
    for task in ("extract", "lego", "complete"):
        drawn = draw_task(task, song, TRACKS.index("drums"), rng)
        (prompt, _), _ = prompt_for(drawn, song, rng)
        assert all(track.upper() in prompt.split("# Caption")[0] for track in drawn.tracks)


def test_stems_and_rest_add_up_to_the_mix() -> None:
    seed = next(seed for seed in range(20) if split_song(seed, 2.0)[1] >= 0)
    mix, stem, rest = split_song(seed, 4.0)[0]
    np.testing.assert_allclose(stem + rest, mix, atol=1e-6)
    assert np.abs(stem).max() > 0 < np.abs(rest).max()


def test_every_track_of_a_song_has_its_turn() -> None:
    song = next(song for song in map(draw_song, range(20)) if len(song.tracks) > 3)
    rows = every_track(song.seed, 4.0)
    assert {TRACKS[track] for track in rows.tracks} <= set(song.tracks)
    assert len(set(rows.tracks)) == len(rows.latents) > 1
    assert (rows.seeds == song.seed).all()
    assert (rows.latents[:, MIX] == rows.latents[0, MIX]).all()
    assert not (rows.latents[0, STEM] == rows.latents[1, STEM]).all()


def test_an_extraction_without_words_is_captioned_as_the_engine_does() -> None:
    prompt, _ = bare_prompt("extract", ("drums",), np.random.default_rng(0))
    request = Extract(source=Path("mix.wav"), track=Track.DRUMS, seeds=(0,))
    engine = fill(request, spec_for(MODELS / "acestep-mini-base"), source_seconds=8.0)
    assert prompt.startswith(caption_prompt(engine.instruction, engine.caption, "").partition("# Metas")[0])


def test_training_passes_the_codes_that_the_stock_classes_give() -> None:
    torch.manual_seed(0)
    codec = Codec().eval()
    latents = torch.randn(2, 50, 64)
    torch.testing.assert_close(codec.rebuild(codec.digits(latents)[1]), codec.hints(latents), atol=1e-5, rtol=1e-4)
    assert int(codec.codes(latents).max()) < np.prod(LEVELS)


def test_a_reference_is_its_first_frames() -> None:
    torch.manual_seed(0)
    encoder = Mini(300).eval().condition.timbre_encoder
    reference = torch.randn(1, 750, 64)
    whole, short = (
        encoder(part, torch.zeros(1, dtype=torch.long))[0] for part in (reference, reference[:, :REFERENCE_FRAMES])
    )
    torch.testing.assert_close(whole, short, atol=1e-5, rtol=1e-4)


def test_readings_ask_for_every_task() -> None:
    reading = draw_reading(64, np.random.default_rng(0))
    assert set(reading.answers) == {*CHOICES, *MANY}
    assert set(reading.answers["task"].tolist()) == set(range(len(TASKS)))
    assert 0 < reading.said.mean() < 1
