"""Pictures: dropped in, watched, found by words, by a picture, without a word; shared, and hidden from strangers."""

import base64
import io
import re
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
from PIL import Image
from playwright.sync_api import expect

from tests.apps.search.conftest import COLOURS, png
from tests.e2e.stack import ROOT
from tests.e2e.test_looks import AXE
from tests.workers import toy_bridge, toy_towers

NAMES = [*COLOURS]
RELEASED = ROOT / "artifacts/v2-sort-of-clevr"
DROP = """([names, contents]) => {
  const data = new DataTransfer();
  names.forEach((name, n) => data.items.add(new File(
    [Uint8Array.from(atob(contents[n]), (c) => c.charCodeAt(0))], name, { type: "image/png" })));
  return data;
}"""


@pytest.fixture(scope="module")
def seer(stack) -> None:
    """A deployment that sees colours."""
    deploy(stack, "colours", toy_towers.build)


@pytest.fixture(scope="module")
def bridges(stack) -> None:
    """The one that answers questions from the first start on, and the same for pairs of any pictures and words."""
    deploy(stack, "bridge", lambda folder: toy_bridge.without_answers(RELEASED, folder))
    wait_until_ready(stack, RELEASED.name)


def deploy(stack, name: str, build) -> None:
    if name not in stack.python("from apps.serving.models import Deployment; print(*Deployment.objects.all())").split():
        artifact = build(stack.var / "artifacts" / f"toy-{name}")
        stack.manage("register_model", "--artifact", str(artifact), "--name", name, "--title", name.capitalize())
    wait_until_ready(stack, name)


def wait_until_ready(stack, name: str) -> None:
    code = f"from apps.serving.models import Revision; print(Revision.objects.get(deployment__name={name!r}).state)"
    for _ in range(240):
        if stack.python(code).strip().endswith("READY"):
            return
        time.sleep(1)
    raise AssertionError(f"{name} is not ready")


def new_collection(page, name: str, model: str = "colours") -> None:
    page.goto("/search/")
    page.click("[data-dialog-open=new-collection] >> nth=0")
    page.fill("#collection-name", name)
    page.select_option("#collection-model", model)
    page.click("#new-collection button[type=submit]")
    page.wait_for_url("**/manage/")


def drop(page, target: str, named: dict[str, bytes]) -> None:
    contents = [base64.b64encode(content).decode() for content in named.values()]
    data = page.evaluate_handle(DROP, [list(named), contents])
    page.dispatch_event(target, "dragover", {"dataTransfer": data})
    page.dispatch_event(target, "drop", {"dataTransfer": data})


def found(page) -> list[str]:
    return [name.strip() for name in page.locator("[data-results] .picture .picture__line .truncate").all_inner_texts()]


def clean(page) -> None:
    """axe finds nothing."""
    page.evaluate(AXE)
    said = page.evaluate("axe.run(document, {runOnly: ['wcag2a', 'wcag2aa', 'wcag21aa', 'wcag22aa']})")
    assert [(one["id"], one["nodes"][0]["html"][:200]) for one in said["violations"]] == []


