"""The audit log is written once."""

import pytest
from django.db import ProgrammingError, connection, transaction

from apps.accounts.models import User
from apps.audit import queries, services
from apps.audit.models import AuditEntry


def test_record_names_actor_and_object(db: None) -> None:
    root = User.objects.create_superuser("root@example.com", "correct horse")
    entry = services.record(action="user.rename", target=root, actor=root, address="10.0.0.7", name=["", "Root"])
    assert list(queries.entries_of(root)) == [entry]
    assert (entry.actor_label, entry.object_type, entry.object_id) == ("root@example.com", "user", str(root.pk))
    assert entry.data == {"name": ["", "Root"]}


@pytest.mark.parametrize("change", ["update", "delete"])
def test_record_refuses_change(db: None, change: str) -> None:
    root = User.objects.create_superuser("root@example.com", "correct horse")
    entry = services.record(action="user.rename", target=root, part="guard")
    with pytest.raises(ProgrammingError, match="never changed"), transaction.atomic():
        AuditEntry.objects.filter(pk=entry.pk).update(action="x") if change == "update" else entry.delete()


def test_record_refuses_truncate(db: None) -> None:
    refused = pytest.raises(ProgrammingError, match="never changed")
    with connection.cursor() as cursor, refused, transaction.atomic():
        cursor.execute("TRUNCATE audit_auditentry")


def test_entry_outlives_its_actor(db: None) -> None:
    root = User.objects.create_user("root@example.com", "correct horse")
    services.record(action="user.rename", target=root, actor=root)
    root.delete()
    assert AuditEntry.objects.get().actor_label == "root@example.com"
