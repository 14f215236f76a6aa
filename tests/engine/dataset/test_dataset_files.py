from __future__ import annotations

import json
import random
from pathlib import Path

import numpy as np
import pytest
import soundfile

from studio.config import load_settings
from studio.engine.dataset.files import load_dataset, save_dataset
from studio.engine.dataset.roots import inside
from studio.engine.dataset.samples import INSTRUMENTAL, Dataset, Sample, TagPosition, genre_picks
from studio.engine.dataset.scan import scan
from studio.engine.dataset.sidecars import foreign_facts
from studio.errors import InvalidRequest, NotFound


def song(path: Path, seconds: float = 2.6) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, np.full((int(2000 * seconds), 2), 0.1, np.float32), 2000)
    return path


ORIGINAL = {
    "metadata": {
        "name": "harbour",
        "custom_tag": "hrbr",
        "tag_position": "append",
        "created_at": "2026-03-02T10:15:00.000000",
        "num_samples": 1,
        "all_instrumental": False,
        "genre_ratio": 25,
        "curator": "me",
    },
    "samples": [
        {
            "id": "5c1e09af",
            "audio_path": "/music/01_tide.flac",
            "filename": "01_tide.flac",
            "caption": "slow ballad, Gitarre über Möwen",
            "genre": "folk, acoustic",
            "lyrics": "[Verse]\nGrey boats",
            "raw_lyrics": "[Verse]\nGrey boats",
            "formatted_lyrics": "",
            "bpm": 72,
            "keyscale": "D major",
            "timesignature": "3",
            "duration": 201,
            "language": "en",
            "is_instrumental": False,
            "custom_tag": "hrbr",
            "labeled": True,
            "prompt_override": None,
            "repeat": 3,
        }
    ],
    "tool": {"version": 2},
}


def test_a_file_of_the_original_comes_back_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "in.json").write_text(json.dumps(ORIGINAL), encoding="utf-8")
    saved = save_dataset(tmp_path / "out", load_dataset(tmp_path / "in.json"))
    again = json.loads(saved.read_text(encoding="utf-8"))
    assert saved.name == "out.json"
    assert again.pop("metadata") | {"created_at": ""} == ORIGINAL["metadata"] | {"created_at": ""}
    assert again == {key: ORIGINAL[key] for key in ("samples", "tool")}
    assert list(again["samples"][0]) == list(ORIGINAL["samples"][0])
    assert "Möwen" in saved.read_text(encoding="utf-8")


def test_a_bare_list_with_relative_audio_is_read_beside_its_file(tmp_path: Path) -> None:
    (tmp_path / "list.json").write_text(json.dumps([{"audio_path": "a.wav"}]))
    (only,) = load_dataset(tmp_path / "list.json").samples
    assert (only.audio_path, only.filename, only.lyrics) == (str(tmp_path / "a.wav"), "a.wav", INSTRUMENTAL)


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ({"audio_path": "a.wav", "bpm": "fast"}, r"samples\[0\].bpm must be a number, got 'fast'"),
        ({"audio_path": ""}, r"samples\[0\].audio_path must not be empty"),
        ({"audio_path": "a.wav", "id": "../x"}, r"samples\[0\].id must be usable as a file name"),
        ({"audio_path": "a.wav", "labeled": "yes"}, r"samples\[0\].labeled must be true or false"),
        ({"audio_path": "a.wav", "prompt_override": "x"}, r"samples\[0\].prompt_override"),
    ],
)
def test_a_wrong_value_is_named(tmp_path: Path, row: dict[str, object], says: str) -> None:
    (tmp_path / "x.json").write_text(json.dumps([row]))
    with pytest.raises(InvalidRequest, match=says):
        load_dataset(tmp_path / "x.json")


def test_no_file_and_no_json_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        load_dataset(tmp_path / "none.json")
    (tmp_path / "cut.json").write_text("{")
    with pytest.raises(InvalidRequest, match="be a JSON file"):
        load_dataset(tmp_path / "cut.json")


@pytest.mark.parametrize(
    ("position", "tag", "text", "read"),
    [
        ("prepend", "t", "c", "t, c"),
        ("append", "t", "c", "c, t"),
        ("replace", "t", "c", "t"),
        ("prepend", "t", "", "t"),
        ("append", "", "c", "c"),
        ("replace", "", "c", "c"),
    ],
)
def test_a_tag_stands_where_it_should(position: str, tag: str, text: str, read: str) -> None:
    assert TagPosition(position).combine(tag, text) == read


def test_genre_picks_are_the_originals() -> None:
    for count in range(1, 51):
        for ratio in (0, 1, 33, 50, 100):
            random.seed(42)
            places = list(range(count))
            random.shuffle(places)
            assert genre_picks(count, ratio) == set(places[: int(count * ratio / 100)])


def test_an_override_wins_and_an_empty_genre_gives_way() -> None:
    def one(number: int, **more: object) -> Sample:
        return Sample(id=str(number), audio_path="a", caption="c", labeled=True, **more)  # type: ignore[arg-type]

    samples = (one(1, genre="g"), one(2, genre="g", prompt_override="caption"), one(3), one(4, custom_tag="t"))
    assert Dataset(samples=samples, genre_ratio=100).captions() == {"1": "g", "2": "c", "3": "c", "4": "t, c"}


