"""Limits are set, lifted and previewed; warnings and refusals are told once."""

import json
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.core import mail
from django.db import connection, transaction

from apps.accounts.models import Membership, Team
from apps.audit.models import AuditEntry
from apps.jobs import services as jobs
from apps.jobs.models import Job
from apps.jobs.signals import JobRefused
from apps.quotas import refusals, soft_limits
from apps.quotas.admission import LimitReached, estimate
from apps.quotas.models import LedgerEntry, Limit, Metric, Price, Refusal, Scope, Window
from apps.quotas.queries import effect_of, limits_with_use
from apps.quotas.services import apply_preset, remove_limit, reserve, set_limit
from apps.quotas.settlement import Use, settle
from apps.quotas.sweep import sweep
from apps.quotas.usage import Amounts, account_of, estimated_input
from apps.serving import snapshot, stats
from apps.serving.connection import client
from contracts import names
from contracts.messages import InferenceRequest

REQUESTS, DAY = Metric.REQUESTS, Window.DAY


def spend(who: Any, name: str, **amounts: int) -> None:
    used = Amounts(**{"requests": 1, **amounts})
    reserve(account=account_of(who), source=f"request:{name}", amounts=used, kind="text-generation")
    settle([Use(f"request:{name}", used, 1_700_000_000.0)])


def amounts_of(owner: Any) -> list[tuple[int | None, bool]]:
    return [(one.amount, one.is_default) for one in limits_with_use(Scope.USER, str(owner.pk))]


def test_own_limit_replaces_the_default(owner: Any, member: Any) -> None:
    set_limit(scope=Scope.USER, metric=REQUESTS, window=DAY, amount=5, actor=member)
    assert amounts_of(owner) == [(5, True)]
    own = set_limit(scope=Scope.USER, subject=str(owner.pk), metric=REQUESTS, window=DAY, amount=None, actor=member)
    assert amounts_of(owner) == [(None, False)]
    remove_limit(limit=own, actor=member)
    assert amounts_of(owner) == [(5, True)]
    assert list(AuditEntry.objects.order_by("pk").values_list("action", flat=True)) == [
        "limit.set", "limit.set", "limit.remove",
    ]  # fmt: skip


def test_every_scope_has_to_let_it_pass(owner: Any, member: Any) -> None:
    """The team is one of them, and its members share it."""
    team = Team.objects.create(name="Blue")
    for person in (owner, member):
        Membership.objects.create(team=team, user=person)
        person.team = team
        person.save()
    set_limit(scope=Scope.TEAM, subject=str(team.pk), metric=REQUESTS, window=DAY, amount=2, actor=None)
    spend(owner, "a")
    spend(member, "b")
    with pytest.raises(LimitReached) as refused:
        spend(owner, "c")
    assert (refused.value.counter.scope, refused.value.counter.subject) == ("team", str(team.pk))


@pytest.mark.parametrize(
    "wrong",
    [
        {"window": Window.NOW},
        {"metric": Metric.CONCURRENT_REQUESTS},
        {"amount": -1},
        {"subject": "999999"},
        {"scope": Scope.ORGANIZATION, "subject": "1"},
    ],
)
def test_limit_that_cannot_be(owner: Any, wrong: dict[str, Any]) -> None:
    right = {"scope": Scope.USER, "subject": str(owner.pk), "metric": REQUESTS, "window": DAY, "amount": 1}
    with pytest.raises(ValueError, match=r"^(window|amount|subject): "):
        set_limit(**{**right, **wrong}, actor=None)
    assert not Limit.objects.exists()


def test_presets(owner: Any) -> None:
    set_limit(scope=Scope.USER, metric=REQUESTS, window=DAY, amount=5, actor=None)
    apply_preset(scope=Scope.USER, subject=str(owner.pk), preset="free", actor=owner)
    assert len(limits_with_use(Scope.USER, str(owner.pk))) == 8
    apply_preset(scope=Scope.USER, subject=str(owner.pk), preset="unlimited", actor=owner)
    assert amounts_of(owner) == [(None, False)]
    assert set(Limit.objects.filter(subject=str(owner.pk)).values_list("set_by", flat=True)) == {"preset unlimited"}
    with pytest.raises(ValueError, match="preset: is none of free, standard, unlimited"):
        apply_preset(scope=Scope.USER, subject=str(owner.pk), preset="golden", actor=owner)


def test_preview_counts_old_spend(owner: Any, member: Any) -> None:
    LedgerEntry.objects.bulk_create(
        LedgerEntry(at="2026-01-01T00:00Z", source=f"x:{place}", kind="k", user_id=owner.pk) for place in range(3)
    )
    for place in range(3):
        spend(owner, str(place), output_tokens=10)
    metric, window = Metric.STORED_BYTES, Window.NOW
    assert effect_of(Scope.USER, str(owner.pk), metric, window, 5).over == []
    set_limit(scope=Scope.USER, subject=str(member.pk), metric=REQUESTS, window=DAY, amount=9, actor=None)
    shown = effect_of(Scope.USER, str(member.pk), REQUESTS, DAY, 0)
    assert (shown.used, shown.over) == (0, ["member@example.com"])


