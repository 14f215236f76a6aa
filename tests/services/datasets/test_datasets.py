"""Working datasets: opened, changed by several at once, saved, uploaded, and given to the worker."""

from __future__ import annotations

import io
import json
import stat
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

from studio.config import Settings
from studio.engine.dataset.labelling import Labelling, Skip
from studio.engine.dataset.preparation import Preparation, Prepared, Progress
from studio.engine.dataset.samples import Dataset
from studio.engine.run import Phase, Run
from studio.errors import AudioError, Conflict, InvalidRequest, LinkExpired, ModelNotReady, NotFound
from studio.services import Studio, open_studio
from studio.services.datasets.views import DatasetView
from studio.services.views import JobState, LmView
from tests.jobs.fakes import FakeEngine, Garage
from tests.jobs.writers import Desk
from tests.services.conftest import FORM, finish, until

RATE = 8000


class Listener(FakeEngine):
    """Hears 7 in every song but those called broken; makes empty tensor files."""

    def __init__(self) -> None:
        super().__init__()
        self.go = threading.Event()
        self.go.set()
        self.heard: list[str] = []

    def to_codes(self, source: Path, run: Run, *, cut: bool = False) -> tuple[int, ...]:
        while not self.go.wait(0.02):
            run.step(Phase.PREPARING, 0, 1)
        self.heard.append(source.name)
        if source.name.startswith("broken"):
            raise AudioError("it is broken")
        return (77, 7, 7)

    def prepare_songs(self, dataset: Dataset, folder: Path, how: Preparation, progress: Progress) -> Prepared:
        folder.mkdir(parents=True)
        for done, sample in enumerate(dataset.labeled):
            progress(done, len(dataset.labeled), sample.filename)
            (folder / f"{sample.id}.pt").write_bytes(b"")
        return Prepared(written=len(dataset.labeled), skipped=0, faults=("a.wav: no",))


def write_song(path: Path, pitch: float = 220.0, seconds: float = 2.0, level: float = 0.3) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, level * np.sin(2 * np.pi * pitch * np.arange(int(RATE * seconds)) / RATE), RATE)


@pytest.fixture
def songs(settings: Settings) -> Path:
    folder = settings.data_dir / "datasets" / "songs"
    for pitch, name in ((220, "a"), (330, "b"), (440, "c")):
        write_song(folder / f"{name}.wav", pitch)
    (folder / "a.lyrics.txt").write_text("[Verse]\nla la")
    (folder / "keys.csv").write_text("File,BPM,Key\nb.wav,93,A minor\n")
    return folder


@pytest.fixture
def listener() -> Listener:
    return Listener()


@pytest.fixture
def labelling(settings: Settings, listener: Listener, monkeypatch: pytest.MonkeyPatch) -> Iterator[Studio]:
    """A studio whose worker has both models."""
    found = [LmView(name="lm-b")]
    monkeypatch.setattr("studio.services.models.Models.language_models", lambda models: found)
    studio = open_studio(settings, engine_factory=Garage(listener), lm_factory=Desk())
    studio.start_worker()
    until(lambda: studio.status().ready)
    assert finish(studio, studio.generation.initialize("fake", init_llm=True)).error == ""
    yield studio
    listener.go.set()
    studio.close()


def scan(studio: Studio, folder: str = "datasets/songs") -> DatasetView:
    return studio.datasets.get(studio.datasets.opening.scan(folder, None).dataset_id)


def test_scanning_again_keeps_what_was_written(idle: Studio, songs: Path) -> None:
    view = scan(idle)
    first = view.dataset.samples[0]
    idle.datasets.edit(view.id, {first.id: {"caption": "mine"}}, {first.id: first})
    write_song(songs / "d.wav", 550)
    again = idle.datasets.opening.scan(str(songs), view.id)
    assert (again.dataset_id, again.songs) == (view.id, 4)
    assert idle.datasets.get(view.id).dataset.samples[0].caption == "mine"
    assert len(idle.datasets.all()) == 1


