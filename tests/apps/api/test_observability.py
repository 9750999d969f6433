"""Who may read metrics and timelines, and what a timeline says."""

import pytest
from django.test import Client

from apps.accounts.keys import create_api_key
from apps.accounts.models import User
from apps.serving.models import Deployment
from tests.fakes import FakeWorker

pytestmark = pytest.mark.django_db(transaction=True)


def bearer(user: User) -> dict[str, str]:
    return {"Authorization": f"Bearer {create_api_key(owner=user, name='k')[1]}"}


@pytest.fixture
def people() -> dict[str, User]:
    return {
        "owner": User.objects.create_user("owner@example.com"),
        "stranger": User.objects.create_user("stranger@example.com"),
        "root": User.objects.create_superuser("root@example.com"),
    }


@pytest.mark.parametrize(("who", "status"), [("root", 200), ("owner", 404), ("", 404)])
def test_metrics_are_for_administrators(people: dict[str, User], client: Client, who: str, status: int) -> None:
    assert client.get("/metrics", headers=bearer(people[who]) if who else {}).status_code == status
    if who:
        client.force_login(people[who])
        assert client.get("/metrics").status_code == status


def test_timeline(deployment: Deployment, worker: FakeWorker, people: dict[str, User], client: Client) -> None:
    body = {"model": "echo", "messages": [{"role": "user", "content": "one two"}]}
    owner = bearer(people["owner"])
    done = client.post("/v1/chat/completions", body, content_type="application/json", headers=owner)
    request_id = done.json()["id"].removeprefix("chatcmpl-")
    worker.finish()

    answers = {who: client.get(f"/api/v1/requests/{request_id}", headers=bearer(people[who])) for who in people}
    assert {who: answer.status_code for who, answer in answers.items()} == {"owner": 200, "stranger": 404, "root": 200}
    found = answers["owner"].json()
    assert [step["event"] for step in found["steps"]] == ["received", "started", "claimed", "ended"]
    assert [step["at"] for step in found["steps"]] == sorted(step["at"] for step in found["steps"])
    assert (found["deployment"], found["revision"], found["state"], found["attempt"]) == ("echo", "echo@1", "done", 1)
    assert found["outcome"]["completion_tokens"] == 2
    assert answers["stranger"].json() == client.get("/api/v1/requests/none", headers=owner).json()
