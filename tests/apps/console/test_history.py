"""Sentences of the audit log."""

import re
from pathlib import Path

import pytest
from django.utils import translation

from apps.accounts import receivers
from apps.audit.models import AuditEntry
from apps.console import history
from apps.console.history import line

pytestmark = pytest.mark.unit


def entry(action: str, actor: str = "ann@example.com", **data: object) -> AuditEntry:
    return AuditEntry(
        action=action, actor_id=1 if "@" in actor else None, actor_label=actor, object_label="chat", data=data
    )


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (entry("deployment.set_weights", weights={"2": [90, 75], "3": [10, 25]}),
         "ann shared the traffic of chat out: r2 75 %, r3 25 %"),
        (entry("deployment.roll_back", "guard", revision=2), "Guard rolled chat back to r2"),
        (entry("deployment.scale", revision=2, replicas=[1, 3]), "ann set r2 of chat to 3 workers"),
        (entry("deployment.revision_ready", "reconciler", revision=3), "r3 of chat is READY"),
        (entry("deployment.scale"), "ann set r… of chat to … workers"),
        (entry("something.new"), "ann something.new chat"),
    ],
)  # fmt: skip
def test_entry_becomes_a_sentence(row: AuditEntry, said: str):
    with translation.override("en"):
        found = line(row)
    assert " ".join(filter(None, [found.who, found.what])) == said


def test_reason_is_kept_apart():
    assert (
        line(entry("deployment.revision_failed", "reconciler", revision=4, reason="needs 5.1 GB")).reason
        == "needs 5.1 GB"
    )


def test_every_act_on_people_and_teams_has_a_sentence():
    folder = Path(__file__).parents[3] / "apps/accounts"
    written = {name for path in folder.glob("*.py") for name in re.findall(r'action="([\w.]+)"', path.read_text())}
    written |= {f"user.{verb}_{kind}" for verb in ("add", "remove") for kind in ("totp", "webauthn")}
    written |= {*receivers._ACTIONS.values(), "user.connect", "user.disconnect", "team.leave", "team.remove_member"}
    assert len(written) > 25
    assert written - set(history._SENTENCES) == set()


def test_roles_are_said_in_the_language_of_the_reader():
    row = entry("user.set_role", role=["member", "viewer"])
    with translation.override("zh-hans"):
        assert line(row).what == "将 chat 的角色由成员改为查看者"
