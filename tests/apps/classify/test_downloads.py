"""The classes of a file are sent as they are read."""

import csv
import io
import json
import math
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.test import AsyncClient

from apps.accounts.keys import create_api_key
from apps.accounts.models import User
from apps.classify import queries
from apps.classify.models import Batch, Chunk

pytestmark = pytest.mark.django_db(transaction=True)
CHUNKS, ROWS = 30, 32  # of a chunk


@pytest.fixture
def large(owner: User) -> Batch:
    batch = Batch.objects.create(owner=owner, deployment="mood", file_name="a.txt", status="done", total=CHUNKS * ROWS)
    best = [["good", 0.75], ["bad", 0.25]]
    Chunk.objects.bulk_create(
        Chunk(
            batch=batch,
            number=number,
            rows=[[number * ROWS + place + 1, f"text {place}", ""] for place in range(ROWS)],
            results=[best] * ROWS,
            status="done",
        )
        for number in range(CHUNKS)
    )
    return batch


async def pieces_of(owner: User, address: str) -> list[str]:
    """Over ASGI, by a page's session or a key."""
    client, headers = AsyncClient(), {}
    if address.startswith("/api/"):
        _, secret = await sync_to_async(create_api_key)(owner=owner, name="k")
        headers = {"Authorization": f"Bearer {secret}"}
    else:
        await client.aforce_login(owner)
    answer = await client.get(address, headers=headers)
    assert answer.status_code == 200
    assert answer.is_async
    return [part.decode() async for part in answer.streaming_content]


@pytest.mark.parametrize("address", ["/classify/files/{}/download/csv/", "/api/v1/classify/files/{}/results/csv"])
async def test_a_table_comes_in_pieces_of_a_few_chunks(owner: User, large: Batch, address: str) -> None:
    head, *pieces = await pieces_of(owner, address.format(large.pk))
    assert len(pieces) == math.ceil(CHUNKS / queries._CHUNKS_READ)
    rows = [list(csv.reader(io.StringIO(piece))) for piece in pieces]
    assert max(map(len, rows)) == queries._CHUNKS_READ * ROWS
    assert [int(row[0]) for piece in rows for row in piece] == list(range(1, CHUNKS * ROWS + 1))
    assert head.strip("\ufeff\r\n").split(",") == ["row", "text", "class", "score", "bad", "good", "right", "error"]


async def test_lines_come_in_pieces_of_a_few_chunks(owner: User, large: Batch) -> None:
    pieces = [piece for piece in await pieces_of(owner, f"/classify/files/{large.pk}/download/jsonl/") if piece]
    assert len(pieces) == math.ceil(CHUNKS / queries._CHUNKS_READ)
    rows: list[dict[str, Any]] = [json.loads(line) for piece in pieces for line in piece.splitlines()]
    assert [row["row"] for row in rows] == list(range(1, CHUNKS * ROWS + 1))


async def test_what_nobody_reads_is_not_made(owner: User, large: Batch, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[int] = []
    next_rows = queries.next_rows

    def counting(batch: Batch, after: int) -> Any:
        read.append(after)
        return next_rows(batch, after)

    monkeypatch.setattr(queries, "next_rows", counting)
    client = AsyncClient()
    await client.aforce_login(owner)
    answer = await client.get(f"/classify/files/{large.pk}/download/jsonl/")
    content = aiter(answer.streaming_content)
    await anext(content)
    await anext(content)
    assert read == [-1]


async def test_a_file_without_a_text_has_a_head_only(owner: User) -> None:
    batch = await Batch.objects.acreate(owner=owner, deployment="mood", file_name="a.txt", status="reading")
    assert await pieces_of(owner, f"/classify/files/{batch.pk}/download/csv/") == [
        "\ufeffrow,text,class,score,right,error\r\n"
    ]


async def test_formulas_of_a_file_are_text_in_its_table(owner: User) -> None:
    batch = await Batch.objects.acreate(owner=owner, deployment="mood", file_name="a.csv", status="done", total=1)
    await Chunk.objects.acreate(
        batch=batch, number=0, rows=[[1, "=1+1", "@right"]], results=[[["+good", 0.75], ["＝bad", 0.25]]], status="done"
    )
    table = "".join(await pieces_of(owner, f"/classify/files/{batch.pk}/download/csv/")).lstrip("\ufeff")
    assert list(csv.reader(io.StringIO(table))) == [
        ["row", "text", "class", "score", "'+good", "'＝bad", "right", "error"],
        ["1", "'=1+1", "'+good", "0.75", "0.75", "0.25", "'@right", ""],
    ]
