"""Signals: a stranger's file becomes charts, a threshold is dragged, an incident is judged, the plant gets a fault."""

import base64
import re
import time
from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import expect

from tests.e2e.stack import EMAIL
from tests.e2e.test_search import clean

BEGIN = datetime(2026, 3, 1, 6, tzinfo=UTC)
DROP = """([name, content]) => {
  const data = new DataTransfer();
  data.items.add(new File([Uint8Array.from(atob(content), (c) => c.charCodeAt(0))], name, { type: "text/csv" }));
  return data;
}"""
# A detector with a score a minute: quiet, and three times above 1, the last time for longest.
SCORED = """
import math
from datetime import datetime, timedelta, UTC
import numpy as np
from django.db import transaction
from apps.anomaly import partitions, storing
from apps.anomaly.models import Asset, Detector, Finding, Incident
from apps.anomaly.points import Points
asset = Asset.objects.get(pk="{asset}")
sensors = list(asset.sensors.all())
begin = datetime.fromisoformat("{begin}")
detector = Detector.objects.create(
    asset=asset, name="Both together", columns=[one.pk for one in sensors], state="watching", threshold=1.0,
    scored_to=begin + timedelta(minutes=599),
)
detector.sensors.set(sensors)
scores = 0.3 + 0.1 * np.sin(np.arange(600))
for first, last, peak in ((100, 110, 1.5), (250, 260, 2.5), (400, 440, 4.0)):
    scores[first:last] = peak
times = begin.timestamp() + 60.0 * np.arange(600)
points = Points.of(np.full(600, detector.pk), times, scores)
partitions.ensure(("anomaly_score", "anomaly_score_bucket"), points.moments())
with transaction.atomic():
    storing.store_scores(points)
shared = dict(began_at=begin + timedelta(minutes=400), last_at=begin + timedelta(minutes=440))
incident = Incident.objects.create(asset=asset, peak=4.0, ended_at=shared["last_at"], **shared)
Finding.objects.create(
    incident=incident, kind="score", detector=detector, threshold=1.0, peak=4.0, peak_at=shared["began_at"],
    columns=detector.columns, shares=[0.9, 0.1], measured=[90.0, 14.0], expected=[72.0, 14.0], **shared,
)
print(detector.pk, incident.pk)
"""
PLANT = f"""
from apps.accounts.models import User
from apps.anomaly import plant
from apps.anomaly.models import Plant
owner = User.objects.get(email="{EMAIL}")
found = Plant.objects.filter(asset__owner=owner).first()
print(found.asset_id if found else plant.create(owner=owner).pk)
"""


def table() -> bytes:
    """Ten hours, a row about each minute: semicolons, decimal commas, missing cells, a pause of an hour."""
    lines = ["Zeit;Lager °C;Strom;Bemerkung"]
    for n in range(600):
        if 300 <= n < 360:
            continue
        at = BEGIN + timedelta(minutes=n, seconds=n % 7)
        cells = [f"{70 + n % 10},{n % 10}", "" if n % 50 == 3 else f"14,{n % 8}", "ok" if n == 5 else ""]
        lines.append(";".join([f"{at:%d.%m.%Y %H:%M:%S}", *cells]))
    return "\r\n".join(lines).encode()


def last_word(stack, code: str) -> list[str]:
    return stack.python(code).strip().splitlines()[-1].split()


@pytest.fixture(scope="module")
def made() -> dict[str, str]:
    """What the first test leaves for those behind it."""
    return {}