def test_from_files_to_a_shared_search(seer, page, stack, browser, tmp_path):
    new_collection(page, f"Colours {time.time():.0f}")
    clean(page)
    pictures = {f"{one}.png": png(one) for one in NAMES} | {"both.png": png("red", "blue"), "broken.png": b"no picture"}
    drop(page, "[data-drop-files]", pictures)
    expect(page.locator("[data-live]")).to_contain_text("9 of 10 files can be found")
    expect(page.locator("[data-live]")).to_contain_text("The file is no picture that can be read")
    expect(page.locator("[data-sending]")).to_contain_text("10 files sent")
    clean(page)

    # The same again adds nothing.
    drop(page, "[data-drop-files]", {"again.png": png("red")})
    expect(page.locator("[data-live]")).to_contain_text("1 were there already")

    page.click(".page__head >> text=Search")
    page.wait_for_url(re.compile(r"/search/collections/[\w-]+/$"))
    assert len(found(page)) == 9
    page.fill("#words", "红")
    page.press("#words", "Enter")
    page.wait_for_url("**q=*")
    assert found(page) == ["red.png", "both.png"]
    assert page.locator(".score").first.inner_text() == "1.000"
    clean(page)

    # By a picture, and without a word.
    page.fill("#words", "")
    path = Path(tmp_path) / "query.png"
    path.write_bytes(png("red", "blue", size=(60, 30)))
    page.set_input_files("[data-query-file]", path)
    page.wait_for_url("**part=sent*")
    assert found(page)[0] == "both.png"
    page.click("[popovertarget=add-part]")
    page.click("[data-add-minus]")
    page.locator("[data-part][data-kind=words] [data-value]").fill("blue")
    page.keyboard.press("Enter")
    page.wait_for_url("**words*")
    assert found(page)[:2] == ["red.png", "both.png"]

    # Part of the picture: its blue half.
    page.click("[data-part][data-kind=words] [data-remove]")
    page.wait_for_url(lambda url: "words" not in url)
    page.click("[data-crop-open]")
    page.fill("[data-edge=left]", "50")
    page.click("[data-crop-do]")
    page.wait_for_url(re.compile("@|%40"))
    assert found(page)[0] == "blue.png"

    # More like those that are selected, kept as a search.
    page.goto(re.sub(r"\?.*", "?q=green", page.url))
    page.check(".picture [data-pick]")
    page.click("[data-like='0.6']")
    page.wait_for_url("**part=picture*")
    assert found(page)[0] == "green.png"
    page.fill("#save-name", "Greens")
    page.click("form[action$='/save/'] button")
    expect(page.locator("[data-toasts]")).to_contain_text("Saved as Greens")
    link = page.locator(".list__item a", has_text="Greens").get_attribute("href")

    # One picture: what looks like it, which label fits.
    page.click(".picture__frame")
    page.wait_for_url("**/pictures/**")
    page.fill("#label-names", "red, green, blue")
    page.press("#label-names", "Enter")
    expect(page.locator("#label-rows .strong")).to_have_text("green")
    clean(page)

    # A stranger sees none of it.
    code = "from apps.accounts.models import User; User.objects.filter(email='stranger@example.com').exists() or "
    stack.python(code + "User.objects.create_user('stranger@example.com', 'a long enough phrase')")
    context = browser.new_context(base_url=stack.url)
    stranger = context.new_page()
    stranger.goto("/accounts/login/")
    stranger.fill("input[type=email]", "stranger@example.com")
    stranger.fill("input[type=password]", "a long enough phrase")
    stranger.click("button[type=submit].btn--primary")
    stranger.wait_for_selector("[data-ask-home]")
    addresses = [link, page.url.replace(stack.url, "")]
    assert [stranger.request.get(address).status for address in addresses] == [404, 404]
    assert page.request.get(link).status == 200
    context.close()


@pytest.mark.slow
def test_a_killed_worker_app_loses_no_file(seer, page, stack):
    """kill -9 in the middle of an upload: each file can be found or is listed as failed, and nothing is there twice."""
    new_collection(page, f"Killed {time.time():.0f}")
    rng = np.random.default_rng(int(time.time()))
    drop(page, "[data-drop-files]", {f"{n}.png": noise(rng) for n in range(200)} | {"bad.png": b"no picture"})
    page.wait_for_function("() => document.querySelector('[data-live] progress')?.value > 5")
    killed = [one for one in psutil.process_iter() if is_app_worker(one, stack.var)]
    for process in killed:
        process.kill()
    assert killed
    expect(page.locator("[data-live]")).to_contain_text("200 of 201 files can be found", timeout=300_000)
    collection = page.url.split("/")[-3]
    code = f"""
from django.core.files.storage import default_storage as storage
from apps.search import vectors
from apps.search.models import Collection, Pending, Picture
collection = Collection.objects.get(pk="{collection}")
pictures = list(collection.pictures.all())
kept = sum(storage.exists(one.file) and storage.exists(one.thumbnail) for one in pictures)
files = sum(len(storage.listdir(f"search/{{collection.pk}}/{{part}}")[1])
            for part in storage.listdir(f"search/{{collection.pk}}")[0])
print(len(pictures), vectors.count(collection.indexes.get()), kept, files, Pending.objects.count())
"""
    assert stack.python(code).split() == ["200", "200", "200", "400", "0"]


