"""Pages of the console: who sees them, what they say, what the buttons do."""

import uuid
from collections.abc import Callable

import pytest
from django.contrib.auth.models import AbstractBaseUser
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from apps.audit.models import AuditEntry
from apps.console import queries
from apps.jobs import services
from apps.jobs.models import Job
from apps.registry.models import Model
from apps.serving.connection import client as redis_client
from apps.serving.models import Deployment, Revision
from contracts import names

pytestmark = [pytest.mark.integration, pytest.mark.django_db]


@pytest.fixture(autouse=True)
def fresh_stats() -> None:
    queries._last_hour.cache_clear()


def pages() -> list[str]:
    job = Job.objects.first()
    return [
        reverse("console:deployments"),
        reverse("console:deployments") + "?part=live",
        reverse("console:deployment", args=["chat-0"]),
        reverse("console:deployment", args=["chat-0"]) + "?part=live",
        reverse("console:models"),
        reverse("console:version", args=["model-0", 1]),
        reverse("console:workers"),
        reverse("console:jobs"),
        reverse("console:job", args=[job.pk]),
        reverse("console:audit"),
    ]


def acts() -> list[str]:
    revision, job = Revision.objects.first(), Job.objects.first()
    of_deployment = ["add_revision", "share", "guard", "roll_back", "pause", "resume", "delete_deployment"]
    of_revision = ["scale", "promote", "retry_revision", "stop_revision", "start_revision"]
    return [
        reverse("console:create_deployment"),
        reverse("console:import_model"),
        reverse("console:delete_version", args=["model-0", 1]),
        *(reverse(f"console:{name}", args=["chat-0"]) for name in of_deployment),
        *(reverse(f"console:{name}", args=[revision.pk]) for name in of_revision),
        *(reverse(f"console:{name}", args=[job.pk]) for name in ("cancel_job", "retry_job")),
    ]


def test_administrator_sees_every_page(browser: Client, fill: Callable[[int], None]):
    fill(1)
    assert {url: browser.get(url).status_code for url in pages()} == dict.fromkeys(pages(), 200)


@pytest.mark.parametrize("person", ["member", "stranger"])
def test_nobody_else_sees_that_there_are_pages(person: str, fill: Callable[[int], None], request):
    fill(1)
    client = Client()
    client.force_login(request.getfixturevalue(person))
    before = AuditEntry.objects.count()
    assert {url: client.get(url).status_code for url in pages()} == dict.fromkeys(pages(), 404)
    assert {url: client.post(url).status_code for url in acts()} == dict.fromkeys(acts(), 404)
    assert AuditEntry.objects.count() == before


def test_signed_out_person_is_sent_to_the_login(fill: Callable[[int], None]):
    fill(1)
    for url in pages():
        answer = Client().get(url)
        assert (answer.status_code, answer.url.partition("?")[0]) == (302, "/accounts/login/")
    for url in acts():
        assert Client().post(url).status_code == 302


def test_acts_are_refused_by_get(browser: Client, fill: Callable[[int], None]):
    fill(1)
    assert {browser.get(url).status_code for url in acts()} == {405}


@pytest.mark.parametrize("name", ["deployments", "models", "workers", "jobs", "audit"])
def test_lists_need_as_many_queries_for_thirty_rows_as_for_one(name: str, browser: Client, fill: Callable[[int], None]):
    fill(1)
    url = reverse(f"console:{name}")
    browser.get(url)
    with CaptureQueriesContext(connection) as one:
        browser.get(url)
    for kind in (Deployment, Job, Model):
        kind.objects.all().delete()
    fill(30)
    with CaptureQueriesContext(connection) as thirty:
        browser.get(url)
    assert len(thirty) == len(one)


def test_members_have_no_links_to_the_console(member: AbstractBaseUser):
    client = Client()
    client.force_login(member)
    assert b"/console/" not in client.get("/profile/").content


def test_table_shows_state_traffic_and_figures(browser: Client, fill: Callable[[int], None]):
    fill(1)
    page = browser.get(reverse("console:deployments")).content.decode()
    assert page.count('data-state="READY"') == 2
    for text in ("90 %", "10 %", "304 ms", "1.0 tok", "1.0 GB", "gpu-01 has 18.0 GB free", "chat-0: r2 beside r1"):
        assert text in page, text


def test_empty_pages_say_what_to_do(browser: Client):
    said = {
        "deployments": "Nothing is deployed",
        "models": "No models yet",
        "workers": "No worker is alive",
        "jobs": "No jobs yet",
        "audit": "Nothing has happened yet",
    }
    for name, text in said.items():
        assert text in browser.get(reverse(f"console:{name}")).content.decode()


def test_unknown_things_are_404(browser: Client, db: None):
    for url in (
        reverse("console:deployment", args=["nobody"]),
        reverse("console:version", args=["nobody", 1]),
        reverse("console:job", args=[uuid.uuid4()]),
    ):
        assert browser.get(url).status_code == 404


def weights() -> dict[int, int]:
    return dict(Revision.objects.order_by("number").values_list("number", "weight"))


