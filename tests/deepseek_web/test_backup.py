"""A dump of the database, restored into an empty one, holds the same (docs/operations/backup.md)."""

import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote
from uuid import UUID

import numpy as np
import psycopg
import pytest
from django.db import connection

from apps.accounts.models import User
from apps.anomaly import assets, storing
from apps.anomaly.points import Points
from apps.audit.services import record
from apps.search import vectors
from apps.search.models import Index
from deepseek_web.launch.postgres import binary

pytestmark = [pytest.mark.integration, pytest.mark.django_db(transaction=True)]

OTHER = "restored"


def address(database: str) -> str:
    known = connection.settings_dict
    return f"postgresql://{known['USER']}@/{database}?host={quote(str(known['HOST'] or known['OPTIONS'].get('host')))}"


def run(name: str, *arguments: str) -> None:
    done = subprocess.run([binary(name), *arguments], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.fixture
def restored(tmp_path: Path, owner: User) -> Iterator[str]:
    """The address of a database with what a few services have stored, dumped and restored as the page says."""
    asset = assets.create(owner=owner, name="泵 4", team=None)
    sensor = assets.add_sensor(asset=asset, key="a", name="A", unit="°C", interval=1.0, keep_days=None)
    times = 1_772_323_200 + np.arange(100.0)
    storing.store_readings(asset=asset, points=Points.of(np.full(100, sensor.pk), times, times / 7))
    record(action="backup.test", target=asset, actor=owner)
    index = Index(pk=990, dimensions=8)
    vectors.create_partition(index)
    vectors.create_graph(index)
    vectors.store(index, [(UUID(int=number), np.eye(8, dtype=np.float32)[number]) for number in range(8)])
    here, there, server = (address(name) for name in (connection.settings_dict["NAME"], OTHER, "postgres"))
    run("pg_dump", "--format=custom", f"--file={tmp_path / 'database.dump'}", here)
    run("psql", server, "-c", f"DROP DATABASE IF EXISTS {OTHER} WITH (FORCE)", "-c", f"CREATE DATABASE {OTHER}")
    options = ("--no-owner", "--single-transaction", "--exit-on-error")
    run("pg_restore", *options, f"--dbname={there}", str(tmp_path / "database.dump"))
    yield there
    run("psql", server, "-c", f"DROP DATABASE {OTHER} WITH (FORCE)")
    vectors.drop_partition(990)


def contents(of: psycopg.Connection) -> dict[str, list[tuple]]:
    """Every row of every table, as text."""
    tables = of.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1").fetchall()
    return {name: sorted(of.execute(f'SELECT t::text FROM "{name}" t').fetchall()) for (name,) in tables}


def test_a_restored_database_is_the_same_and_works(restored: str) -> None:
    with psycopg.connect(address(connection.settings_dict["NAME"])) as ours, psycopg.connect(restored) as theirs:
        before, after = contents(ours), contents(theirs)
        assert before.keys() == after.keys()
        assert [name for name in before if before[name] != after[name]] == []
        assert len(after["search_vector_990"]) == 8 and len(after["accounts_user"]) == 1

        nearest = "SELECT picture_id FROM search_vector_990 ORDER BY embedding::halfvec(8) <=> %s::halfvec(8) LIMIT 1"
        assert theirs.execute(nearest, [str([0.0] * 3 + [1.0] + [0.0] * 4)]).fetchone() == (UUID(int=3),)
        with pytest.raises(psycopg.errors.RaiseException):  # the audit log is as unchangeable as before
            theirs.execute("DELETE FROM audit_auditentry")
