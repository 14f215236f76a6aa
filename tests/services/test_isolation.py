"""What each kind of person may do with a thing of somebody's: one table, every row tried as everybody."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from studio.config import Settings
from studio.engine.audio.io import write_audio
from studio.engine.dataset.labelling import Labelling, Skip
from studio.errors import InvalidRequest, LinkExpired, NotFound, PermissionDenied
from studio.services import Studio
from studio.services.accounts import Claims
from studio.services.library import Query, Whose
from studio.services.mixing import Gain
from studio.services.principal import ReadOnly, UserRole, Visibility
from studio.storage.database import Database
from studio.storage.times import utc_now
from tests.services.conftest import FORM, finish

PEOPLE = ("listener", "member", "owner", "admin")
Things = dict[str, str]
Call = Callable[[Studio, Things], object]
FINE, GONE, DENIED = "fine", "gone", "denied"  # how a call ends: NotFound also means that nothing is told of the thing

TAKE = "take"
LOOKS: dict[str, Call] = {
    "take": lambda s, t: s.library.take(t[TAKE]),
    "batch": lambda s, t: s.library.batch(t["batch"]),
    "difference": lambda s, t: s.library.difference(t[TAKE], t[TAKE]),
    "family": lambda s, t: s.library.lineage(t[TAKE]),
    "facts": lambda s, t: s.takes.details([t[TAKE]])[t[TAKE]],
    "settings": lambda s, t: s.takes.sidecar_file(t[TAKE]),
    "audio": lambda s, t: s.takes.audio_file(t[TAKE]),
    "link": lambda s, t: s.media.resolve(s.media.link(t[TAKE]).rsplit("/", 1)[1]),
    "score": lambda s, t: s.writing.score_of(t[TAKE]),
    "dataset": lambda s, t: s.datasets.get(t["dataset"]),
    "song": lambda s, t: s.datasets.resolve(s.datasets.link(t["dataset"], t["song"]).rsplit("/", 1)[1]),
    "zip": lambda s, t: _zipped(s, s.library.zip_link([t[TAKE]])),
    "collection's zip": lambda s, t: _zipped(s, s.library.collection_zip_link(t["collection"])),
}
CHANGES: dict[str, Call] = {
    "name": lambda s, t: s.library.marks.name(t[TAKE], "mine now"),
    "rate": lambda s, t: s.library.marks.rate(t[TAKE], 5),
    "favour": lambda s, t: s.library.marks.favour(t[TAKE], True),
    "tag": lambda s, t: s.library.tags.add([t[TAKE]], "mine"),
    "untag": lambda s, t: s.library.tags.remove([t[TAKE]], "mine"),
    "tags": lambda s, t: s.library.tags.replace(t[TAKE], ["mine"]),
    "share": lambda s, t: s.library.sharing.show([t[TAKE]], Visibility(t["visibility"])),
    "replay": lambda s, t: s.takes.replay(t[TAKE]),
    "rename collection": lambda s, t: s.library.collections.rename(t["collection"], "another name"),
    "share collection": lambda s, t: s.library.collections.show(t["collection"], Visibility(t["visibility"])),
    "configure dataset": lambda s, t: s.datasets.configure(
        t["dataset"], {"name": "other"}, s.datasets.get(t["dataset"]).dataset
    ),
    "label": lambda s, t: s.datasets.tasks.label(t["dataset"], Labelling(skip=Skip.MODEL, only_unlabelled=False)),
    "share dataset": lambda s, t: s.datasets.show(t["dataset"], Visibility(t["visibility"])),
    "delete collection": lambda s, t: s.library.collections.delete(t["collection"]),
    "delete dataset": lambda s, t: s.datasets.remove(t["dataset"]),
    "trash": lambda s, t: s.library.trash.put([t[TAKE]]),
}
JOBS: dict[str, Call] = {
    "job": lambda s, t: s.generation.job(t["job"]),
    "seeds": lambda s, t: s.generation.seeds(t["job"]),
    "cancel": lambda s, t: s.generation.cancel(t["job"]),
}
MAKING: dict[str, Call] = {
    "generate": lambda s, t: s.generation.submit(FORM),
    "initialize": lambda s, t: s.generation.initialize("fake"),
    "upload": lambda s, t: s.uploads.add("src_audio", "a.wav", _wav()),
    "collection": lambda s, t: s.library.collections.create(f"{s.principal.name}'s"),
    "scan": lambda s, t: s.datasets.opening.scan(t["folder"], None),
    "dataset upload": lambda s, t: s.datasets.opening.upload("songs", [("a.wav", io.BytesIO(_wav()))]),
    "all to the trash": lambda s, t: s.library.trash.put_all(),
}
ADMINISTERING: dict[str, Call] = {
    "people": lambda s, t: s.people.all(),
    "change": lambda s, t: s.people.change(t["listener"], role=UserRole.LISTENER, disabled=False),
    "log": lambda s, t: s.audit.lines(),
    "room": lambda s, t: s.room.look(),
    "workers": lambda s, t: s.operations.workers(),
    "everybody's jobs": lambda s, t: s.supervision.jobs(),
    "everybody's time": lambda s, t: s.supervision.usage(),
    "pause": lambda s, t: s.operations.pause("new disks"),
    "resume": lambda s, t: s.operations.resume(),
    "everybody's takes": lambda s, t: s.library.search(Query(whose=Whose.EVERYBODY)),
    "everybody's facets": lambda s, t: s.library.facets(Query(whose=Whose.EVERYBODY)),
}


def _wav() -> bytes:
    file = io.BytesIO()
    soundfile.write(file, np.full((4000, 2), 0.3, np.float32), 8000, format="WAV")
    return file.getvalue()


def _zipped(studio: Studio, link: str) -> int:
    """Read a zip of one take; one that holds nothing tells nothing."""
    names = [part for part in studio.archives.open(link.rsplit("/", 1)[1]).chunks]
    if b".wav" not in b"".join(names):
        raise NotFound("nothing is in it")
    return len(names)


def _ends(call: Call, studio: Studio, things: Things) -> str:
    try:
        call(studio, things)
    except (NotFound, LinkExpired, KeyError):
        return GONE
    except PermissionDenied:
        return DENIED
    return FINE


def _seats(studio: Studio) -> dict[str, Studio]:
    now, found = utc_now(), {}
    for name in PEOPLE:
        claims = Claims(issuer="https://id.example.org", subject=name, name=name, signed_in_at=now)
        user_id = studio.accounts.sign_in(claims).user_id
        role = {"listener": UserRole.LISTENER, "admin": UserRole.ADMIN}.get(name, UserRole.MEMBER)
        studio.people.change(user_id, role=role, disabled=False)
        found[name] = studio.as_user(studio.accounts.current(claims))
    return found


@pytest.fixture
def seats(studio: Studio) -> dict[str, Studio]:
    """The studio as each of PEOPLE may use it."""
    return _seats(studio)


@pytest.fixture
def things(seats: dict[str, Studio], settings: Settings) -> Things:
    """What the owner has, private as everything is at first."""
    owner = seats["owner"]
    job = owner.generation.submit(FORM)
    batch = finish(owner, job).batch_id or ""
    take = owner.library.batch(batch).takes[0].id
    collection = owner.library.collections.create("album")
    owner.library.collections.add(collection, [take])
    folder = settings.training_roots[0] / "songs"
    folder.mkdir(parents=True)
    write_audio(folder / "one.wav", np.full((2, 4000), 0.3, np.float32), 8000, "wav")
    dataset = owner.datasets.opening.scan(str(folder), None).dataset_id
    song = owner.datasets.get(dataset).dataset.samples[0].id
    return {
        "take": take,
        "batch": batch,
        "job": job,
        "collection": collection,
        "dataset": dataset,
        "song": song,
        "folder": str(folder),
        "listener": seats["listener"].principal.user_id,
        "visibility": Visibility.PRIVATE,
    }


def _table(calls: dict[str, Call], seats: dict[str, Studio], things: Things) -> dict[str, tuple[str, ...]]:
    """Return how each call ends for each of PEOPLE."""
    return {name: tuple(_ends(call, seats[who], things) for who in PEOPLE) for name, call in calls.items()}


def test_what_is_private_is_its_owners_and_the_administrators(seats: dict[str, Studio], things: Things) -> None:
    assert _table(LOOKS, seats, things) == dict.fromkeys(LOOKS, (GONE, GONE, FINE, FINE))
    refused = {"cancel": (DENIED, GONE, FINE, FINE)}  # a listener isn't even asked which job
    assert _table(JOBS, seats, things) == dict.fromkeys(JOBS, (GONE, GONE, FINE, FINE)) | refused
    changes = {name: call for name, call in CHANGES.items() if "delete" not in name and name != "trash"}
    told = _table(changes, seats, things)
    assert {name: ends[1:] for name, ends in told.items()} == dict.fromkeys(changes, (GONE, FINE, FINE))
    assert all(FINE not in ends[:1] for ends in told.values())


def test_what_the_team_shares_is_looked_at_by_all_and_changed_by_none(seats: dict[str, Studio], things: Things) -> None:
    owner = seats["owner"]
    owner.library.collections.show(things["collection"], Visibility.TEAM)
    owner.datasets.show(things["dataset"], Visibility.TEAM)
    assert owner.library.take(things["take"]).visibility == Visibility.TEAM  # with its collection
    things["visibility"] = Visibility.TEAM
    assert _table(LOOKS, seats, things) == dict.fromkeys(LOOKS, (FINE, FINE, FINE, FINE))
    outsiders = {
        name: ends[:2]
        for name, ends in _table(CHANGES, dict(seats, owner=seats["member"], admin=seats["member"]), things).items()
    }
    assert outsiders == dict.fromkeys(CHANGES, (DENIED, DENIED))
    for name, call in CHANGES.items():
        assert _ends(call, seats["admin" if "delete" in name else "owner"], things) == FINE, name
    assert _table(LOOKS, seats, things)["take"] == (GONE, GONE, FINE, FINE)  # in the trash


def test_a_listener_makes_nothing_and_only_administrators_administer(seats: dict[str, Studio], things: Things) -> None:
    assert _table(MAKING, seats, things) == dict.fromkeys(MAKING, (DENIED, FINE, FINE, FINE))
    assert _table(ADMINISTERING, seats, things) == dict.fromkeys(ADMINISTERING, (DENIED, DENIED, DENIED, FINE))


def test_lists_hold_what_is_ones_own_and_what_the_team_shares(seats: dict[str, Studio], things: Things) -> None:
    def found(who: str, whose: Whose) -> int:
        return seats[who].library.search(Query(whose=whose)).total

    assert [found(who, Whose.TEAM) for who in PEOPLE] == [0, 0, 0, 0]
    seats["owner"].library.sharing.show([things["take"]], Visibility.TEAM)
    assert [found(who, Whose.TEAM) for who in PEOPLE] == [1, 1, 1, 1]
    assert [found(who, Whose.MINE) for who in PEOPLE] == [0, 0, 1, 0]
    assert [found("listener", Whose.TEAM)] == [
        seats["listener"].library.search(Query(whose=Whose.TEAM, text="piano")).total
    ]
    assert [len(seats[who].library.batches()) for who in PEOPLE] == [0, 0, 1, 0]
    assert [len(seats[who].library.collections.all()) for who in PEOPLE] == [0, 0, 1, 0]
    assert [len(seats[who].datasets.all()) for who in PEOPLE] == [0, 0, 1, 0]
    seats["owner"].datasets.show(things["dataset"], Visibility.TEAM)
    seats["owner"].library.collections.show(things["collection"], Visibility.TEAM)
    assert [len(seats[who].datasets.all()) for who in PEOPLE] == [1, 1, 1, 1]
    assert [(one.mine, one.takes) for who in PEOPLE for one in seats[who].library.collections.all()] == [
        (False, 1),
        (False, 1),
        (True, 1),
        (False, 1),
    ]


def test_a_link_ends_with_the_account_it_was_made_out_to(
    seats: dict[str, Studio], things: Things, studio: Studio
) -> None:
    owner = seats["owner"]
    links = (owner.media.link(things["take"]), owner.datasets.link(things["dataset"], things["song"]))
    audio, song = (link.rsplit("/", 1)[1] for link in links)
    brought = owner.sources.link(owner.uploads.add("src_audio", "a.wav", _wav()).key).rsplit("/", 1)[1]
    assert studio.sources.resolve(brought).path.is_file()
    packed = owner.library.zip_link([things["take"]]).rsplit("/", 1)[1]
    assert studio.media.resolve(audio).path.is_file()
    studio.people.change(owner.principal.user_id, role=UserRole.MEMBER, disabled=True)
    for opens in (
        lambda: studio.media.resolve(audio),
        lambda: studio.datasets.resolve(song),
        lambda: studio.sources.resolve(brought),
        lambda: studio.archives.open(packed),
    ):
        with pytest.raises(PermissionDenied, match="disabled"):
            opens()


def test_the_songs_a_person_uploaded_are_no_folder_for_others(seats: dict[str, Studio]) -> None:
    member, owner = seats["member"], seats["owner"]
    assert member.datasets.opening.upload("mine", [("b.wav", io.BytesIO(_wav()))]).songs == 1
    folder = owner.datasets.opening.upload("songs", [("a.wav", io.BytesIO(_wav()))]).folder
    for path in (folder, *(str(Path(folder).parents[up]) for up in range(3))):
        with pytest.raises(InvalidRequest, match="other people"):
            member.datasets.opening.scan(path, None)
    with pytest.raises(InvalidRequest, match="other people"):
        member.training.tensors(folder)
    assert owner.datasets.opening.scan(folder, None).songs == 1
    assert seats["admin"].datasets.opening.scan(folder, None).songs == 1


def test_a_shared_take_can_be_mixed_and_is_its_parent(seats: dict[str, Studio], things: Things) -> None:
    member = seats["member"]
    with pytest.raises(NotFound):
        member.mixing.bounce([Gain(id=things["take"])])
    seats["owner"].library.sharing.show([things["take"]], Visibility.TEAM)
    job = finish(member, member.mixing.bounce([Gain(id=things["take"])]))
    (mix,) = member.library.batch(job.batch_id or "").takes
    assert [edge.parent for edge in member.library.lineage(mix.id).made_from()] == [things["take"]]
    assert seats["owner"].library.lineage(things["take"]).became() == ()  # the mix is the member's own


def test_whatever_writes_is_closed_to_a_listener_by_default(seats: dict[str, Studio]) -> None:
    """A service that is added later is guarded as long as it is given the database of its person."""
    writable = {
        name
        for name, room in vars(seats["listener"]).items()
        if name != "_shared" and _databases(room, set()) - {ReadOnly}
    }
    assert writable == {
        "accounts",
        "_models",
        "keys",
        "media",
        "archives",
        "sources",
    }  # these check by themselves, or only read


def _databases(room: object, seen: set[int]) -> set[type]:
    """Return the kinds of databases a service and its rooms hold; the queue only writes what a service has let in."""
    if isinstance(room, Database):
        return {type(room)}
    if id(room) in seen or not type(room).__module__.startswith("studio.services"):
        return set()
    seen.add(id(room))
    names = [*getattr(room, "__dict__", {}), *getattr(type(room), "__slots__", ())]
    held = [getattr(room, name) for name in names if name not in ("_models", "_archives")]
    held += [one for value in held if isinstance(value, dict) for one in value.values()]
    return {kind for value in held for kind in _databases(value, seen)}


def test_what_was_done_is_told(seats: dict[str, Studio], things: Things) -> None:
    owner, admin = seats["owner"], seats["admin"]
    for name in ("share", "trash", "delete dataset", "delete collection"):
        CHANGES[name](owner, {**things, "visibility": Visibility.TEAM})
    owner.library.trash.empty()
    list(owner.archives.open(owner.library.everything_zip_link().rsplit("/", 1)[1]).chunks)
    told = [(line.deed.value, line.subject) for line in admin.audit.lines(user_id=owner.principal.user_id)]
    assert told[::-1] == [
        ("signed in", owner.principal.user_id),
        ("generated", things["batch"]),
        ("shared", things["take"]),
        ("moved to the trash", things["take"]),
        ("deleted", things["dataset"]),
        ("deleted", things["collection"]),
        ("deleted", ""),
        ("exported", ""),
    ]
