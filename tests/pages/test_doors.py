"""Every page and every route, tried by everybody: who comes in, who is told why not."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient
from streamlit.testing.v1 import AppTest

from studio import web
from studio.config import ROOT, Settings
from studio.errors import InvalidRequest, StudioError
from studio.services import Studio
from studio.services.accounts import Claims
from studio.services.principal import Right, UserRole, Visibility
from studio.ui import signing
from studio.ui.shell import PAGES
from tests.pages.play import make, texts

AUTH = {"auth": {"client_id": "studio", "client_secret": "s", "server_metadata_url": "http://id", "cookie_secret": "c"}}
ISSUER = "https://id.example.org"
OPEN = {"home", "history", "take", "account"}  # for a listener
IN, NOT_SIGNED_IN, NOT_ALLOWED = "in", "not signed in", "not allowed"
PEOPLE = ("anonymous", "listener", "member", "owner", "admin")


def _claimed(name: str) -> dict[str, object]:
    return {"is_logged_in": True, "iss": ISSUER, "sub": name, "name": name.title(), "iat": int(time.time()) - 5}


def _seat(studio: Studio, name: str) -> Studio:
    roles = {"listener": UserRole.LISTENER, "admin": UserRole.ADMIN}
    signed_in_at = signing.datetime.fromtimestamp(int(time.time()) - 5, signing.UTC)
    claims = Claims(issuer=ISSUER, subject=name, name=name.title(), signed_in_at=signed_in_at)
    user_id = studio.accounts.sign_in(claims).user_id
    studio.people.change(user_id, role=roles.get(name, UserRole.MEMBER), disabled=False)
    return studio.as_user(studio.accounts.current(claims))


def _home(person: str) -> AppTest:
    app = AppTest.from_file(str(ROOT / "Home.py"), default_timeout=60)
    app.secrets = AUTH
    app.user = {"is_logged_in": False} if person == "anonymous" else _claimed(person)
    return app.run()


def _page(name: str, person: str, **query: str) -> AppTest:
    app = _home(person).switch_page(PAGES[name][0])
    for key, value in query.items():
        app.query_params[key] = value
    return app.run()


def _answer(app: AppTest) -> str:
    assert not app.exception
    said = texts(app)
    if "Sign in to go on" in said:
        return NOT_SIGNED_IN
    return NOT_ALLOWED if "ask an administrator" in said or "only an administrator" in said else IN


@pytest.fixture
def seats(studio: Studio) -> dict[str, Studio]:
    return {name: _seat(studio, name) for name in PEOPLE[1:]}


def test_the_table_of_pages_names_every_script() -> None:
    assert {script for script, _entry, _title in PAGES.values()} == {
        "Home.py",
        *(path.relative_to(ROOT).as_posix() for path in (ROOT / "pages").glob("*.py")),
    }


@pytest.mark.parametrize("person", ["anonymous", "listener", "member", "admin"])
def test_every_page_lets_in_whom_it_should(seats: dict[str, Studio], person: str) -> None:
    expected = {
        "anonymous": dict.fromkeys(PAGES, NOT_SIGNED_IN),
        "listener": {name: IN if name in OPEN else NOT_ALLOWED for name in PAGES},
        "member": {name: NOT_ALLOWED if name == "admin" else IN for name in PAGES},
        "admin": dict.fromkeys(PAGES, IN),
    }
    app = _home(person)
    found = {name: _answer(app.switch_page(script).run()) for name, (script, _entry, _title) in PAGES.items()}
    assert found == expected[person]


def test_a_page_of_a_take_and_every_route_know_whose_it_is(ready: Studio) -> None:
    seats = {name: _seat(ready, name) for name in PEOPLE[1:]}
    owner = seats["owner"]
    take = owner.library.batch(make(owner, caption="a secret song", audio_format="wav")).takes[0].id
    client = TestClient(Starlette(routes=web.ROUTES))

    def told() -> dict[str, tuple[bool, int, bool]]:
        """Return for everybody: the page shows the song, the audio's answer, the zip holds it."""
        found = {}
        for name in PEOPLE:
            shown = "a secret song" in texts(_page("take", name, id=take)).replace("\\", "")
            if name == "anonymous":
                link, packed = "/api/audio/none.none.none", "/api/zip/none.none.none"
            else:
                link, packed = seats[name].media.link(take), seats[name].library.zip_link([take])
            found[name] = shown, client.get(link).status_code, b".wav" in client.get(packed).content
        return found

    closed, opened = (False, 404, False), (True, 200, True)
    private = dict.fromkeys(PEOPLE, closed) | {"owner": opened, "admin": opened, "anonymous": (False, 403, False)}
    assert told() == private
    owner.library.sharing.show([take], Visibility.TEAM)
    assert told() == dict.fromkeys(PEOPLE, opened) | {"anonymous": (False, 403, False)}
    assert {route.path for route in web.ROUTES} == {
        "/api/audio/{token}",
        "/api/zip/{token}",
        "/api/source/{token}",  # tests/services/test_isolation.py
        "/api/song/{token}",  # tests/services/test_isolation.py
        "/api/v1",  # tests/api/test_doors.py
        *("/api/health", "/health", "/ready"),  # for everybody: they tell of no person
        "/metrics",  # tests/pages/test_web.py
        *web.ORIGINAL,  # tests/api/original/test_rooms.py
    }