def test_two_people_do_not_overwrite_each_other(idle: Studio, songs: Path) -> None:
    view = scan(idle)
    first, second, _ = view.dataset.samples
    seen = {first.id: first, second.id: second}
    idle.datasets.edit(view.id, {first.id: {"caption": "theirs"}}, seen)
    with pytest.raises(Conflict, match=r"a\.wav was changed"):
        idle.datasets.edit(view.id, {first.id: {"caption": "mine"}, second.id: {"caption": "also"}}, seen)
    samples = idle.datasets.get(view.id).dataset.samples
    assert [sample.caption for sample in samples] == ["theirs", "", ""]
    idle.datasets.edit(view.id, {second.id: {"caption": "also"}}, seen)
    idle.datasets.configure(view.id, {"genre_ratio": 20}, view.dataset)
    with pytest.raises(Conflict, match="genre_ratio"):
        idle.datasets.configure(view.id, {"genre_ratio": 30}, view.dataset)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"bpm": 20}, "bpm must be from 30 to 300"),
        ({"keyscale": "H dur"}, "key_scale must be a key"),
        ({"timesignature": "5"}, "timesignature must be one of"),
        ({"language": "klingon"}, "language must be one of"),
        ({"audio_path": "/etc/passwd"}, "field must be one of"),
        ({"caption": "x" * 600}, "caption must be shorter"),
    ],
)
def test_a_broken_value_stores_nothing(idle: Studio, songs: Path, values: dict[str, object], message: str) -> None:
    view = scan(idle)
    first, second, _ = view.dataset.samples
    with pytest.raises(InvalidRequest, match=message):
        idle.datasets.edit(
            view.id, {second.id: {"caption": "fine"}, first.id: values}, {first.id: first, second.id: second}
        )
    assert idle.datasets.get(view.id).revision == view.revision


def test_a_file_is_not_replaced_unasked(idle: Studio, songs: Path) -> None:
    view = scan(idle)
    saved = idle.datasets.save(view.id, "./datasets/deep/mine")
    assert saved == songs.parent / "deep" / "mine.json"
    assert not idle.datasets.get(view.id).unsaved
    idle.datasets.save(view.id, str(saved))  # its own file
    saved.write_text(saved.read_text().replace("my_lora_dataset", "theirs"))
    with pytest.raises(InvalidRequest, match="another one is there"):
        idle.datasets.save(view.id, str(saved))
    idle.datasets.save(view.id, str(saved), over=True)
    assert json.loads(saved.read_text())["metadata"]["name"] == "my_lora_dataset"


def test_loading_keeps_changes_that_were_never_saved(idle: Studio, songs: Path) -> None:
    view = scan(idle)
    path = str(idle.datasets.save(view.id, "datasets/mine.json"))
    assert idle.datasets.opening.load(path) == view.id  # nothing to lose
    fresh = idle.datasets.get(view.id).dataset
    idle.datasets.configure(view.id, {"custom_tag": "tag"}, fresh)
    other = idle.datasets.opening.load("./datasets/mine.json")
    assert other != view.id
    assert idle.datasets.get(view.id).dataset.custom_tag == "tag"
    assert idle.datasets.get(other).dataset.custom_tag == ""


def test_songs_outside_the_roots_are_not_opened(idle: Studio, songs: Path, tmp_path: Path) -> None:
    write_song(tmp_path / "secret.wav")
    (songs.parent / "sly.json").write_text(json.dumps([{"audio_path": str(tmp_path / "secret.wav")}]))
    with pytest.raises(InvalidRequest, match="STUDIO_DATASET_ROOTS"):
        idle.datasets.opening.load("datasets/sly.json")
    with pytest.raises(InvalidRequest, match="STUDIO_DATASET_ROOTS"):
        idle.datasets.opening.scan(str(tmp_path), None)
    with pytest.raises(InvalidRequest, match="STUDIO_DATASET_ROOTS"):
        idle.datasets.save(scan(idle).id, str(tmp_path / "x.json"))


def test_a_link_leads_to_the_song_and_to_nothing_else(idle: Studio, songs: Path, tmp_path: Path) -> None:
    view = scan(idle)
    token = idle.datasets.link(view.id, view.dataset.samples[0].id).rpartition("/")[2]
    assert idle.datasets.resolve(token).path == songs / "a.wav"
    with pytest.raises(LinkExpired):
        idle.datasets.resolve("x" + token)
    write_song(tmp_path / "secret.wav")
    (songs / "a.wav").unlink()
    (songs / "a.wav").symlink_to(tmp_path / "secret.wav")
    with pytest.raises(NotFound):
        idle.datasets.resolve(token)


