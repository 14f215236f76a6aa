"""The evaluation's estimators say what is so on sounds whose truth is known."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from mini.composer import draw_song, render
from mini.composer.kit import RATE
from mini.composer.song import TRACKS
from mini.evaluation import hearing, scores
from mini.evaluation.instruments import features, presence, trained
from mini.evaluation.metre import metre
from mini.evaluation.table import NOT_OFFERED, Row, Section, report, skipped
from mini.examples import EXAMPLES, WIDTH, spectrogram

Audio = NDArray[np.float32]


def tones(*notes: int, seconds: float = 4.0) -> Audio:
    """A stereo chord of MIDI notes."""
    moments = np.arange(int(seconds * RATE)) / RATE
    sound = sum(np.sin(2 * np.pi * 440 * 2 ** ((note - 69) / 12) * moments) for note in notes)
    return np.tile(0.1 * sound, (2, 1)).astype(np.float32)


def clicks(places: list[float], levels: list[float], seconds: float = 12.0) -> Audio:
    """Short bursts of noise at moments in seconds."""
    rng, audio = np.random.default_rng(0), np.zeros((2, int(seconds * RATE)), np.float32)
    burst = rng.standard_normal(800) * np.exp(-np.arange(800) / 150)
    for place, level in zip(places, levels, strict=True):
        first = int(place * RATE)
        part = audio[:, first : first + 800]
        part += (0.3 * level * burst[: part.shape[1]]).astype(np.float32)
    return audio


def counted(beats: int, bpm: float, parts: int = 1) -> Audio:
    """A metronome with a heavy first beat, each beat split in `parts` softer ticks."""
    beat = 60 / bpm
    number = int(12 / beat * parts) - 1
    levels = [1.0 if tick % (beats * parts) == 0 else 0.4 if tick % parts == 0 else 0.2 for tick in range(number)]
    return clicks([tick * beat / parts for tick in range(number)], levels)


def test_area_under_the_curve() -> None:
    assert scores.auc([3, 2, 1, 0], [True, True, False, False]) == 1.0
    assert scores.auc([0, 1, 2, 3], [True, True, False, False]) == 0.0
    assert scores.auc([1, 1, 1], [True, False, False]) == 0.5
    assert scores.auc([3, 1, 2], [True, True, False]) == 0.5
    assert np.isnan(scores.auc([1, 2], [True, True]))
    assert scores.above([2, 3], [0, 2]) == pytest.approx(0.875)


def test_intervals_hold_the_figure_and_shrink_with_more_pieces() -> None:
    rng = np.random.default_rng(1)
    widths = []
    for count in (20, 400):
        labels = rng.random(count) < 0.5
        values = labels + rng.normal(0, 1, count)
        low, high = scores.interval(lambda rows, v=values, m=labels: scores.auc(v[rows], m[rows]), count)
        assert low < scores.auc(values, labels) < high
        widths.append(high - low)
    assert widths[1] < 0.4 * widths[0]
    low, high = scores.wilson(50, 50)
    assert 0.9 < low < high == pytest.approx(1.0)


def test_cells_read_as_figures() -> None:
    assert scores.share_cell([True] * 8 + [False] * 2) == "80 % (49–94)"
    assert scores.share_cell([]) == scores.NOTHING
    assert scores.auc_cell([1.0, 2.0], [True, True]) == scores.NOTHING
    assert scores.median_cell([2.0, 2.0, 2.0], 1, " dB") == "2.0 dB (2.0–2.0)"
    assert scores.above_cell([2.0, 3.0], [0.0, 1.0]) == "1.00 (1.00–1.00)"
    with pytest.raises(ValueError, match="got 2 and 1"):
        scores.above_cell([1.0, 2.0], [1.0])


def test_the_mean_over_instruments_leaves_out_what_nobody_plays() -> None:
    labels = np.array([[True, False], [False, False], [True, False]])
    values = np.array([[2.0, 0.0], [1.0, 1.0], [3.0, 2.0]])
    assert scores.mean_auc_cell(values, labels).startswith("1.00 ")


def test_the_report_has_every_figure_with_control_and_ceiling() -> None:
    sections = [
        Section(title="Text", about="Ten prompts.", rows=(Row("key exact", "50 %", "2 %", "66 %"),)),
        skipped("Cover: mini"),
    ]
    page = report(sections, "Today.")
    assert "| key exact | 50 % | 2 % | 66 % |" in page
    assert f"| cover: mini | {NOT_OFFERED} | – | – |" in page
    assert page.index("Today.") < page.index("## Text") < page.index("## Cover: mini")


@pytest.mark.parametrize(("beats", "bpm"), [(3, 100), (3, 150), (4, 90), (4, 140), (2, 100)])
def test_bars_are_counted(beats: int, bpm: float) -> None:
    assert metre(counted(beats, bpm), bpm) == beats


def test_six_eight_has_beats_of_three_parts() -> None:
    assert metre(counted(2, 70, parts=3), 70) == 6
    assert metre(counted(4, 90, parts=2), 90) != 6


def test_mel_distance_is_zero_for_the_same_and_counts_decibels() -> None:
    noise = np.random.default_rng(0).normal(0, 0.1, (2, 2 * RATE)).astype(np.float32)
    assert hearing.mel_distance(noise, noise) == 0.0
    assert hearing.mel_distance(noise, 0.5 * noise) == pytest.approx(6.02, abs=0.05)
    assert hearing.mel_distance(noise, tones(60, seconds=2.0)) > 20


def test_onsets_agree_where_hits_do() -> None:
    beat = clicks([0.5 * k for k in range(20)], [1.0] * 20)
    late = clicks([0.5 * k + 0.25 for k in range(20)], [1.0] * 20)
    assert hearing.onset_likeness(beat, 0.3 * beat) > 0.95
    assert hearing.onset_likeness(beat, late) < 0.3


def test_a_common_key_alone_is_no_likeness() -> None:
    up = np.concatenate([tones(note, seconds=0.5) for note in (60, 62, 64, 65, 67, 69, 71, 72)], axis=1)
    down = np.concatenate([tones(note, seconds=0.5) for note in (72, 71, 69, 67, 65, 64, 62, 60)], axis=1)
    assert hearing.chroma_likeness(up, 0.5 * up) > 0.95
    assert hearing.chroma_likeness(up, down) < 0.3


def test_a_chord_leans_to_its_key() -> None:
    chord = tones(60, 64, 67, 72)
    assert hearing.key_lean(chord, (0, False), (6, False)) > 0.5
    assert hearing.key_lean(chord, (6, False), (0, False)) < -0.5


def test_signal_ratio_ignores_loudness_and_counts_noise() -> None:
    rng = np.random.default_rng(0)
    true, noise = rng.normal(0, 1, 50_000), rng.normal(0, 1, 50_000)
    assert hearing.signal_ratio(0.1 * true, true) > 60
    assert hearing.signal_ratio(true + 0.1 * noise, true) == pytest.approx(20, abs=0.3)
    assert hearing.signal_ratio(noise, true) < -20


def test_loudness_tells_the_readers_nothing() -> None:
    latents = np.random.default_rng(0).uniform(-4, -1, (64, 250))
    quiet = latents.copy()
    quiet[:60] -= 0.5
    np.testing.assert_allclose(features(quiet), features(latents), atol=0.05)


def test_readers_hear_who_plays_alone() -> None:
    everybody = replace(draw_song(10_000_005), tracks=TRACKS)
    stems, _ = render(everybody, 10.0)
    said = np.array([trained().scores(stems[track]) for track in TRACKS])
    found = [int(np.sum(said[:, column] > said[row, column])) for row, column in enumerate(range(12))]
    assert np.mean([rank == 0 for rank in found]) >= 0.7, dict(zip(TRACKS, found, strict=True))
    assert max(found) <= 3


def test_readers_hear_drums_in_a_mix() -> None:
    songs = [draw_song(10_000_000 + number) for number in range(14)]
    column = TRACKS.index("drums")
    told = [float(trained().scores(render(song, 10.0)[1])[column]) for song in songs]
    assert scores.auc(told, [presence(song.tracks)[column] for song in songs]) > 0.9


def test_a_spectrogram_shows_a_tone_where_it_is() -> None:
    picture = np.asarray(spectrogram(tones(69), RATE)).sum(-1)
    assert picture.shape == (192, WIDTH)
    brightest = int(picture[:, WIDTH // 2].argmax())
    assert 40 * (11000 / 40) ** (1 - brightest / 191) == pytest.approx(440, rel=0.05)


def test_examples_have_names_and_captions_of_their_own() -> None:
    assert len({example.name for example in EXAMPLES}) == len({example.caption for example in EXAMPLES}) == 3


def test_a_model_without_a_task_is_skipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from mini.evaluation import cover, material, repaint, stems
    from mini.evaluation.material import Setting
    from studio.engine.requests import Task

    class Singer:
        offers = (Task.TEXT2MUSIC,)
        about = "mini"

    for part in (cover, repaint, stems):
        monkeypatch.setattr(part, "player", lambda name, setting: Singer())
    setting = Setting(folder=tmp_path)
    pages = [section.markdown for part in (cover, repaint, stems) for section in part.figures(setting)]
    assert len(pages) == 5
    assert all(NOT_OFFERED in page for page in pages)
    assert material.turned([1, 2, 3], 1) == [2, 3, 1]


def test_each_section_is_printed_before_the_next_is_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from mini import evaluate
    from mini.evaluation.material import Setting

    seen = list[str]()

    def measured(setting: Setting) -> Iterator[Section]:
        yield skipped("First")
        seen.append(capsys.readouterr().out)
        yield skipped("Second")

    monkeypatch.setitem(evaluate.PARTS, "text", measured)
    page = evaluate.evaluate(Setting(folder=tmp_path), ["text"])
    last = capsys.readouterr().out
    assert "## First" in seen[0] and "## Second" not in seen[0]
    assert "## Second" in last and "minutes in all, within the 15" in last
    assert page.index("## First") < page.index("## Second")
