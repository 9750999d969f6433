"""What happened while somebody was away: read, and mark as read."""

from datetime import datetime
from typing import Any

from django.http import HttpRequest
from ninja import Field, Query, Router, Schema

from apps.accounts.models import Scope
from apps.api.auth import KeyAuth
from apps.api.native.paging import Page, Paging, slice_of
from apps.api.native.running import in_thread, owner_of
from apps.notices import queries, services
from apps.notices.models import Kind, Level
from apps.notices.permissions import own_notice

router = Router(auth=KeyAuth(Scope.NOTICES), tags=["Notices"])


class NoticeFilter(Paging):
    kind: Kind | None = None
    unread: bool = Field(False, description="Only those that nobody has read.")


class NoticeOut(Schema):
    id: int
    kind: Kind
    level: Level
    text: str = Field(description="What happened; of one whose subject is gone or not shown any more, that it is so.")
    link: str | None = Field(description="Path of the page that has more; null when there is none any more.")
    is_gone: bool = Field(description="Its subject was deleted, or its reader may not see it any more.")
    times: int = Field(description="How often within the hour; text and level are of the newest.")
    created_at: datetime
    happened_at: datetime = Field(description="When it happened last: what lists are sorted by.")
    read_at: datetime | None


class ReadOut(Schema):
    read: int = Field(description="How many were marked.")


def notice_out(line: queries.Line) -> NoticeOut:
    one = line.notice
    return NoticeOut(
        id=one.pk, kind=Kind(one.kind), level=Level(one.level), text=line.text, link=line.link or None,
        is_gone=line.is_gone, times=one.times, created_at=one.created_at, happened_at=one.happened_at,
        read_at=one.read_at,
    )  # fmt: skip


@router.get("/notices", response=Page[NoticeOut], summary="List notices")
@in_thread
def list_notices(request: HttpRequest, asked: Query[NoticeFilter]) -> dict[str, Any]:
    """Its owner's; the newest first. They are kept for 90 days."""
    owner = owner_of(request)
    rows = queries.narrowed(owner, kind=asked.kind or "", only_unread=asked.unread)
    found, following = slice_of(rows, ("-happened_at", "-id"), asked)
    return {"data": [notice_out(line) for line in queries.lines(owner, found)], "next": following}


@router.post("/notices/read", response=ReadOut, summary="Mark all notices as read")
@in_thread
def read_notices(request: HttpRequest) -> ReadOut:
    return ReadOut(read=services.mark_all_read(reader=owner_of(request)))


@router.post("/notices/{int:notice_id}/read", response=NoticeOut, summary="Mark a notice as read")
@in_thread
def read_notice(request: HttpRequest, notice_id: int) -> NoticeOut:
    """One that was read stays as it is."""
    owner = owner_of(request)
    notice = own_notice(owner, notice_id)
    services.mark_read(notice=notice)
    return notice_out(queries.lines(owner, [notice])[0])
