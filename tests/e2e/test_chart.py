"""The charts by themselves, on fixed readings: what is drawn, and what mouse, finger and keyboard do to it."""

import mimetypes
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Route

HERE = Path(__file__).resolve().parent
STATIC = HERE.parent.parent / "static"
ADDRESS = "http://charts.test"


def answer(route: Route) -> None:
    """Files of the project instead of a server; the policy is the site's own."""
    path = route.request.url.removeprefix(ADDRESS)
    file = STATIC / path.removeprefix("/static/") if path.startswith("/static/") else HERE / path.removeprefix("/")
    if not file.is_file():
        return route.fulfill(status=404)
    policy = "default-src 'self'; img-src 'self' blob: data:"
    kind = mimetypes.guess_type(file.name)[0] or "application/octet-stream"
    return route.fulfill(body=file.read_bytes(), content_type=kind, headers={"Content-Security-Policy": policy})


@pytest.fixture
def charts(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1000, "height": 760}, has_touch=True, timezone_id="UTC")
    context.route(f"{ADDRESS}/**", answer)
    page = context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(f"{ADDRESS}/chart/page.html")
    page.wait_for_selector("body[data-ready]")
    page.wait_for_function("() => value.frame && score.frame && overview.trace.frame")
    yield page
    assert errors == []
    context.close()


def box(page: Page, selector: str) -> tuple[float, float, float, float]:
    found = page.locator(selector).bounding_box()
    assert found is not None
    return found["x"], found["y"], found["width"], found["height"]


def shown(page: Page) -> list[float]:
    return page.evaluate("view.shown")


def whole(page: Page) -> list[float]:
    return page.evaluate("view.all")


def colours_at(page: Page, expression: str) -> int:
    """How many pixels of the value chart's column at a moment have the line's colour."""
    return page.evaluate(
        """(at) => {
          const x = Math.round(value.frame.x(at) * devicePixelRatio);
          const ink = value.canvas.getContext("2d");
          const { data } = ink.getImageData(x - 1, 0, 3, value.canvas.height);
          let found = 0;
          for (let n = 0; n < data.length; n += 4) {
            if (data[n + 3] > 200 && Math.abs(data[n] - 0x2f) < 24 && Math.abs(data[n + 2] - 0xda) < 24) found++;
          }
          return found;
        }""",
        page.evaluate(expression),
    )


def test_a_gap_is_a_gap(charts):
    assert colours_at(charts, "data.value.times[150]") > 0
    assert colours_at(charts, "(data.value.times[199] + data.value.times[200]) / 2") == 0
    assert charts.evaluate("draw.runs(data.value.times, data.value.values, [0, 400], 120)") == [
        [0, 100],
        [102, 200],
        [200, 400],
    ]
    assert charts.evaluate("draw.runs([], [], [0, 0], 120)") == []


def test_many_readings_in_a_pixel_keep_their_peaks(charts):
    charts.evaluate(
        """() => {
          const times = Array.from({ length: 20000 }, (_, n) => data.value.times[0] + 0.7 * n);
          const values = times.map((_, n) => (n === 7777 ? 99 : 70 + Math.sin(n)));
          value.set({ times, values, gap: 10 });
          value.options.limits = [60, 100];
          value.drawNow();
        }"""
    )
    assert colours_at(charts, "data.value.times[0] + 0.7 * 7777") > 100


def test_drag_zooms_and_twice_shows_all(charts):
    x, y, _width, _height = box(charts, "#value")
    charts.mouse.move(x + 300, y + 80)
    charts.mouse.down()
    charts.mouse.move(x + 500, y + 90, steps=4)
    assert float(charts.locator("#value .trace__brush").get_attribute("width")) == pytest.approx(200)
    expected = charts.evaluate("[value.frame.timeAt(300), value.frame.timeAt(500)]")
    charts.mouse.up()
    assert shown(charts) == pytest.approx(expected)
    assert charts.locator("#value .trace__brush").get_attribute("width") == "0"

    # The other charts moved along, and the window of the overview too.
    assert charts.evaluate("new Promise((done) => requestAnimationFrame(() => done(score.frame.shown)))") == shown(
        charts
    )
    assert int(charts.locator("#overview [aria-label=From]").get_attribute("aria-valuenow")) == round(expected[0])
    charts.mouse.dblclick(x + 400, y + 80)
    assert shown(charts) == whole(charts)