def zipped(**files: bytes) -> io.BytesIO:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    packed.seek(0)
    return packed


def test_a_zip_lands_in_a_folder_of_ones_own(idle: Studio, settings: Settings, songs: Path) -> None:
    song = (songs / "a.wav").read_bytes()
    content = zipped(**{"album/x.wav": song, "album/x.txt": b"la", "album/cover.png": b"png", "__MACOSX/._x.wav": b""})
    arrived = idle.datasets.opening.upload("mine", [("album.zip", content), ("y.wav", io.BytesIO(song))])
    assert (arrived.songs, sorted(arrived.left_out)) == (2, ["__MACOSX/._x.wav", "album/cover.png"])
    folder = Path(arrived.folder)
    assert folder.parent.parent == settings.data_dir / "datasets" / "uploads"
    assert {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()} == {
        "album/x.wav",
        "album/x.txt",
        "y.wav",
    }
    found = idle.datasets.opening.scan(arrived.folder, None)
    assert (found.songs, found.used["lyrics"]) == (2, 1)
    with pytest.raises(InvalidRequest, match="another file of a name"):
        idle.datasets.opening.upload("mine", [("y.wav", io.BytesIO(song + b"more"))])


@pytest.mark.parametrize("name", ["../out.wav", "/abs.wav", "a/../../out.wav", "..\\out.wav", "c:out.wav"])
def test_a_zip_can_not_lead_out(idle: Studio, settings: Settings, name: str) -> None:
    with pytest.raises(InvalidRequest, match="paths inside its own folder"):
        idle.datasets.opening.upload("mine", [("a.zip", zipped(**{"good.wav": b"1", name: b"2"}))])
    assert not list((settings.data_dir / "datasets").rglob("*.wav"))