def last_act() -> tuple[str, str, str | None]:
    entry = AuditEntry.objects.exclude(actor=None).first()
    return entry.action, entry.actor_label, entry.address


def test_slider_shares_the_traffic_out(browser: Client, fill: Callable[[int], None]):
    fill(1)
    answer = browser.post(reverse("console:share", args=["chat-0"]), {"revision": 2, "share": 25}, follow=True)
    assert weights() == {1: 75, 2: 25}
    assert "Sent 25 % of chat-0 to r2" in answer.content.decode()
    assert last_act() == ("deployment.set_weights", "owner@example.com", "127.0.0.1")


def test_slider_takes_all_from_the_canary_and_gives_it_back(browser: Client, fill: Callable[[int], None]):
    fill(1)
    for share, expected in ((100, {1: 0, 2: 100}), (40, {1: 60, 2: 40}), (0, {1: 100, 2: 0})):
        browser.post(reverse("console:share", args=["chat-0"]), {"revision": 2, "share": share})
        assert weights() == expected


def test_refusal_of_the_service_is_told_and_changes_nothing(browser: Client, fill: Callable[[int], None]):
    fill(1)
    answer = browser.post(reverse("console:share", args=["chat-0"]), {"revision": 7, "share": 25}, follow=True)
    assert "revision 7 does not run" in answer.content.decode()
    assert weights() == {1: 90, 2: 10}


def test_roll_back_promote_and_pause(browser: Client, fill: Callable[[int], None]):
    fill(1)
    newest = Revision.objects.get(number=2)
    browser.post(reverse("console:promote", args=[newest.pk]))
    assert (weights(), last_act()[0]) == ({1: 0, 2: 100}, "deployment.promote")
    browser.post(reverse("console:roll_back", args=["chat-0"]))
    assert (weights(), last_act()[0]) == ({1: 100, 2: 0}, "deployment.roll_back")
    browser.post(reverse("console:pause", args=["chat-0"]))
    assert (Deployment.objects.get().is_paused, last_act()[0]) == (True, "deployment.pause")
    browser.post(reverse("console:resume", args=["chat-0"]))
    assert Deployment.objects.get().is_paused is False


def test_scale_stop_start_and_retry(browser: Client, fill: Callable[[int], None]):
    fill(1)
    canary = Revision.objects.get(number=2)
    browser.post(reverse("console:scale", args=[canary.pk]), {"replicas": 3})
    browser.post(reverse("console:retry_revision", args=[canary.pk]))
    canary.refresh_from_db()
    assert (canary.replicas, canary.generation) == (3, 2)
    browser.post(reverse("console:stop_revision", args=[canary.pk]))
    canary.refresh_from_db()
    assert (canary.is_wanted, weights()[1]) == (False, 100)
    browser.post(reverse("console:start_revision", args=[canary.pk]))
    canary.refresh_from_db()
    assert canary.is_wanted is True
    assert last_act()[0] == "deployment.start_revision"


def test_scale_refuses_what_is_no_number_of_workers(browser: Client, fill: Callable[[int], None]):
    fill(1)
    url = reverse("console:scale", args=[Revision.objects.first().pk])
    assert "Workers" in browser.post(url, {"replicas": 0}, follow=True).content.decode()
    assert set(Revision.objects.values_list("replicas", flat=True)) == {1}


def test_guard_is_asked_in_per_cent_and_kept_as_a_share(browser: Client, fill: Callable[[int], None]):
    fill(1)
    limits = {"guard_error_percent": "2.5", "guard_p95_seconds": "", "guard_window": 120, "guard_min_requests": 50}
    browser.post(reverse("console:guard", args=["chat-0"]), {**limits, "max_waiting": 64})
    found = Deployment.objects.get()
    assert (found.guard_error_rate, found.guard_p95_seconds, found.guard_window) == (0.025, None, 120)
    assert (found.guard_min_requests, found.max_waiting) == (50, 64)
    browser.post(reverse("console:guard", args=["chat-0"]), {**limits, "guard_error_percent": "two", "max_waiting": 1})
    assert Deployment.objects.get().max_waiting == 64


def test_delete_needs_the_name(browser: Client, fill: Callable[[int], None]):
    fill(1)
    url = reverse("console:delete_deployment", args=["chat-0"])
    assert "was not typed" in browser.post(url, {"typed": "chat"}, follow=True).content.decode()
    assert Deployment.objects.exists()
    browser.post(url, {"typed": "chat-0"})
    assert not Deployment.objects.exists()
    assert last_act()[0] == "deployment.delete"


def test_create_and_add_a_revision(browser: Client, fill: Callable[[int], None]):
    fill(1)
    version = Revision.objects.first().version
    answer = browser.post(reverse("console:create_deployment"), {"name": "mail", "version": version.pk, "replicas": 2})
    assert answer.url == reverse("console:deployment", args=["mail"])
    only = Revision.objects.get(deployment__name="mail")
    assert (only.weight, only.replicas) == (100, 2)
    browser.post(reverse("console:add_revision", args=["mail"]), {"version": version.pk, "weight": 10})
    assert list(Revision.objects.filter(deployment__name="mail").values_list("number", "weight")) == [(2, 10), (1, 90)]


