"""Who comes in as whom, the keys of programs, and what the audit log keeps."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DatabaseError

from studio.config import Settings, load_settings
from studio.errors import InvalidRequest, NotFound, PermissionDenied, SignInNeeded
from studio.services import Studio, open_studio
from studio.services.accounts import Claims
from studio.services.principal import Right, UserRole
from studio.storage.audit import tell
from studio.storage.database import Database
from studio.storage.states import Deed
from tests.jobs.fakes import HandClock

CLOCK = HandClock()
ADA = Claims(issuer="https://id.example.org", subject="ada", name="Ada", email="Ada@example.org", signed_in_at=CLOCK())
BEN = replace(ADA, subject="ben", name="", email="")


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def house(settings: Settings, clock: HandClock) -> Iterator[Studio]:
    """A studio whose first administrator is Ada."""
    studio = open_studio(replace(settings, admins=("ada@example.org",)), clock=clock)
    yield studio
    studio.close()


def _enter(house: Studio, claims: Claims) -> Studio:
    return house.as_user(house.accounts.sign_in(claims))


def test_issuer_and_subject_are_who_it_is(house: Studio) -> None:
    ada = house.accounts.sign_in(ADA)
    assert house.accounts.sign_in(replace(ADA, name="Ada L.", email="new@example.org")).user_id == ada.user_id
    assert house.accounts.current(ADA).name == "Ada L."
    assert house.accounts.sign_in(replace(ADA, issuer="https://elsewhere.example")).user_id != ada.user_id


def test_what_is_too_long_to_be_kept_is_never_cut_in_secret(house: Studio) -> None:
    for what, most in (("issuer", 255), ("subject", 255), ("email", 320)):
        said = replace(ADA, **{what: "x" * (most + 1)})
        with pytest.raises(PermissionDenied, match=f"{what} of this person has {most + 1} characters; {most} can be"):
            house.accounts.sign_in(said)
    assert house.accounts.sign_in(replace(ADA, name="Ada" * 100)).name == ("Ada" * 100)[:199] + "…"
    path = "/srv/" + "folder/" * 50 + "adapter"
    with Database(house.settings.resolved_database_url).write() as session:
        tell(session, house.principal.user_id, Deed.EXPORTED, path, CLOCK(), model="m")
    line = _enter(house, ADA).audit.lines()[0]
    assert (len(line.subject), line.subject[0], line.subject[-8:]) == (255, "…", "/adapter")
    assert line.facts == {"subject": path, "model": "m"}


def test_the_first_administrator_is_named_by_the_settings(house: Studio) -> None:
    assert house.accounts.sign_in(ADA).role is UserRole.ADMIN
    assert house.accounts.sign_in(BEN).role is UserRole.MEMBER
    listed = load_settings({"STUDIO_ADMINS": " ada@example.org , ben ", "STUDIO_CONFIG_FILE": "none"})
    assert listed.admins == ("ada@example.org", "ben")


@pytest.mark.parametrize(("kind", "role"), [("listener", UserRole.LISTENER), ("closed", None)])
def test_new_people_come_in_as_the_settings_say(settings: Settings, kind: str, role: UserRole | None) -> None:
    studio = open_studio(replace(settings, new_accounts=kind), clock=HandClock())
    if role is None:
        with pytest.raises(PermissionDenied, match="ask an administrator"):
            studio.accounts.sign_in(BEN)
    else:
        assert studio.accounts.sign_in(BEN).role is role
    studio.close()


def test_a_session_ends(house: Studio, clock: HandClock) -> None:
    house.accounts.sign_in(ADA)
    clock.advance(timedelta(hours=12).total_seconds())
    assert house.accounts.current(ADA).name == "Ada"
    clock.advance(1)
    for ask in (house.accounts.current, house.accounts.sign_in):
        with pytest.raises(SignInNeeded, match="sign in again"):
            ask(ADA)
    again = replace(ADA, signed_in_at=clock())
    assert house.accounts.sign_in(again).name == "Ada"


def test_somebody_who_never_came_is_not_known(house: Studio) -> None:
    with pytest.raises(SignInNeeded):
        house.accounts.current(BEN)


def test_a_role_and_a_closed_account_hold_at_once(house: Studio) -> None:
    ada, ben = _enter(house, ADA), _enter(house, BEN)
    ada.people.change(ben.principal.user_id, role=UserRole.LISTENER, disabled=False)
    assert house.accounts.current(BEN).role is UserRole.LISTENER
    ada.people.change(ben.principal.user_id, role=UserRole.LISTENER, disabled=True)
    with pytest.raises(PermissionDenied, match="disabled"):
        house.accounts.current(BEN)
    assert [(one.name, one.role, one.disabled) for one in ada.people.all()] == [
        ("Ada", UserRole.ADMIN, False),
        ("ben", UserRole.LISTENER, True),
    ]
    with pytest.raises(InvalidRequest, match="somebody else"):
        ada.people.change(ada.principal.user_id, role=UserRole.MEMBER, disabled=False)
    with pytest.raises(PermissionDenied, match="administrator"):
        ben.people.change(ada.principal.user_id, role=UserRole.MEMBER, disabled=True)


def test_a_key_acts_for_its_person_within_its_scope(house: Studio) -> None:
    ben = _enter(house, BEN)
    key = ben.keys.create("  my   script ", Right.LISTEN)
    program = house.accounts.of_key(key)
    assert (program.user_id, program.name) == (ben.principal.user_id, "ben")
    assert program.may(Right.LISTEN) and not program.may(Right.MAKE)
    (shown,) = ben.keys.all()
    assert (shown.name, shown.scope, shown.used_at is not None) == ("my script", Right.LISTEN, True)
    with pytest.raises(NotFound):
        _enter(house, ADA).keys.revoke(shown.id)
    ben.keys.revoke(shown.id)
    assert ben.keys.all() == []
    for wrong in (key, key + "x", ""):
        with pytest.raises(SignInNeeded):
            house.accounts.of_key(wrong)


def test_a_key_is_not_kept_and_gives_no_more_than_its_maker_has(house: Studio) -> None:
    ben = _enter(house, BEN)
    key = ben.keys.create("script", Right.MAKE)
    with house._database.read() as session:
        rows = (
            session.execute(text("SELECT * FROM api_keys")).all() + session.execute(text("SELECT * FROM audit")).all()
        )
    assert key.removeprefix("studio_") not in str(rows)
    with pytest.raises(PermissionDenied):
        ben.keys.create("too much", Right.ADMINISTER)
    with pytest.raises(InvalidRequest, match="key_name"):
        ben.keys.create(" ", Right.LISTEN)
    _enter(house, ADA).people.change(ben.principal.user_id, role=UserRole.LISTENER, disabled=False)
    assert not house.accounts.of_key(key).may(Right.MAKE)
    _enter(house, ADA).people.change(ben.principal.user_id, role=UserRole.LISTENER, disabled=True)
    with pytest.raises(PermissionDenied):
        house.accounts.of_key(key)


def test_the_log_tells_who_did_what_and_can_only_grow(house: Studio, clock: HandClock) -> None:
    ada, ben = _enter(house, ADA), _enter(house, BEN)
    clock.advance(60)
    house.accounts.sign_in(BEN)  # the same sign-in in a second tab
    house.accounts.sign_in(replace(BEN, signed_in_at=clock()))
    ada.people.change(ben.principal.user_id, role=UserRole.LISTENER, disabled=False)
    told = [(line.name, line.deed) for line in ada.audit.lines()]
    assert told == [
        ("Ada", Deed.CHANGED_ACCOUNT),
        ("ben", Deed.SIGNED_IN),
        ("ben", Deed.SIGNED_IN),
        ("Ada", Deed.SIGNED_IN),
    ]
    last = ada.audit.lines()[0]
    assert (last.subject, last.facts) == (ben.principal.user_id, {"role": "listener", "disabled": False})
    assert [line.id for line in ada.audit.lines(2, before=last.id)] == [last.id - 1, last.id - 2]
    assert {line.name for line in ada.audit.lines(user_id=ben.principal.user_id)} == {"ben"}
    with pytest.raises(PermissionDenied):
        ben.audit.lines()
    for change in ("UPDATE audit SET deed = 'generated'", "DELETE FROM audit"):
        with pytest.raises(DatabaseError, match="append-only"), house._database.write() as session:
            session.execute(text(change))
    assert len(ada.audit.lines()) == 4


def test_the_local_user_may_do_everything(house: Studio) -> None:
    assert all(house.principal.may(right) for right in Right)
    assert house.accounts.of_user(house.principal.user_id) == house.principal