def test_a_strangers_file_becomes_charts(page, stack, made):
    page.goto("/anomaly/")
    page.click("[data-dialog-open=new-asset] >> nth=0")
    page.fill("#asset-name", f"Press {time.time():.0f}")
    page.click("#new-asset button[type=submit]")
    page.wait_for_url("**/data/")
    clean(page)
    page.click("nav.tabs >> text=Charts")
    expect(page.locator("text=No readings yet").first).to_be_visible()
    clean(page)
    page.go_back()
    data = page.evaluate_handle(DROP, ["export.csv", base64.b64encode(table()).decode()])
    page.dispatch_event("[data-drop-readings]", "drop", {"dataTransfer": data})
    page.wait_for_url("**/uploads/**")

    # The columns are found by themselves; one gets a unit by hand.
    expect(page.locator("[data-mapping]")).to_be_visible()
    assert page.input_value("[data-time]") == "Zeit"
    boxes = page.locator("[data-column] [data-take]")
    assert [boxes.nth(n).is_checked() for n in range(boxes.count())] == [False, True, True, False]
    page.fill("[data-column='Lager °C'] [data-sensor]", "bearing")
    page.fill("[data-column='Lager °C'] [data-name]", "Bearing")
    page.fill("[data-column='Lager °C'] [data-unit]", "°C")
    expect(page.locator("[data-mapping-words]")).to_contain_text(
        "Columns that are read: 2, of them for new sensors: 2."
    )
    assert page.locator("[data-preview-rows] tr").first.inner_text().split()[:3] == ["01.03.2026", "06:00:00", "70,0"]
    clean(page)
    page.click("[data-mapping] button[type=submit]")
    expect(page.locator("[data-upload-state]")).to_have_text("read")
    expect(page.locator("[data-upload-stored]")).to_have_text("1,070")
    page.click("[data-upload-charts]")
    page.wait_for_url(re.compile(r"/anomaly/assets/[\w-]+/$"))
    made["asset"] = page.url.rstrip("/").rpartition("/")[2]

    # What is there is drawn, with the hour that nobody measured as a gap.
    page.wait_for_selector("[data-loaded]")
    assert page.locator("[data-sensor]").count() == 2
    expect(page.locator("[data-name='Bearing, °C'] [data-readout]")).to_have_text("79.9 °C")
    clean(page)


def test_looking_closer_is_kept_in_the_address(page, made):
    page.goto(f"/anomaly/assets/{made['asset']}/")
    page.wait_for_selector("[data-loaded]")
    chart = page.locator("[data-sensor] [data-trace]").first
    chart.focus()
    for key in ("ArrowRight", "+", "+"):
        page.keyboard.press(key)
    page.wait_for_url("**begin=2026-0**")
    expect(page.locator("[data-whole]")).to_be_visible()
    shown = page.locator("[data-overview] [role=slider]").nth(1).get_attribute("aria-valuetext")
    page.reload()
    page.wait_for_selector("[data-loaded]")
    expect(page.locator("[data-overview] [role=slider]").nth(1)).to_have_attribute("aria-valuetext", shown)
    page.click("[popovertarget=more]")
    with page.expect_download() as table_download:
        page.click("[data-csv]")
    lines = table_download.value.path().read_text().splitlines()
    assert lines[0].startswith("time,") and 1 < len(lines) < 540
    page.click("[popovertarget=more]")
    with page.expect_download() as picture:
        page.click("[data-png]")
    assert picture.value.path().read_bytes().startswith(b"\x89PNG")
    page.click("[data-whole]")
    page.wait_for_url(lambda url: "begin" not in url)


def test_a_threshold_is_dragged_and_saved(page, stack, made):
    made["detector"], made["incident"] = last_word(stack, SCORED.format(asset=made["asset"], begin=BEGIN.isoformat()))
    page.goto(f"/anomaly/assets/{made['asset']}/")
    page.wait_for_selector("[data-loaded]")
    panel = page.locator("[data-detector]")
    expect(panel.locator("[data-alarms]")).to_have_text("3")
    expect(panel.locator("[data-would]")).to_contain_text("At 1.00 the last 30 days would have raised 3 alarms")
    save = panel.locator("[data-save][type=button]")
    expect(save).to_be_disabled()

    panel.locator("[data-would]").scroll_into_view_if_needed()
    handle = panel.locator(".threshold .handle").bounding_box()
    page.mouse.move(handle["x"] + 20, handle["y"] + 12)
    page.mouse.down()
    page.mouse.move(handle["x"] + 20, handle["y"] - 12, steps=6)
    page.mouse.up()
    expect(panel.locator("[data-alarms]")).not_to_have_text("3")
    value = panel.locator(".limit-text").text_content()
    assert float(value) > 1.2
    # The keyboard goes on where the hand has left it.
    assert page.evaluate("document.activeElement.matches('[data-threshold]')")
    page.keyboard.press("ArrowUp")
    value = panel.locator(".limit-text").text_content()
    expect(save).to_be_enabled()
    save.click()
    expect(page.locator("[data-toast]").last).to_contain_text(f"Threshold saved: {value}")
    page.reload()
    page.wait_for_selector("[data-loaded]")
    expect(panel.locator(".limit-text")).to_have_text(value)
    clean(page)