def test_a_zip_may_hold_no_links_and_not_too_much(idle: Studio, songs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        info = zipfile.ZipInfo("link.wav")
        info.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(info, "/etc/passwd")
    with pytest.raises(InvalidRequest, match="hold no links"):
        idle.datasets.opening.upload("mine", [("a.zip", packed)])
    monkeypatch.setattr("studio.services.datasets.uploading.MOST_BYTES", 1000)
    with pytest.raises(InvalidRequest, match="MiB"):
        idle.datasets.opening.upload("mine", [("a.zip", zipped(**{"big.wav": bytes(5000)}))])
    monkeypatch.setattr("studio.services.datasets.uploading.MOST_FILES", 1)
    with pytest.raises(InvalidRequest, match="at most 1 files"):
        idle.datasets.opening.upload("mine", [("a.zip", zipped(**{"a.wav": b"1", "b.wav": b"1"}))])
    with pytest.raises(InvalidRequest, match="zip that can be read"):
        idle.datasets.opening.upload("mine", [("a.zip", io.BytesIO(b"no zip"))])
    with pytest.raises(InvalidRequest, match="plain folder name"):
        idle.datasets.opening.upload("../mine", [("a.wav", io.BytesIO(b""))])


def test_labelling_keeps_what_people_said(labelling: Studio, songs: Path) -> None:
    write_song(songs / "broken.wav")
    view = scan(labelling)
    job = labelling.datasets.tasks.label(view.id, Labelling())
    assert job is not None and finish(labelling, job).state == JobState.DONE
    after = labelling.datasets.get(view.id)
    a, b, broken, c = after.dataset.samples
    assert [sample.caption for sample in (a, b, c)] == ["heard"] * 3
    assert (a.bpm, b.bpm, b.keyscale) == (77, 93, "A minor")
    assert (a.lyrics, b.lyrics, a.labeled) == ("[Verse]\nla la", "[Instrumental]", True)
    assert (broken.caption, broken.labeled) == ("", False)
    report = after.labelling
    assert report is not None
    assert (report.wanted, report.done, dict(report.faults)) == (4, 3, {"broken.wav": "it is broken"})
    labelling.datasets.edit(view.id, {c.id: {"caption": "my words"}}, {c.id: c})
    job = labelling.datasets.tasks.label(view.id, Labelling())
    assert job is not None
    finish(labelling, job)
    assert [one.caption for one in labelling.datasets.get(view.id).dataset.samples] == [
        "heard",
        "heard",
        "",
        "my words",
    ]


def test_a_song_that_is_too_long_is_described_by_its_beginning_and_that_is_said(labelling: Studio, songs: Path) -> None:
    write_song(songs / "long.wav", seconds=62)
    view = scan(labelling)
    job = labelling.datasets.tasks.label(view.id, Labelling())
    assert job is not None and finish(labelling, job).state == JobState.DONE
    after = labelling.datasets.get(view.id)
    assert [sample.caption for sample in after.dataset.samples] == ["heard"] * 4
    assert after.labelling is not None and after.labelling.faults == {}
    assert after.labelling.notes == {"long.wav": "described by its first 60 of 62 s; the model takes no more"}


def test_lyrics_are_formatted_or_transcribed_only_when_asked(labelling: Studio, songs: Path) -> None:
    view = scan(labelling)
    job = labelling.datasets.tasks.label(view.id, Labelling(format_lyrics=True))
    assert job is not None
    finish(labelling, job)
    a, b, _ = labelling.datasets.get(view.id).dataset.samples
    assert (a.lyrics, a.raw_lyrics, b.lyrics) == ("[Verse]\nbetter", "[Verse]\nla la", "[Instrumental]")
    with pytest.raises(InvalidRequest, match="transcribe_lyrics must be off"):
        Labelling(format_lyrics=True, transcribe_lyrics=True)


def test_skipping_metas_has_two_meanings(labelling: Studio, songs: Path, listener: Listener) -> None:
    view = scan(labelling)
    job = labelling.datasets.tasks.label(view.id, Labelling(skip=Skip.METAS))
    assert job is not None
    finish(labelling, job)
    a = labelling.datasets.get(view.id).dataset.samples[0]
    assert (a.caption, a.bpm, a.keyscale) == ("heard", None, "")
    listener.heard.clear()
    assert labelling.datasets.tasks.label(view.id, Labelling(skip=Skip.MODEL)) is None
    a, b, _ = labelling.datasets.get(view.id).dataset.samples
    assert (a.caption, a.keyscale, a.timesignature, b.bpm) == ("a", "N/A", "N/A", 93)
    assert listener.heard == []


def test_stopped_labelling_keeps_what_is_done_and_goes_on(
    labelling: Studio, songs: Path, listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    view = scan(labelling)
    until(lambda: not labelling.generation.active())
    third = view.dataset.samples[2]
    to_codes = listener.to_codes

    def hold(source: Path, run: Run, *, cut: bool) -> tuple[int, ...]:
        if source.name == "c.wav":
            listener.go.clear()
        return to_codes(source, run, cut=cut)

    monkeypatch.setattr(listener, "to_codes", hold)
    job = labelling.datasets.tasks.label(view.id, Labelling())
    assert job is not None
    until(lambda: labelling.generation.job(job).detail == "c.wav")
    with pytest.raises(InvalidRequest, match="one job at a time"):
        labelling.datasets.tasks.label(view.id, Labelling())
    labelling.generation.cancel(job)
    assert finish(labelling, job).state == JobState.CANCELLED
    found = labelling.datasets.get(view.id)
    assert [sample.labeled for sample in found.dataset.samples] == [True, True, False]
    assert found.labelling is not None and found.labelling.left == 1
    listener.heard.clear()
    listener.go.set()
    monkeypatch.setattr(listener, "to_codes", to_codes)
    job = labelling.datasets.tasks.label(view.id, Labelling(only_unlabelled=True))
    assert job is not None and finish(labelling, job).state == JobState.DONE
    assert listener.heard == [third.filename]
    with pytest.raises(InvalidRequest, match="every song is labelled"):
        labelling.datasets.tasks.label(view.id, Labelling(only_unlabelled=True))


def test_music_goes_first_and_labelling_goes_on_where_it_was(
    labelling: Studio, songs: Path, listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    view = scan(labelling)
    until(lambda: not labelling.generation.active())
    made: list[str] = []
    to_codes = listener.to_codes

    def ask_for_music(source: Path, run: Run, *, cut: bool) -> tuple[int, ...]:
        if source.name == "b.wav" and not made:
            made.append(labelling.generation.submit(FORM))
            run.step(Phase.PREPARING, 0, 1)
        return to_codes(source, run, cut=cut)

    monkeypatch.setattr(listener, "to_codes", ask_for_music)
    job = labelling.datasets.tasks.label(view.id, Labelling())
    assert job is not None
    assert finish(labelling, job).state == JobState.DONE
    music = labelling.generation.job(made[0])
    ended = labelling.generation.job(job).finished_at
    assert music.finished_at is not None and ended is not None and music.finished_at < ended
    assert listener.heard == ["a.wav", "b.wav", "c.wav"]


def test_an_edit_made_while_the_model_listens_is_kept(
    labelling: Studio, songs: Path, listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    view = scan(labelling)
    first = view.dataset.samples[0]
    to_codes = listener.to_codes

    def edit(source: Path, run: Run, *, cut: bool) -> tuple[int, ...]:
        if source.name == "a.wav":
            labelling.datasets.edit(view.id, {first.id: {"caption": "mine", "bpm": 60}}, {first.id: first})
        return to_codes(source, run, cut=cut)

    monkeypatch.setattr(listener, "to_codes", edit)
    job = labelling.datasets.tasks.label(view.id, Labelling())
    assert job is not None
    finish(labelling, job)
    first = labelling.datasets.get(view.id).dataset.samples[0]
    assert (first.caption, first.bpm) == ("mine", 60)


def test_what_is_missing_for_labelling_is_said(studio: Studio, songs: Path) -> None:
    view = scan(studio)
    with pytest.raises(ModelNotReady, match="Initialize 5Hz LM"):
        studio.datasets.tasks.label(view.id, Labelling())


def test_tensors_are_made_of_labelled_songs(labelling: Studio, songs: Path, settings: Settings) -> None:
    view = scan(labelling)
    with pytest.raises(InvalidRequest, match="hold labelled songs"):
        labelling.datasets.tasks.prepare(view.id, "datasets/tensors", Preparation())
    with pytest.raises(InvalidRequest, match="STUDIO_DATASET_ROOTS"):
        labelling.datasets.tasks.prepare(view.id, "/tmp/tensors", Preparation())
    labelling.datasets.tasks.label(view.id, Labelling(skip=Skip.MODEL))
    job = labelling.datasets.tasks.prepare(view.id, "datasets/tensors", Preparation(max_duration=9, again=True))
    assert finish(labelling, job).state == JobState.DONE
    report = labelling.datasets.get(view.id).prepared
    assert report is not None
    assert (report.written, report.faults, report.folder) == (
        3,
        ("a.wav: no",),
        str(settings.data_dir / "datasets" / "tensors"),
    )
    assert len(list((settings.data_dir / "datasets" / "tensors").glob("*.pt"))) == 3


def test_songs_are_measured_and_copies_are_found(studio: Studio, settings: Settings) -> None:
    folder = settings.data_dir / "datasets" / "songs"
    noise = np.random.default_rng(0).normal(0, 0.2, RATE * 6)
    folder.mkdir(parents=True)
    soundfile.write(folder / "a.wav", noise, RATE)
    soundfile.write(folder / "copy.flac", 0.5 * noise, RATE)
    write_song(folder / "loud.wav", seconds=6.0, level=2.0)
    soundfile.write(folder / "silent.wav", np.zeros(RATE * 6), RATE)
    view = scan(studio)
    until(lambda: not studio.generation.active())
    quality = studio.datasets.get(view.id).quality
    a, copy, loud, silent = (quality[sample.id] for sample in view.dataset.samples)
    assert (a.alike, copy.alike, loud.alike, silent.alike) == (("copy.flac",), ("a.wav",), (), ())
    verdicts = {check.name: check.verdict for check in loud.checks}
    assert verdicts["clipping"] == "off"
    assert {check.name: check.verdict for check in silent.checks}["silence"] == "off"