def noise(rng) -> bytes:
    file = io.BytesIO()
    Image.fromarray(rng.integers(0, 256, (64, 64, 3), np.uint8)).save(file, "PNG")
    return file.getvalue()


def is_app_worker(process: psutil.Process, var: Path) -> bool:
    """Of this installation."""
    try:
        line = process.cmdline()
        return "worker" in line and "deepseek_web" in line and process.environ().get("VAR_DIR") == str(var)
    except psutil.Error:
        return False


def test_why_a_picture_is_here_and_a_question_about_it(seer, bridges, page, stack):
    new_collection(page, f"Bridge {time.time():.0f}", "bridge")
    drop(page, "[data-drop-files]", {f"{one}.png": png(one, "white") for one in NAMES})
    expect(page.locator("[data-live]")).to_contain_text("8 of 8 files can be found")
    base = page.url.replace("manage/", "")
    page.goto(base + "?q=red+thing&cut=-1")
    expect(page.locator("main")).to_contain_text("Reranked in")
    page.locator("[data-why-open]").first.click()
    panel = page.locator("[data-why]")
    expect(panel.locator("[data-heat=all]")).to_be_visible()
    expect(panel).to_be_focused()
    panel.get_by_role("button", name="thing").click()
    expect(panel.locator("[data-heat='2'] rect").first).to_be_visible()
    expect(panel.locator("[data-heat=all] rect").first).to_be_hidden()
    clean(page)
    panel.get_by_role("button", name="Close").click()
    expect(page.locator("[data-why-open]").first).to_be_focused()

    # Without the bridge: its order is gone, and the address says so.
    page.uncheck("[data-rerank]")
    page.wait_for_url("**rerank=off*")
    expect(page.locator("main")).not_to_contain_text("Reranked in")
    page.check("[data-rerank]")
    page.wait_for_url(lambda url: "rerank" not in url)

    # A question about one of them, and about a picture from elsewhere.
    page.locator(".picture__frame").first.click()
    page.wait_for_url("**/pictures/**")
    page.click("text=Ask about it")
    page.wait_for_url("**/ask/**")
    page.fill("#question", "is the red thing left")
    page.press("#question", "Enter")
    expect(page.locator("#answer .search__row")).to_have_count(5)
    expect(page.locator("#answer [data-heat=all]")).to_be_visible()
    clean(page)
    page.set_input_files("[data-file]", {"name": "q.png", "mimeType": "image/png", "buffer": png("blue")})
    expect(page.locator("[data-preview][src*=sent]")).to_be_visible()
    page.fill("#question", "is the blue thing left")
    page.press("#question", "Enter")
    expect(page.locator("#answer")).to_contain_text("is the blue thing left")
    clean(page)


def test_pages_on_a_phone_and_in_the_dark(seer, bridges, page, stack):
    new_collection(page, f"Phone {time.time():.0f}")
    drop(page, "[data-drop-files]", {f"{one}.png": png(one) for one in NAMES})
    expect(page.locator("[data-live]")).to_contain_text("8 of 8 files can be found")
    base = page.url.replace("manage/", "")
    addresses = ["/search/", base, base + "?q=red&cut=-1", base + "manage/", base + "duplicates/near/", "/search/ask/"]
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        for width in (390, 1440):
            page.set_viewport_size({"width": width, "height": 844})
            for address in addresses:
                page.goto(address)
                clean(page)
                assert page.evaluate("document.documentElement.scrollWidth <= innerWidth + 1"), (address, width)
