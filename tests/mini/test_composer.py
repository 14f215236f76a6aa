"""The composer's songs are what their facts say, so that a model trained on them can be."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray

from mini.composer import Song, caption_of, draw_song, lyrics_of, render, word_times
from mini.composer.arrange import lead_of
from mini.composer.form import unroll
from mini.composer.harmony import Chart
from mini.composer.instruments import RATE, tone
from mini.composer.kit import KITS, hit
from mini.composer.lyrics import KINDS, RHYMES, SOUNDS
from mini.composer.melody import Tune, sung_line
from mini.composer.song import GENRES, PATCHES, TRACKS
from mini.composer.tempo import CLOCKS, clock_bank, clock_hz, snap
from mini.composer.voice import HUMS, NOISES, SINGERS, VOWELS, sing
from mini.composer.words import INSTRUMENTS
from studio.engine.audio.measure import measure, transient_rate

SONGS = [draw_song(seed) for seed in range(40)]
SUNG = [song for song in SONGS if "vocals" in song.tracks][:4]
EVERYBODY = replace(draw_song(5), tracks=TRACKS)


def band_share(sound: NDArray[np.float32], low: float, high: float) -> float:
    power = np.abs(np.fft.rfft(sound, axis=-1)) ** 2
    hertz = np.fft.rfftfreq(sound.shape[-1], 1 / RATE)
    return float(power[..., (hertz >= low) & (hertz < high)].sum() / power.sum())


def low_energy(drums: NDArray[np.float32], seconds: float) -> float:
    """Energy below 120 Hz in the tenth of a second from a moment."""
    first = int(seconds * RATE)
    stretch = drums.mean(0)[first : first + RATE // 10]
    power = np.abs(np.fft.rfft(stretch)) ** 2
    return float(power[: int(120 * len(stretch) / RATE) + 1].sum())


def test_the_same_seed_gives_the_same_song() -> None:
    assert draw_song(5) == draw_song(5)
    assert np.array_equal(render(draw_song(5), 3.0)[1], render(draw_song(5), 3.0)[1])
    assert not np.array_equal(render(draw_song(5), 3.0)[1], render(replace(draw_song(5), seed=6), 3.0)[1])
    assert word_times(SUNG[0], 20.0) == word_times(SUNG[0], 20.0)


@pytest.mark.parametrize("song", [EVERYBODY, *SONGS[:8]], ids=lambda song: song.genre)
def test_stems_sum_to_the_mix_to_the_last_bit(song: Song) -> None:
    stems, mix = render(song, 10.0)
    assert set(stems) == set(song.tracks)
    assert mix.shape == (2, 10 * RATE)
    assert mix.dtype == np.float32
    for order in (list(stems.values()), list(stems.values())[::-1], sorted(stems.values(), key=np.std)):
        assert np.array_equal(np.sum(order, axis=0, dtype=np.float32), mix)
    first = next(iter(stems))
    assert np.array_equal(mix - stems[first], sum(stems[track] for track in stems if track != first) + 0 * mix)
    assert 0.2 < np.abs(mix).max() <= 0.95


@pytest.mark.parametrize("song", [EVERYBODY, *SONGS[:20]], ids=lambda song: song.genre)
def test_whoever_is_named_plays_within_ten_seconds(song: Song) -> None:
    stems, _ = render(song, 10.0)
    assert {track for track, stem in stems.items() if np.abs(stem).max() > 0.01} == set(song.tracks)


def test_drawn_songs_cover_what_the_product_offers() -> None:
    songs = [draw_song(seed) for seed in range(2000)]
    assert {song.genre for song in songs} == set(GENRES)
    assert {song.metre for song in songs} == {2, 3, 4, 6}
    assert {track for song in songs for track in song.tracks} == set(TRACKS)
    assert len({song.key_scale for song in songs}) == 24
    assert {song.bpm for song in songs if song.states_bpm} == set(range(60, 181))
    assert {section.name for song in songs for section in song.sections} == {
        "Intro",
        "Verse",
        "Chorus",
        "Bridge",
        "Outro",
    }


def test_every_track_of_the_product_belongs_to_some_genre() -> None:
    assert len(GENRES) >= 8
    assert {track for genre in GENRES.values() for track in (*genre.core, *genre.extra)} == set(TRACKS)
    assert set(INSTRUMENTS) == set(TRACKS)


def test_drawing_a_song_needs_no_torch() -> None:
    script = "import sys; from mini.composer import draw_song; draw_song(1); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


def test_leaving_a_track_out_changes_no_other() -> None:
    whole, _ = render(EVERYBODY, 6.0)
    without, _ = render(replace(EVERYBODY, tracks=TRACKS[1:]), 6.0)
    assert "drums" not in without
    for track in ("bass", "vocals", "guitar"):
        ratio = np.abs(without[track]).max() / np.abs(whole[track]).max()
        np.testing.assert_allclose(without[track], ratio * whole[track], atol=1e-4)


def test_a_song_without_drums_has_fewer_hits() -> None:
    songs = [song for song in SONGS if "drums" in song.tracks and len(song.tracks) > 2][:10]
    more = []
    for song in songs:
        bare = replace(song, tracks=tuple(track for track in song.tracks if track != "drums"))
        more.append(transient_rate(render(song, 8.0)[1], RATE) > transient_rate(render(bare, 8.0)[1], RATE))
    assert np.mean(more) >= 0.8


@pytest.mark.parametrize("kit", range(KITS))
def test_drums_keep_to_their_bands(kit: int) -> None:
    assert band_share(hit("kick", kit), 20, 120) > 0.85
    for name in ("snare", "clap"):
        assert band_share(hit(name, kit), 1000, 6500) > 0.6
    for name in ("hat", "open", "ride"):
        assert band_share(hit(name, kit), 6000, 12000) > 0.9


@pytest.mark.parametrize("metre", [2, 3, 4, 6])
def test_the_first_beat_of_a_bar_is_the_heaviest(metre: int) -> None:
    song = replace(draw_song(5), metre=metre, genre="rock", tracks=("drums", "bass", "guitar"), bpm=120)
    drums = render(song, 12.0)[0]["drums"]
    beat = 60 / song.played_bpm
    bars = int(12 / song.bar_seconds) - 1
    energies = [
        np.mean([low_energy(drums, (bar * song.beats + place) * beat) for bar in range(bars)])
        for place in range(song.beats)
    ]
    weak = energies[1::2] if metre == 4 else energies[1:]
    assert energies[0] >= 0.9 * max(energies)
    assert energies[0] > 2 * max(weak)


def test_six_eight_is_counted_in_threes() -> None:
    song = replace(draw_song(5), metre=6, genre="rock", tracks=("drums", "bass"), bpm=70)
    drums, beat = render(song, 12.0)[0]["drums"], 60 / song.played_bpm
    places = np.arange(1, 12)

    def level(offset: float) -> float:
        starts = ((places + offset) * beat * RATE).astype(int)
        return float(np.mean([np.square(drums[:, start : start + 700]).sum() for start in starts]))

    assert level(1 / 3) > 3 * level(1 / 2)


def test_songs_begin_at_once_and_keep_the_grid() -> None:
    song = replace(draw_song(5), genre="electronic", metre=4, tracks=("drums", "synth"), bpm=120)
    stems, mix = render(song, 16.0)
    assert np.abs(mix[:, :480]).max() > 0.01
    low = np.cumsum(np.square(stems["drums"].mean(0)))
    beat = 60 / song.played_bpm
    late = []
    for number in range(1, 28):  # a kick on every beat: where its energy begins to rise
        first = int((number * beat - 0.03) * RATE)
        rise = low[first : first + int(0.06 * RATE)] - low[first]
        late.append(float(np.argmax(rise > 0.05 * rise[-1])) / RATE - 0.03)
    assert np.abs(np.median(late)) < 0.006
    assert np.percentile(np.abs(late), 90) < 0.016


@pytest.mark.parametrize("song", SUNG, ids=lambda song: song.genre)
def test_words_are_sung_when_they_are_said_to_be(song: Song) -> None:
    seconds = 20.0
    vocals = np.abs(render(song, seconds)[0]["vocals"]).max(0)
    words = word_times(song, seconds)
    loud = float(np.percentile(vocals, 99))
    silent = np.ones(len(vocals), bool)
    for word, following in zip(words, [*words[1:], None], strict=True):
        assert 0 <= word.start < word.end <= seconds
        assert following is None or word.end <= following.start + 1e-9
        inside = vocals[int(word.start * RATE) : int(word.end * RATE)]
        assert inside.max() > 0.1 * loud, word
        silent[max(0, int((word.start - 0.02) * RATE)) : int((word.end + 0.25) * RATE)] = False
    assert len(words) > 10
    assert vocals[silent].max(initial=0.0) < 0.08 * loud


@pytest.mark.parametrize("song", SUNG, ids=lambda song: song.genre)
def test_the_words_sung_are_the_lyrics(song: Song) -> None:
    whole = song.sections[-1].end * song.bar_seconds
    written = [line for line in lyrics_of(song).splitlines() if line and not line.startswith("[")]
    sung = " ".join("I" if word.word == "i" else word.word for word in word_times(song, whole - 0.01))
    assert sung == " ".join(written)
    assert lyrics_of(song).startswith(lyrics_of(song, 12.0))
    assert len(lyrics_of(song, 12.0)) < len(lyrics_of(song))


def test_tags_follow_the_sections() -> None:
    for song in SONGS:
        tags = [line[1:-1] for line in lyrics_of(song).splitlines() if line.startswith("[")]
        assert tags == ([section.name for section in song.sections] if "vocals" in song.tracks else [])
        choruses = [part for part in lyrics_of(song).split("\n\n") if part.startswith("[Chorus]")]
        assert len(set(choruses)) <= 1


def test_sections_fill_any_length_without_a_gap() -> None:
    for song in SONGS[:10]:
        sections = list(unroll(song.sections, 300))
        assert sections[0].start == 0
        assert all(one.end == two.start for one, two in pairwise(sections))
        assert sections[-1].end >= 300


def test_a_chorus_is_louder_than_the_verse() -> None:
    song = replace(draw_song(5), tracks=("drums", "bass", "guitar", "vocals", "backing_vocals"), seed=5)
    chart = Chart(song, 60.0)
    mix = render(song, 60.0)[1]
    level: dict[str, list[float]] = {}
    for section in chart.sections:
        first, last = (int(bar * song.bar_seconds * RATE) for bar in (section.start, section.end))
        if last <= mix.shape[1]:
            level.setdefault(section.name, []).append(float(np.sqrt(np.mean(mix[:, first:last] ** 2))))
    assert np.mean(level["Chorus"]) > 1.05 * np.mean(level["Verse"])


def test_every_patch_speaks_in_tune() -> None:
    for instrument in ("bass", "keyboard", "guitar", "strings", "synth", "brass", "woodwinds"):
        for patch in PATCHES[instrument]:
            note = 45 if instrument == "bass" else 69
            sound = tone(instrument, patch, note)[: RATE // 2]
            power = np.abs(np.fft.rfft(sound * np.hanning(len(sound)), 1 << 17)) ** 2
            hertz = 440 * 2 ** ((note - 69) / 12)
            bins = np.arange(len(power)) * RATE / (1 << 17)
            near = np.abs(bins - hertz) < 12
            assert bins[near][np.argmax(power[near])] == pytest.approx(hertz, rel=0.012), (instrument, patch)


def test_every_sung_note_is_in_the_key() -> None:
    for song in SUNG:
        chart = Chart(song, 60.0)
        allowed = {(song.tonic + step) % 12 for step in chart.scale} | (
            {(song.tonic + 11) % 12} if song.minor else set()
        )
        notes = [item.pitch for item in sung_line(chart)]
        assert {note % 12 for note in notes} <= allowed
        assert max(notes) - min(notes) <= 17


def test_a_verse_comes_back_with_its_tune() -> None:
    """Rhythm and contour of the first line of two verses agree as far as their syllables do."""
    song = next(song for song in SUNG if [section.name for section in song.sections].count("Verse") > 1)
    verses = [section for section in song.sections if section.name == "Verse"][:2]
    tunes = [Tune(Chart(song, 60.0), verse, 60) for verse in verses]
    assert tunes[0].order == tunes[1].order
    assert tunes[0].heights == tunes[1].heights
    chorus = next(section for section in song.sections if section.name == "Chorus")
    assert Tune(Chart(song, 60.0), chorus, 60).heights != tunes[0].heights


def test_vowels_have_their_formants() -> None:
    """The second formant tells "ee" from "ah" from "oo": high, middle, low."""
    share = {}
    for vowel in "iau":
        sound = sing(vowel, 50, 1.0, SINGERS["male"])[RATE // 5 : -RATE // 5]
        share[vowel] = [band_share(sound, low, high) for low, high in ((150, 450), (600, 1300), (1900, 3200))]
    assert share["a"][1] > 2 * max(share["i"][1], share["u"][1])
    assert share["i"][2] > 3 * max(share["a"][2], share["u"][2])
    assert min(share["i"][0], share["u"][0]) > 2 * share["a"][0]


def test_consonants_hiss_before_the_vowel() -> None:
    sound = sing("si", 60, 0.6, SINGERS["female"])
    assert band_share(sound[: RATE // 16], 4500, 11000) > 0.5
    assert band_share(sound[RATE // 5 : RATE // 2], 4500, 11000) < 0.1


def test_every_word_can_be_sung() -> None:
    for text in {
        *SOUNDS,
        *(word for words in RHYMES for word in words),
        *(word for words in KINDS.values() for word in words),
    }:
        for syllable in SOUNDS[text].split("-"):
            assert len([sound for sound in syllable if sound in VOWELS]) >= 1, text
            assert set(syllable) <= VOWELS | HUMS | set(NOISES), text


@pytest.mark.parametrize("seconds", [0.02, 0.5, 70.0])
def test_any_length_can_be_played(seconds: float) -> None:
    stems, mix = render(EVERYBODY, seconds)
    assert mix.shape == (2, int(seconds * RATE))
    assert np.isfinite(mix).all()
    assert set(stems) == set(TRACKS)


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
    songs = [song for song in SONGS if "drums" in song.tracks][:10]
    heard = [measure(render(song, 10.0)[1], RATE) for song in songs]
    tempos = [h.tempo is not None and h.tempo.agrees(s.played_bpm) for h, s in zip(heard, songs, strict=True)]
    keys = [h.key is not None and h.key.agrees(s.key_scale) for h, s in zip(heard, songs, strict=True)]
    assert sum(tempos) >= 8
    assert sum(keys) >= 7


def test_captions_say_what_is_there_and_nothing_else() -> None:
    rng = np.random.default_rng(0)
    for song in SONGS:
        for _ in range(20):
            caption = caption_of(song, rng).lower()
            assert 5 < len(caption) < 512
            for track in song.tracks:
                assert f"no {track}" not in caption
                assert f"without {track}" not in caption
            if "drums" in song.tracks:
                assert "drumless" not in caption
            if "vocals" in song.tracks:
                assert "instrumental" not in caption
        assert bool(lyrics_of(song)) == ("vocals" in song.tracks)


def test_one_song_can_be_described_in_hundreds_of_ways() -> None:
    rng = np.random.default_rng(0)
    assert len({caption_of(SONGS[0], rng) for _ in range(1000)}) > 900


def test_somebody_has_the_tune() -> None:
    assert lead_of(replace(EVERYBODY, tracks=("bass", "vocals"))) == "vocals"
    assert lead_of(replace(EVERYBODY, tracks=("drums", "bass", "brass", "keyboard"))) == "brass"
    assert lead_of(replace(EVERYBODY, tracks=("guitar",))) == ""