def test_a_folder_becomes_a_dataset(tmp_path: Path) -> None:
    song(tmp_path / "b.wav")
    song(tmp_path / "sub" / "a.FLAC".lower())
    (tmp_path / "broken.wav").write_bytes(b"RIFF....")
    (tmp_path / "b.caption.txt").write_text("from text")
    (tmp_path / "b.json").write_text(json.dumps({"caption": "from json", "bpm": 100, "keyscale": "C major"}))
    (tmp_path / "b.lyrics.txt").write_text("la la")
    (tmp_path / "b.txt").write_text("other words")
    (tmp_path / "keys.csv").write_text("\ufeffFile;Artist;BPM;Key\nb.wav;me;121.9;A minor\n", encoding="utf-8")
    result = scan(tmp_path)
    first, second = result.dataset.samples
    assert (first.caption, first.bpm, first.keyscale, first.lyrics) == ("from json", 121, "A minor", "la la")
    assert (first.labeled, first.is_instrumental, first.duration) == (True, False, 2)
    assert (second.filename, second.labeled, second.lyrics) == ("a.flac", False, INSTRUMENTAL)
    assert result.used == {"caption": 1, "lyrics": 1, "json": 1, "csv": 1}
    (fault,) = result.faults
    assert "broken.wav" in fault


def test_scanning_again_keeps_ids_and_what_a_person_wrote(tmp_path: Path) -> None:
    song(tmp_path / "a.wav")
    (tmp_path / "a.json").write_text(json.dumps({"caption": "sidecar", "bpm": 90, "keyscale": "C major"}))
    first = scan(tmp_path).dataset
    assert scan(tmp_path).dataset.samples[0].id == first.samples[0].id
    mine = Sample(id="mine", audio_path=str(tmp_path / "a.wav"), caption="my own", bpm=91, labeled=True)
    (again,) = scan(tmp_path, Dataset(samples=(mine,))).dataset.samples
    assert (again.id, again.caption, again.bpm, again.keyscale) == ("mine", "my own", 91, "C major")


def test_scanning_again_loses_no_song_that_is_elsewhere_gone_or_broken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "songs").mkdir()
    song(tmp_path / "songs" / "a.wav")
    song(tmp_path / "elsewhere.wav")
    (tmp_path / "songs" / "broken.wav").write_bytes(b"no sound")
    paths = {"gone": "songs/gone.wav", "broken": "songs/broken.wav", "elsewhere": "elsewhere.wav"}
    samples = [Sample(id=id, audio_path=str(tmp_path / path), caption=id) for id, path in paths.items()]
    monkeypatch.chdir(tmp_path)
    again = scan(Path("songs"), Dataset(samples=tuple(samples)))  # a relative folder, as one types it
    assert {sample.id: sample.caption for sample in again.dataset.samples if sample.id in paths} == {
        name: name for name in paths
    }
    assert len(again.dataset.samples) == 4
    assert ["broken.wav" in fault or "kept" in fault for fault in again.faults] == [True, True]


def test_foreign_sidecars_are_recognised_and_lyrics_are_not_taken_for_one() -> None:
    lines = foreign_facts("caption: soft piano\ntempo: 92\nis_instrumental: false\nlyrics:\n[Verse]\nOne: two\n")
    assert lines == {"caption": "soft piano", "bpm": "92", "is_instrumental": "false", "lyrics": "[Verse]\nOne: two"}
    tagged = foreign_facts("<CAPTION>soft</CAPTION>\n<LYRICS>\nla\n</LYRICS><BPM>80</BPM>")
    assert tagged == {"caption": "soft", "lyrics": "la", "bpm": "80"}
    assert foreign_facts("[Verse]\nKey: a word in a song\n") is None
    assert foreign_facts("key: of my heart\nis lost") is None


def test_a_folder_without_songs_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match="hold audio files"):
        scan(tmp_path)
    with pytest.raises(NotFound):
        scan(tmp_path / "none")


def test_more_roots_are_named_in_the_environment(tmp_path: Path) -> None:
    settings = load_settings({"STUDIO_DATASET_ROOTS": f"{tmp_path / 'a'}:{tmp_path / 'b'}"}, data_dir=tmp_path)
    assert settings.training_roots == tuple(tmp_path / name for name in ("datasets", "lora_output", "a", "b"))
    with pytest.raises(InvalidRequest, match="dataset_roots"):
        load_settings({}, dataset_roots=[3])


def test_paths_stay_below_the_roots(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "way").symlink_to(tmp_path)
    assert inside([tmp_path / "in"], "songs", "folder") == tmp_path / "in" / "songs"
    assert inside([tmp_path / "a", tmp_path / "in"], "./in/songs", "folder") == tmp_path / "in" / "songs"
    for outside in ("../x", "in/../../x", str(tmp_path / "inner"), "way/x", "/etc"):
        with pytest.raises(InvalidRequest, match=r"folder must be below .*STUDIO_DATASET_ROOTS"):
            inside([tmp_path / "in"], outside, "folder")