def test_create_refuses_a_name_that_exists(browser: Client, fill: Callable[[int], None]):
    fill(1)
    data = {"name": "chat-0", "version": Revision.objects.first().version_id}
    answer = browser.post(reverse("console:create_deployment"), data, follow=True)
    assert "exists already" in answer.content.decode()
    assert Deployment.objects.count() == 1


def test_foreign_address_is_not_gone_to(browser: Client, fill: Callable[[int], None]):
    fill(1)
    answer = browser.post(reverse("console:pause", args=["chat-0"]), {"next": "https://evil.example/"})
    assert answer.url == reverse("console:deployment", args=["chat-0"])


def test_job_shows_its_stream_while_it_runs(browser: Client, fill: Callable[[int], None]):
    fill(1)
    job = Job.objects.get()
    redis_client().hset(names.job_key(str(job.pk)), "state", "running")
    for event, data in (("log", '{"line": "read <config>"}'), ("progress", '{"stage": "Exporting", "fraction": 0.4}')):
        redis_client().xadd(names.job_stream_key(str(job.pk)), {"event": event, "data": data})
    page = browser.get(reverse("console:job", args=[job.pk])).content.decode()
    for text in ("RUNNING", "Exporting", 'value="40"', "read &lt;config&gt;"):
        assert text in page
    assert "Exporting" in browser.get(reverse("console:jobs")).content.decode()


def test_job_is_cancelled_and_tried_again(
    browser: Client, administrator: AbstractBaseUser, django_capture_on_commit_callbacks
):
    with django_capture_on_commit_callbacks(execute=True):
        job = services.create(kind="import", title="Import", arguments={}, actor=administrator)
    with django_capture_on_commit_callbacks(execute=True):
        browser.post(reverse("console:cancel_job", args=[job.pk]))
    job.refresh_from_db()
    assert job.state == "CANCELLED"
    assert last_act() == ("job.cancel", "owner@example.com", "127.0.0.1")
    answer = browser.post(reverse("console:cancel_job", args=[job.pk]), follow=True)
    assert "over already" in answer.content.decode()
    browser.post(reverse("console:retry_job", args=[job.pk]))
    job.refresh_from_db()
    assert (job.state, job.attempt) == ("QUEUED", 2)


def test_card_shows_the_manifest(browser: Client, fill: Callable[[int], None]):
    fill(1)
    page = browser.get(reverse("console:version", args=["model-0", 1])).content.decode()
    for text in ("parity.max_abs_diff", "0.0003", "a" * 64, "3 MB", "workers.export.chat_model", "chat-0", "a folder"):
        assert text in page, text


def test_audit_log_is_searched(browser: Client, fill: Callable[[int], None]):
    fill(2)
    page = browser.get(reverse("console:audit"), {"q": "owner chat-1"}).content.decode()
    assert "paused chat-1" in page
    assert "paused chat-0" not in page
    assert "Nothing matches" in browser.get(reverse("console:audit"), {"object": "job"}).content.decode()


def test_import_starts_a_job_and_goes_to_it(browser: Client, db: None, settings, tmp_path):
    settings.IMPORT_ROOTS = [str(tmp_path)]
    (tmp_path / "tiny").mkdir()
    answer = browser.post(reverse("console:import_model"), {"source": "tiny", "name": "tiny", "task": "auto"})
    job = Job.objects.get()
    assert answer.url == reverse("console:job", args=[job.pk])
    assert (job.arguments["source"], job.arguments["precision"]) == (str(tmp_path / "tiny"), "auto")
    assert last_act() == ("job.create", "owner@example.com", "127.0.0.1")


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({"source": "/etc", "name": "tiny"}, "is not below"),
        ({"source": "nothing", "name": "tiny"}, "does not exist"),
        ({"name": "tiny"}, "one of both"),
        ({"source": "x", "name": "no name"}, "Name"),
    ],
)
def test_import_that_cannot_start_says_why(
    data: dict[str, str], said: str, browser: Client, db: None, settings, tmp_path
):
    settings.IMPORT_ROOTS = [str(tmp_path)]
    assert said in browser.post(reverse("console:import_model"), data, follow=True).content.decode()
    assert not Job.objects.exists()


def test_version_is_deleted_only_when_nothing_uses_it(browser: Client, fill: Callable[[int], None]):
    fill(1)
    url = reverse("console:delete_version", args=["model-0", 1])
    assert "is used by" in browser.post(url, {"typed": "model-0"}, follow=True).content.decode()
    Deployment.objects.all().delete()
    assert "was not typed" in browser.post(url, {"typed": ""}, follow=True).content.decode()
    browser.post(url, {"typed": "model-0"})
    assert not Model.objects.get().versions.exists()
    assert last_act() == ("model.delete_version", "owner@example.com", "127.0.0.1")