def test_shift_moves_and_a_click_does_nothing(charts):
    charts.evaluate("view.show(view.all[0] + 4000, view.all[0] + 8000)")
    charts.wait_for_function("() => value.frame.shown[0] === view.shown[0]")
    x, y, *_ = box(charts, "#value")
    before = shown(charts)
    charts.mouse.click(x + 300, y + 80)
    assert shown(charts) == before
    charts.keyboard.down("Shift")
    charts.mouse.move(x + 400, y + 80)
    charts.mouse.down()
    charts.mouse.move(x + 300, y + 80)
    charts.mouse.up()
    charts.keyboard.up("Shift")
    assert shown(charts)[0] > before[0]
    assert shown(charts)[1] - shown(charts)[0] == pytest.approx(4000)


def test_cursor_is_in_every_chart(charts):
    x, y, *_ = box(charts, "#value")
    charts.mouse.move(x + 333, y + 60)
    lines = [charts.locator(f"#{name} .trace__cursor").get_attribute("d") for name in ("value", "score")]
    assert [line.partition(" ")[0] for line in lines] == ["M333.5", "M333.5"]
    assert charts.evaluate("value.reading().at === score.reading().at")
    charts.mouse.move(5, 5)
    assert charts.locator("#score .trace__cursor").get_attribute("d") == ""


def test_keyboard_points_zooms_and_moves(charts):
    charts.focus("#value")
    charts.keyboard.press("ArrowRight")
    middle = sum(whole(charts)) / 2
    assert charts.evaluate("view.cursor") > middle
    charts.keyboard.press("+")
    near = shown(charts)
    assert near[1] - near[0] == pytest.approx(0.7 * (whole(charts)[1] - whole(charts)[0]))
    charts.keyboard.press("PageUp")
    assert shown(charts)[0] < near[0]
    charts.keyboard.press("0")
    assert shown(charts) == whole(charts)


def test_threshold_by_mouse_and_by_keyboard(charts):
    x, y, width, _height = box(charts, "#score")
    at = charts.evaluate("score.frame.y(0.5)")
    charts.evaluate("() => { window.told = []; threshold.range.oninput = () => told.push(threshold.value); }")
    charts.mouse.move(x + width - 20, y + at)
    charts.mouse.down()
    charts.mouse.move(x + width - 20, y + charts.evaluate("score.frame.y(0.8)"), steps=5)
    charts.mouse.up()
    assert charts.evaluate("threshold.value") == pytest.approx(0.8, abs=0.011)
    assert len(charts.evaluate("told")) >= 5
    assert charts.locator(".threshold text").text_content() == f"{charts.evaluate('threshold.value'):.2f}"
    # The focus went to the real range: arrows go on from there.
    before = charts.evaluate("threshold.value")
    charts.keyboard.press("ArrowDown")
    assert charts.evaluate("threshold.value") == pytest.approx(before - 0.01)
    assert charts.locator(".threshold text").text_content() == f"{before - 0.01:.2f}"
    assert shown(charts) == whole(charts)


def test_threshold_by_finger(charts):
    x, y, width, _height = box(charts, "#score")
    touch = charts.context.new_cdp_session(charts)
    start = {"x": x + width - 20, "y": y + charts.evaluate("score.frame.y(0.5)")}
    end = {**start, "y": y + charts.evaluate("score.frame.y(0.25)")}
    touch.send("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": [start]})
    touch.send("Input.dispatchTouchEvent", {"type": "touchMove", "touchPoints": [end]})
    touch.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    assert charts.evaluate("threshold.value") == pytest.approx(0.25, abs=0.011)


def test_two_fingers_zoom(charts):
    x, y, *_ = box(charts, "#value")
    touch = charts.context.new_cdp_session(charts)

    def send(kind: str, *places: float) -> None:
        points = [{"x": x + place, "y": y + 80, "id": n} for n, place in enumerate(places)]
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    send("touchStart", 400)
    send("touchStart", 400, 500)
    at = charts.evaluate("[value.frame.timeAt(400), value.frame.timeAt(500)]")
    send("touchMove", 300, 600)
    charts.wait_for_function("() => value.frame.shown[0] === view.shown[0]")
    assert charts.evaluate("[value.frame.timeAt(300), value.frame.timeAt(600)]") == pytest.approx(at, abs=60)
    send("touchEnd")