def test_an_incident_is_judged(page, made):
    page.goto(f"/anomaly/assets/{made['asset']}/")
    page.wait_for_selector("[data-loaded]")
    item = page.locator(f"[data-incident='{made['incident']}']")
    expect(item).to_contain_text("90.0 °C measured, 72.0 °C expected")
    item.locator("text=Show").click()
    page.wait_for_url("**begin=**")
    item.locator("text=Acknowledge").click()
    expect(item.locator(".badge")).to_have_text("Acknowledged")
    item.locator("text=False alarm").click()
    expect(item.locator(".badge")).to_have_text("False alarm")
    item.locator("h3 a").click()
    page.wait_for_url("**/incidents/**")
    page.fill("#comment", "The door stood open.")
    page.click("form:has(#comment) button")
    expect(page.locator("text=The door stood open.")).to_be_visible()
    expect(page.locator("text=set it to: false alarm")).to_be_visible()
    clean(page)
    page.goto("/anomaly/incidents/?state=all")
    expect(page.locator("tbody tr").first).to_be_visible()
    clean(page)


def test_charts_stay_as_they_were_arranged(page, made):
    page.goto(f"/anomaly/assets/{made['asset']}/")
    page.wait_for_selector("[data-loaded]")

    def order() -> list[str]:
        return page.locator("[data-panel]:not([hidden])").evaluate_all("all => all.map((one) => one.dataset.name)")

    before = order()
    page.click("[popovertarget=more]")
    page.click("[data-arrange]")
    page.locator("[data-panel]").nth(0).locator("[data-move=down]").click()
    with page.expect_response("**/layout/"):
        page.locator("[data-panel]").nth(2).locator("[data-put-away]").click()
    assert order() == [before[1], before[0]]
    page.reload()
    page.wait_for_selector("[data-loaded]")
    assert order() == [before[1], before[0]]
    page.click("[popovertarget=more]")
    page.click("[data-arrange]")
    with page.expect_response("**/layout/"):
        page.click("[data-bring-back]:visible")
    assert len(order()) == 3
    page.click("[popovertarget=more]")
    page.click("[data-wall]")
    expect(page.locator(".side")).to_be_hidden()
    page.keyboard.press("Escape")
    page.click("[data-wall-leave]") if page.locator("[data-wall-leave]").is_visible() else None
    expect(page.locator(".side")).to_be_visible()


def test_the_plant_is_live_gets_a_fault_and_the_page_says_when_the_line_is_lost(page, stack):
    asset = last_word(stack, PLANT)[0]
    cut: list[int] = []

    def once(socket) -> None:
        """The first line is cut when something came over it."""
        server = socket.connect_to_server()

        def answer(message) -> None:
            socket.send(message)
            if not cut and '"values"' in message:
                cut.append(1)
                socket.close(code=1012)

        server.on_message(answer)

    page.route_web_socket(re.compile(r"/ws/anomaly/"), once)
    page.goto(f"/anomaly/assets/{asset}/?span=1h")
    state = page.locator("[data-live-words]")
    expect(state).to_contain_text("connection lost, trying again in 1 s")
    expect(state).to_contain_text("live, last reading")
    newest = page.locator("[data-overview] [role=slider]").nth(2).get_attribute("aria-valuenow")
    expect(page.locator("[data-overview] [role=slider]").nth(2)).not_to_have_attribute("aria-valuenow", newest)
    clean(page)

    page.goto(f"/anomaly/assets/{asset}/simulator/")
    page.select_option("#fault-sensor", "bearing")
    page.click("[data-faults] [value=shift]")
    expect(page.locator("[data-fault-words]")).to_have_text("Shift is in: Bearing temperature")
    expect(page.locator("[data-fault-list]")).to_contain_text("Shift, Bearing temperature")
    clean(page)