def test_warning_is_sent_once(owner: Any, member: Any) -> None:
    member.role = "owner"
    member.save()
    set_limit(scope=Scope.USER, subject=str(owner.pk), metric=REQUESTS, window=DAY, amount=5, actor=None)
    for place in range(5):
        reserve(account=account_of(owner), source=f"request:{place}", amounts=Amounts(1), kind="text-generation")
        settle([Use(f"request:{place}", Amounts(1), 1_700_000_000.0)])
    soft_limits.wait_for_mails()
    assert [message.to for message in mail.outbox] == [["owner@example.com"]]
    assert "80 %" in mail.outbox[0].body
    [(_, event)] = client().xrange(names.user_events_key(owner.pk))
    told = json.loads(event["data"])["text"]
    assert told["en"] == "Your account: 80 % of the limit of 5 requests a day are used."
    assert set(told) == {"en", "zh-hans"}


def test_refusals_are_counted(owner: Any) -> None:
    set_limit(scope=Scope.USER, subject=str(owner.pk), metric=REQUESTS, window=DAY, amount=0, actor=None)
    for times in (2, 3):
        for place in range(times):
            with pytest.raises(LimitReached):
                spend(owner, f"{times}-{place}")
        refusals.store()
    assert refusals.store() == 0
    [row] = Refusal.objects.all()
    assert (row.count, row.subject_label, row.metric, row.window) == (5, "owner@example.com", REQUESTS, DAY)


def test_refusals_are_stored_by_one_at_a_time(owner: Any) -> None:
    """A page that shows them stores them as well, while the task may be doing so."""
    set_limit(scope=Scope.USER, subject=str(owner.pk), metric=REQUESTS, window=DAY, amount=0, actor=None)
    with pytest.raises(LimitReached):
        spend(owner, "a")
    with ThreadPoolExecutor(1) as other, transaction.atomic():
        assert refusals._is_first()
        assert other.submit(_elsewhere, refusals.store).result() == 0
    assert Refusal.objects.count() == 0
    assert refusals.store() == 1


def _elsewhere(act: Any) -> Any:
    try:
        return act()
    finally:
        connection.close()


def test_price_is_that_of_its_time(owner: Any) -> None:
    Price.objects.create(metric=Metric.OUTPUT_TOKENS, per_unit="0.002")
    spend(owner, "a", output_tokens=100)
    Price.objects.update(per_unit="5")
    assert float(LedgerEntry.objects.get().cost) == 0.2


def test_jobs_count_their_seconds_and_are_refused(
    owner: Any, django_capture_on_commit_callbacks: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "_send", lambda job: None)
    set_limit(scope=Scope.USER, subject=str(owner.pk), metric=Metric.COMPUTE_SECONDS, window=DAY, amount=60, actor=None)
    job = jobs.create(kind="import_model", title="m", arguments={}, actor=owner)
    Job.objects.filter(pk=job.pk).update(started_at="2026-01-01T00:00Z")
    with django_capture_on_commit_callbacks(execute=True):
        job.refresh_from_db()
        jobs._interrupt(job)
    assert sweep() == []
    with pytest.raises(JobRefused) as refused:
        jobs.create(kind="import_model", title="m", arguments={}, actor=owner)
    assert "60 compute seconds a day" in str(refused.value)
    assert LedgerEntry.objects.get().kind == "job"


def test_compute_is_reserved_as_the_revision_took_lately(settings: Any) -> None:
    settings.QUOTA_COMPUTE_MS = 1000

    def reserved(revision: str, deadline: float = 600) -> int:
        now = time.time()
        times = {"arrival_time": now, "deadline": now + deadline}
        request = InferenceRequest("r", "echo", "text-classification", {}, revision=revision, **times)
        snapshot.current()
        return estimate(request, 2048).compute_ms

    assert reserved("echo@1") == 1000
    stats.add({"echo@1": Counter(requests=2, compute_ms=28), "slow@1": Counter(requests=1, compute_ms=90_000)})
    assert (reserved("echo@1"), reserved("slow@1"), reserved("echo@2")) == (14, 90_000, 1000)
    assert reserved("slow@1", deadline=20) in {20_000, 20_001}  # a float's last digit


@pytest.mark.parametrize(
    ("inputs", "least", "most"),
    [
        ({"prompt": ""}, 0, 10),
        ({"prompt": "The quick brown fox jumps over the lazy dog."}, 10, 40),
        ({"messages": [{"role": "user", "content": "你好，世界"}]}, 4, 30),
        ({"texts": ["one", "two"]}, 2, 30),
        ({"images": ["A" * 10_000]}, 0, 0),
    ],
)
def test_estimated_input(inputs: dict[str, Any], least: int, most: int) -> None:
    assert least <= estimated_input(inputs) <= most
