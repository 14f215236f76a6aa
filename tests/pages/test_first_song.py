"""A newcomer is led to a first song, and to a larger model with its size before the download."""

from __future__ import annotations

import pytest
from streamlit.testing.v1 import AppTest

from studio.config import ROOT
from studio.errors import FetchFailed
from studio.services import Studio
from studio.services.models import Models
from studio.services.views import DownloadView
from tests.pages.conftest import Conductor
from tests.pages.play import MODEL, make, texts, wait_for


def test_the_guide_follows_to_the_first_takes_and_can_be_put_away(ready: Studio) -> None:
    app = AppTest.from_file(ROOT / "Home.py", default_timeout=60).run()
    assert f"The model {MODEL.replace('-', chr(92) + '-')} is ready. – *done*" in texts(app)
    assert "Press **Start from this** under one that you like. – *now*" in texts(app)
    app.button("start.piano").click().run()
    app.switch_page("pages/generate.py").run()
    assert "Press **Generate Music**. Its progress is shown below the form. – *now*" in texts(app)
    app.button("create.generate").click().run()
    wait_for(lambda: not ready.generation.active())
    app.run()
    assert "Each one has a seed of its own. – *now*" in texts(app)
    app.button("first_song.away").click().run()
    assert "Your first song" not in texts(app)
    assert not app.exception


def test_who_has_takes_is_not_guided(ready: Studio) -> None:
    make(ready)
    assert "Your first song" not in texts(AppTest.from_file(ROOT / "Home.py", default_timeout=60).run())


def test_the_guide_loads_a_model_where_none_is(app: AppTest, studio: Studio) -> None:
    assert "the menu says what keeps it" in texts(app)
    studio.start_worker()
    wait_for(lambda: studio.status().state == "empty")
    app.run().button("first_song.load").click().run()
    wait_for(lambda: studio.status().ready)
    assert "is ready. – *done*" in texts(app.run())


@pytest.mark.parametrize(
    ("free", "said"), [(90 * 10**9, "goes on where it stopped"), (5 * 10**9, "too little: make room first")]
)
def test_a_larger_model_is_offered_with_its_size(
    app: AppTest, studio: Studio, monkeypatch: pytest.MonkeyPatch, free: int, said: str
) -> None:
    need = DownloadView(total=10_300_000_000, missing=8_200_000_000, free=free, folder="data/checkpoints")
    monkeypatch.setattr(Models, "download", lambda models, name: need)
    app.button("download.choose").click().run()
    app.switch_page("pages/generate.py").run()
    assert app.selectbox("service.model").value == "acestep-v15-turbo"
    assert app.expander[0].proto.expanded
    (words,) = [line for line in texts(app).splitlines() if "is downloaded first" in line]
    assert "8.2 GB into" in words
    assert "2.1 GB of 10.3 GB are there already" in words
    assert said in words


def test_a_size_nobody_knows_is_said_once(app: AppTest, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def silent(models: Models, name: str) -> DownloadView:
        asked.append(name)
        raise FetchFailed("nobody says how large it is")

    monkeypatch.setattr(Models, "download", silent)
    app.button("download.choose").click().run()
    app.switch_page("pages/generate.py").run()
    app.run()
    assert "can't be looked up now: nobody says how large it is" in texts(app)
    assert asked == ["acestep-v15-turbo"]


def test_a_download_is_told_in_gigabytes(app: AppTest, studio: Studio, conductor: Conductor) -> None:
    conductor.go.clear()
    conductor.arrived = (1_250_000_000, 4_800_000_000)
    studio.start_worker()
    job = studio.generation.initialize(MODEL)
    wait_for(lambda: studio.generation.job(job).step > 0)
    assert "**Downloading** · 1.2 GB of 4.8 GB" in texts(app.run())