def test_overview_window_by_mouse_and_keyboard(charts):
    x, y, _width, height = box(charts, "#overview")
    end = charts.evaluate("overview.trace.frame.right")
    charts.mouse.move(x + end, y + height / 2)
    charts.mouse.down()
    charts.mouse.move(x + end - 300, y + height / 2, steps=3)
    charts.mouse.up()
    assert shown(charts)[1] < whole(charts)[1]
    assert not charts.evaluate("view.follows")
    before = shown(charts)
    charts.focus("#overview [aria-label=Shown]")
    charts.keyboard.press("ArrowRight")
    step = (whole(charts)[1] - whole(charts)[0]) / 100
    assert shown(charts) == pytest.approx([before[0] + step, before[1] + step])


def test_live_readings_move_who_looks_at_the_newest(charts):
    push = "(at) => { value.push({ times: [at], values: [71] }); view.goOn(at); }"
    last = whole(charts)[1]
    charts.evaluate(push, last + 40)
    assert shown(charts) == whole(charts) and shown(charts)[1] == last + 40
    # Late, and the same moment again.
    charts.evaluate("(at) => value.push({ times: [at - 20, at], values: [70, 72] })", last + 40)
    assert charts.evaluate("[value.data.times.slice(-3), value.data.values.slice(-2)]") == [
        [last, last + 20, last + 40],
        [70, 72],
    ]
    charts.evaluate("view.show(view.all[0], view.all[0] + 2000)")
    before = shown(charts)
    charts.evaluate(push, last + 4000)
    assert shown(charts) == before


def test_all_charts_leave_room_for_a_handle_where_there_is_one(charts):
    assert charts.evaluate("[view.handles, value.frame.right === score.frame.right]") == [1, True]
    assert charts.evaluate("value.frame.width - value.frame.right") >= 44
    assert charts.evaluate("view.handles = 0, 800 - value.frameOf(800, 200).right") == 8


def test_ticks(charts):
    assert charts.evaluate("scale.valueTicks(0, 1, 4)") == pytest.approx([0, 0.25, 0.5, 0.75, 1])
    assert charts.evaluate("scale.valueTicks(5, 5, 4)") == []
    assert charts.evaluate("scale.valueTicks(71.6, 73.4, 2)") == pytest.approx([72, 73])
    assert charts.evaluate("scale.valueTicks(0.3, 1.9, 2)") == pytest.approx([0.5, 1, 1.5])  # not 1 alone
    narrow = "[1, 3, 10, 40, 90].map((days) => scale.timeTicks(1700003600, 1700003600 + days * 86400, 2).length)"
    assert min(charts.evaluate(narrow)) >= 2
    noon = 1_763_985_600  # 24 November 2025, 12:00
    hours = charts.evaluate(f"scale.timeTicks({noon}, {noon + 86400}, 8)")
    assert [one["text"] for one in hours] == [
        "12:00",
        "15:00",
        "18:00",
        "21:00",
        "Nov 25",
        "03:00",
        "06:00",
        "09:00",
        "12:00",
    ]
    days = charts.evaluate(f"scale.timeTicks({noon}, {noon + 14 * 86400}, 7)")
    assert [one["text"] for one in days] == [
        "Nov 26", "Nov 28", "Nov 30", "Dec 2", "Dec 4", "Dec 6", "Dec 8",
    ]  # fmt: skip


def test_table_and_picture(charts):
    text = charts.evaluate("toCsv([['=Value, °C', value.data], ['Score', score.data]], view.all)")
    lines = text.splitlines()
    assert lines[0] == 'time,"\'=Value, °C",Score'
    assert len(lines) == 401
    assert lines[101].endswith("Z,," + str(charts.evaluate("data.score.values[100]")))
    size = charts.evaluate(
        """async () => {
          const blob = await toPng([["Value", value], ["Score", score, threshold]], "Press 4");
          const picture = await createImageBitmap(blob);
          return [blob.type, picture.width, picture.height];
        }"""
    )
    _x, _y, width, height = box(charts, "#value")
    assert size == ["image/png", 2 * width, 2 * (44 + height + 24 + box(charts, "#score")[3] + 24)]
