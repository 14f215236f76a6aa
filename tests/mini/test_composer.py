"""The composer's songs are what their facts say, so that a model trained on them can be."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mini.composer import Song, caption_of, draw_song, lyrics_of, render
from mini.composer.instruments import RATE
from mini.composer.song import GENRES, TRACKS
from mini.composer.tempo import CLOCKS, clock_bank, clock_hz, snap
from studio.engine.audio.measure import measure

SONGS = [draw_song(seed) for seed in range(40)]


def test_the_same_seed_gives_the_same_song() -> None:
    assert draw_song(5) == draw_song(5)
    assert np.array_equal(render(draw_song(5), 3.0)[1], render(draw_song(5), 3.0)[1])
    assert not np.array_equal(render(draw_song(5), 3.0)[1], render(replace(draw_song(5), seed=6), 3.0)[1])


@pytest.mark.parametrize("song", SONGS[:6], ids=lambda song: song.genre)
def test_stems_sum_to_the_mix(song: Song) -> None:
    stems, mix = render(song, 4.0)
    assert set(stems) == set(song.tracks)
    np.testing.assert_allclose(np.sum(list(stems.values()), axis=0), mix, atol=1e-6)
    assert mix.shape == (2, 4 * RATE)
    assert 0.05 < np.abs(mix).max() <= 0.95
    assert all(np.abs(stem).max() > 1e-3 for stem in stems.values())


def test_drawn_songs_cover_what_the_product_offers() -> None:
    songs = [draw_song(seed) for seed in range(2000)]
    assert {song.genre for song in songs} == set(GENRES)
    assert {song.metre for song in songs} == {2, 3, 4, 6}
    assert {track for song in songs for track in song.tracks} == set(TRACKS)
    assert len({song.key_scale for song in songs}) == 24
    assert {song.bpm for song in songs if song.states_bpm} == set(range(60, 181))


def test_the_grid_is_never_more_than_a_few_beats_off() -> None:
    worst = max(abs(snap(bpm)[0] / bpm - 1) for bpm in range(30, 301))
    assert worst < 0.0121
    for bpm in (60, 97, 140, 180):
        played, clock, fold = snap(bpm)
        assert played / 60 == pytest.approx(clock_hz()[clock] * 2.0**fold)


def test_the_bank_turns_once_a_beat() -> None:
    bank = clock_bank(1500)
    assert bank.shape == (1500, 64)
    seconds = np.arange(1500) / 25
    for clock in (0, 13, 28):
        np.testing.assert_allclose(bank[:, clock], 2 * np.cos(2 * np.pi * clock_hz()[clock] * seconds), atol=1e-5)
        np.testing.assert_allclose(
            bank[:, CLOCKS + clock], 2 * np.sin(2 * np.pi * clock_hz()[clock] * seconds), atol=1e-5
        )


def test_tempo_and_key_can_be_heard() -> None:
    songs = [song for song in SONGS if "drums" in song.tracks][:8]
    heard = [measure(render(song, 10.0)[1], RATE) for song in songs]
    tempos = [h.tempo is not None and h.tempo.agrees(s.played_bpm) for h, s in zip(heard, songs, strict=True)]
    keys = [h.key is not None and h.key.agrees(s.key_scale) for h, s in zip(heard, songs, strict=True)]
    assert sum(tempos) >= 6
    assert sum(keys) >= 4


def test_words_say_what_is_there() -> None:
    rng = np.random.default_rng(0)
    for song in SONGS:
        caption = caption_of(song, rng)
        assert 5 < len(caption) < 512
        if "drums" in song.tracks:
            assert "no drums" not in caption and "without drums" not in caption
        assert bool(lyrics_of(song)) == ("vocals" in song.tracks)