def test_the_menu_has_only_what_opens(seats: dict[str, Studio]) -> None:
    def menu(person: str) -> set[str]:
        return {link.label.strip("*") for link in _home(person).sidebar.get("page_link")}

    assert menu("listener") == {"Home", "History", "Account"}
    assert menu("admin") - menu("member") == {"Administration"}
    assert menu("anonymous") == set()


def test_without_sign_in_nothing_is_asked_and_nothing_is_told(app: AppTest) -> None:
    labels = {link.label.strip("*") for link in app.sidebar.get("page_link")}
    assert "Home" in labels
    assert not labels & {"Account", "Administration"}
    assert "Sign out" not in {button.label for button in app.button}


def test_a_session_that_is_too_old_and_a_disabled_account_are_turned_away(
    studio: Studio, seats: dict[str, Studio]
) -> None:
    app = _home("member")
    assert _answer(app) == IN
    studio.people.change(seats["member"].principal.user_id, role=UserRole.MEMBER, disabled=True)
    assert "this account is disabled" in texts(app.run())
    assert [button.label for button in app.button] == ["Sign out"]
    old = AppTest.from_file(str(ROOT / "Home.py"), default_timeout=60)
    old.secrets, old.user = AUTH, {**_claimed("owner"), "iat": time.time() - 13 * 3600}
    assert "your session has ended" in texts(old.run())


def test_a_key_is_made_shown_once_used_and_revoked(studio: Studio, seats: dict[str, Studio]) -> None:
    client = TestClient(Starlette(routes=web.ROUTES))
    page = _page("account", "member")
    page.text_input(key="keys.name").set_value("my script")
    page.selectbox(key="keys.scope").set_value(Right.LISTEN)
    page.button(key="keys.make").click().run()
    (key,) = (block.value for block in page.code)
    answer = client.get("/api/v1/me", headers={"Authorization": f"Bearer {key}"})
    assert answer.json() == {"name": "Member", "role": "member", "rights": ["listen"]}
    assert key not in texts(page.run())
    (held,) = seats["member"].keys.all()
    page.button(key=f"keys.revoke.{held.id}").click().run()
    assert "You have no keys" in texts(page)
    assert client.get("/api/v1/me", headers={"Authorization": f"Bearer {key}"}).status_code == 401


def test_an_administrator_changes_a_role_and_reads_who_did(studio: Studio, seats: dict[str, Studio]) -> None:
    member = seats["member"].principal.user_id
    page = _page("admin", "admin")
    page.selectbox(key=f"admin.role.{member}").set_value(UserRole.LISTENER).run()
    assert studio.accounts.of_user(member).role is UserRole.LISTENER
    assert page.selectbox(key=f"admin.role.{seats['admin'].principal.user_id}").disabled
    assert f"| Admin | changed an account | {member} |" in texts(page).replace("\\", "")


def test_an_administrator_pauses_the_queue_and_lets_it_go_on(studio: Studio, seats: dict[str, Studio]) -> None:
    page = _page("admin", "admin")
    page.text_input(key="admin.reason").set_value("new disks")
    page.button(key="admin.pause").click().run()
    pause = studio.operations.paused()
    assert pause is not None and pause.reason == "new disks"
    assert "| Admin | paused the queue |" in texts(page)
    page.button(key="admin.resume").click().run()
    assert studio.operations.paused() is None


def test_an_administrator_sees_everybodys_jobs_and_stops_one(ready: Studio) -> None:
    seats = {name: _seat(ready, name) for name in PEOPLE[1:]}
    ready.operations.pause("so that it waits")
    job = seats["owner"].generation.submit({"caption": "a long song"})
    page = _page("admin", "admin")
    assert "Owner · making music" in texts(page).replace("\\", "")
    page.button(key=f"admin.stop.{job}").click().run()
    assert seats["owner"].generation.job(job).state == "cancelled"
    assert f"| Admin | stopped a job | {job} |" in texts(page.run()).replace("\\", "")
    assert "Nothing waits and nothing runs." in texts(page)


def test_an_administrator_sees_the_time_of_each_and_no_secret_among_the_settings(
    ready: Studio, settings: Settings
) -> None:
    owner = _seat(ready, "owner")
    make(owner)
    _seat(ready, "admin")
    shown = texts(_page("admin", "admin")).replace("\\", "")
    assert "| Owner | 0.0 | – |" in shown
    assert "There is no quota" in shown
    assert f"| `data_dir` | `{settings.data_dir}` |" in shown
    assert settings.secret not in shown


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.5", "::", "studio.example.org"])
def test_the_network_is_not_let_in_without_sign_in(studio: Studio, settings: Settings, host: str) -> None:
    with pytest.raises(InvalidRequest, match="--let-the-network-in-without-sign-in"):
        web.serve(replace(settings, host=host))


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "127.8.0.1"])
def test_this_machine_is(settings: Settings, host: str) -> None:
    web.check_sign_in(replace(settings, host=host))
    web.check_sign_in(replace(settings, host="0.0.0.0", network_without_sign_in="on"))


def test_sign_in_that_names_no_provider_is_refused(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signing, "_section", lambda: {"cookie_secret": "c", "redirect_uri": "http://localhost"})
    with pytest.raises(StudioError, match="names no provider"):
        web.check_sign_in(settings)
    monkeypatch.setattr(signing, "_section", lambda: {"google": {"client_id": "a"}, "work": {"client_id": "b"}})
    assert signing.providers() == ["google", "work"]