def test_a_detector_is_fitted_raises_an_alarm_by_itself_and_learns_that_it_was_false(page, stack):
    asset = last_word(stack, PLANT)[0]
    page.goto(f"/anomaly/assets/{asset}/")
    expect(page.locator("[data-live-words]")).to_contain_text("live, last reading")
    page.goto(f"/anomaly/assets/{asset}/detectors/")
    page.locator("[data-dialog-open=new-detector]").first.click()
    page.fill("#detector-name", "Bearing alone")
    for box in page.locator("#new-detector [name=sensors]").all():
        box.set_checked("Bearing temperature" in box.locator("..").inner_text())
    page.select_option("#fit-kind-new", "seasonal")
    clean(page)
    page.click("#new-detector button[type=submit]")
    panel = page.locator("section:has(h2:text-is('Bearing alone'))")
    expect(panel.locator(".badge").first).to_have_text("Watching", timeout=300_000)
    expect(panel.locator("tbody").first).to_contain_text("Distance from the season")
    number = panel.locator("h2").first.get_attribute("id").removeprefix("detector-")
    clean(page)

    def threshold() -> float:
        return page.request.get(f"/anomaly/detectors/{number}/state/").json()["threshold"]

    before = threshold()
    page.goto(f"/anomaly/assets/{asset}/simulator/")
    page.select_option("#fault-sensor", "bearing")
    page.click("[data-faults] [value=shift]")
    expect(page.locator("[data-fault-words]")).to_have_text("Shift is in: Bearing temperature")

    # Nobody looks for it: the readings are scored as they come, and the incident is there.
    page.goto(f"/anomaly/assets/{asset}/?span=1h")
    incident = page.locator("[data-incident]", has_text="Bearing temperature").first
    expect(incident).to_be_visible()
    incident.locator("text=Acknowledge").click()
    expect(incident.locator(".badge")).to_have_text("Acknowledged")
    incident.locator("text=False alarm").click()
    expect(incident.locator(".badge")).to_have_text("False alarm")
    clean(page)
    deadline = time.monotonic() + 60
    while threshold() <= before and time.monotonic() < deadline:
        time.sleep(0.5)
    assert threshold() > before


def test_rules_silences_and_quiet_hours(page, made):
    page.goto(f"/anomaly/assets/{made['asset']}/alerts/")
    page.click("[data-dialog-open=new-rule]")
    page.fill("#rule-name-", "Hot bearing")
    page.fill("#rule-emails-", "shift@example.com")
    page.click("#new-rule button[type=submit]")
    expect(page.locator("li:has-text('Hot bearing')")).to_contain_text("1 e-mail address")
    page.click("[data-dialog-open=silence]")
    expect(page.locator("[data-silence-words]")).to_contain_text("Of the incidents of the last 30 days")
    clean(page)
    page.fill("#silence-reason", "Planned stop")
    page.click("#silence button[type=submit]")
    expect(page.locator("li:has-text('Planned stop')")).to_contain_text("holds")
    page.click(".quiet__day >> nth=0")
    page.click("[data-quiet] button[type=submit]")
    expect(page.locator(".quiet__day input").first).to_be_checked()
    page.click("[data-quiet-add]")
    assert page.locator(".quiet:visible").count() == 2
    clean(page)
    page.goto("/anomaly/deliveries/")
    clean(page)


@pytest.mark.parametrize(
    ("theme", "width", "language"), [("dark", 1440, "en"), ("light", 390, "en"), ("dark", 390, "zh-hans")]
)
def test_every_page_is_whole(context, page, stack, made, theme, width, language):
    """axe finds nothing, and nothing is wider than the screen."""
    page.emulate_media(color_scheme=theme)
    page.set_viewport_size({"width": width, "height": 900})
    context.add_cookies([{"name": "django_language", "value": language, "url": stack.url}])
    asset = f"/anomaly/assets/{made['asset']}/"
    paths = ["/anomaly/", asset, *(f"{asset}{name}/" for name in ("detectors", "settings", "data", "alerts"))]
    for path in [*paths, f"/anomaly/incidents/{made['incident']}/", "/anomaly/incidents/?state=all"]:
        page.goto(path)
        if path == asset:
            page.wait_for_selector("[data-loaded]")
        clean(page)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, path
