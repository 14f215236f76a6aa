"""The region element alone in Chromium: pointer, keyboard, snapping and zoom, and what it tells Python."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from studio.config import ROOT
from studio.ui import component

UI = ROOT / "studio" / "ui"
pytestmark = [pytest.mark.browser, pytest.mark.timeout(900)]
DRAW = """async ([code, css, changes]) => {
  if (!window.region) {
    document.body.innerHTML =
      '<style></style><div id="place" style="width:1000px"><div class="studio-region"></div></div>';
    document.querySelector("style").textContent = css;
    window.region = (await import(URL.createObjectURL(new Blob([code], { type: "text/javascript" })))).default;
    window.told = [];
    window.shown = {
      id: "a", url: "data:audio/wav;base64,", duration: 10,
      peaks: Array.from({ length: 200 }, (_, n) => (n % 200).toString(16).padStart(2, "0")).join(""),
      region: [0, 10], room: 20, bpm: 120, lines: [[1, 2.5], [4, 6]], quiet: 0,
      words: { label: "Region", start: "Start", end: "End", move: "Move", part: "Play region", play: "Play",
        pause: "Pause", out: "Out", in: "In", all: "All", snap: "Snap to", off: "off", beat: "beat", line: "line",
        before: "adds before", after: "adds behind", regions: "Regions", one: "Region {n} of {m}",
        add: "Add a region", remove: "Remove this region", full: "no room" },
    };
  }
  Object.assign(window.shown, changes);
  window.region({
    parentElement: document.getElementById("place"), data: window.shown,
    setStateValue: (name, value) => window.told.push([name, ...value]),
  });
}"""


def draw(page: Page, **changes: object) -> None:
    code, css = component.parts(UI / "region.py")
    page.evaluate(DRAW, [code, css, changes])


def told(page: Page) -> tuple[float, float]:
    """Wait for the next thing that Python is told."""
    page.wait_for_function("window.told.length > 0")
    name, start, end, _count, others = page.evaluate("window.told.splice(0).at(-1)")
    assert name == "region"
    assert others == []
    return start, end


def told_all(page: Page) -> list[list[float]]:
    """Wait for what Python is told next, answer as it does, and return every region, the one in hand first."""
    page.wait_for_function("window.told.length > 0")
    _name, start, end, _count, others = page.evaluate("window.told.splice(0).at(-1)")
    draw(page, region=[start, end], others=others)
    return [[start, end], *others]


def drag(page: Page, start: float, end: float, *, height: float = 0.7) -> None:
    """Press at one second and let go at another of the ten that the file has."""
    place = page.locator(".stage").bounding_box()
    assert place is not None
    first, last = -1.0, 11.0  # what is shown of ten seconds, see Region.whole

    def x(seconds: float) -> float:
        return float(place["x"] + (seconds - first) / (last - first) * place["width"])

    y = place["y"] + height * place["height"]
    page.mouse.move(x(start), y)
    page.mouse.down()
    page.mouse.move(x((start + end) / 2), y, steps=3)
    page.mouse.move(x(end), y, steps=3)
    page.mouse.up()


def test_a_region_is_drawn_moved_typed_and_snapped(page: Page) -> None:
    page.goto("about:blank")
    draw(page)
    start, end = (page.get_by_role("slider", name=name, exact=True) for name in ("Start", "End"))
    drag(page, 5, 8)
    assert told(page) == pytest.approx((5, 8), abs=0.11)
    draw(page, region=[5, 8])  # as Python answers
    expect(start).to_have_attribute("aria-valuenow", "5.00")
    expect(page.get_by_text("5 – 8 s (3 s)")).to_be_visible()

    drag(page, 8, 9)  # the edge
    assert told(page) == pytest.approx((5, 9), abs=0.11)
    draw(page, region=[5, 9])
    drag(page, 7, 6, height=0.05)  # the bar above moves all of it
    assert told(page) == pytest.approx((4, 8), abs=0.11)
    draw(page, region=[4, 8])

    end.focus()
    end.press("ArrowRight")
    end.press("Shift+ArrowRight")
    assert told(page) == pytest.approx((4, 9.1))
    draw(page, region=[-2, 12])  # typed: before the file and behind it
    expect(page.get_by_text("adds before")).to_be_visible()
    expect(end).to_have_attribute("aria-valuetext", "12 s")
    draw(page, region=[4, 8])
    start.press("Home")
    assert told(page) == pytest.approx((0, 8))

    draw(page, region=[4.2, 8])
    page.get_by_label("Snap to").select_option("beat")
    start.press("ArrowRight")
    assert told(page) == pytest.approx((4.5, 8))
    draw(page, region=[4.2, 8])
    page.get_by_label("Snap to").select_option("line")
    start.press("ArrowLeft")
    assert told(page) == pytest.approx((4, 8))

    before = start.evaluate("grip => parseFloat(grip.style.left)")
    page.get_by_role("button", name="In", exact=True).click()
    assert start.evaluate("grip => parseFloat(grip.style.left)") < before
    page.get_by_role("button", name="All", exact=True).click()
    drawn = page.locator("canvas").evaluate(
        "canvas => canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data.some(value => value)"
    )
    assert drawn, "no outline was drawn"


def test_several_regions_are_added_chosen_moved_and_removed(page: Page) -> None:
    page.goto("about:blank")
    draw(page, several=True, others=[], region=[1, 3])
    add, remove = (page.get_by_role("button", name=name) for name in ("Add a region", "Remove this region"))
    start, end = (page.get_by_role("slider", name=name, exact=True) for name in ("Start", "End"))
    expect(remove).to_be_disabled()

    # by keyboard: added in the largest room, then moved up to its neighbour and no farther
    add.focus()
    add.press("Enter")
    (first, last), *others = told_all(page)
    assert others == [[1, 3]]
    assert 3.1 <= first < last <= 10 and last - first == pytest.approx(2)
    expect(page.get_by_text("Region 2 of 2: ")).to_be_visible()
    for _ in range(6):
        start.press("Shift+ArrowLeft")
    page.wait_for_function("window.told.at(-1)?.[1] === 3.1")  # between slow presses a part of the way is told
    assert told_all(page)[0] == [3.1, last]
    draw(page, region=[5, 6])
    end.press("ArrowRight")
    assert told_all(page) == [[5, 6.1], [1, 3]]

    # by mouse: Shift adds where it is drawn, a click takes another in hand
    page.keyboard.down("Shift")
    drag(page, 8, 9)
    page.keyboard.up("Shift")
    chosen, *others = told_all(page)
    assert chosen == pytest.approx([8, 9], abs=0.11)
    assert sorted(others) == [[1, 3], [5, 6.1]]
    drag(page, 2, 2)
    assert told_all(page)[0] == [1, 3]
    expect(page.get_by_role("button", name="Region 1 of 3: 1 – 3 s")).to_have_attribute("aria-pressed", "true")
    drag(page, 3, 7)  # its edge, over the next one
    assert told_all(page)[0] == [1, 4.9]

    # the list is a way by keyboard, and reads what is where
    second = page.get_by_role("button", name="Region 2 of 3: 5 – 6.1 s")
    second.focus()
    second.press("Enter")
    assert told_all(page)[0] == [5, 6.1]
    expect(second).to_be_focused()
    expect(second).to_have_attribute("aria-pressed", "true")

    # only the outermost leave the source; one may not
    drag(page, 5.5, -0.9, height=0.05)
    assert told_all(page)[0][0] == 5
    page.get_by_role("button", name="Region 1 of 3").click()
    assert told_all(page)[0] == [1, 4.9]
    start.press("Home")
    start.press("Shift+ArrowLeft")
    assert told_all(page)[0] == [-1, 4.9]
    expect(page.get_by_text("adds before")).to_be_visible()

    start.press("Delete")
    assert [len(told_all(page)), start.get_attribute("aria-valuenow")] == [2, "5.00"]
    remove.click()
    assert len(told_all(page)) == 1
    expect(remove).to_be_disabled()
    expect(page.get_by_role("button", name="Region 1 of")).to_have_count(0)
    draw(page, region=[0, 10])
    expect(add).to_be_disabled()
    draw(page, several=False)
    expect(add).to_be_hidden()
