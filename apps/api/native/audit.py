"""The audit log: who did what, newest first. For administrators."""

from datetime import date, datetime
from typing import Annotated, Any

from django.http import HttpRequest, StreamingHttpResponse
from ninja import Field, Query, Router, Schema

from apps.accounts.models import Scope
from apps.api.auth import KeyAuth
from apps.api.native.paging import Page, Paging, page_of
from apps.api.native.running import in_thread, who
from apps.audit.models import AuditEntry
from apps.audit.queries import Search
from apps.console import audit_csv
from apps.console.audit_search import FIRST, LAST, search

router = Router(auth=KeyAuth(Scope.ADMIN), tags=["Audit log"])
CSV = {"responses": {200: {"content": {"text/csv": {"schema": {"type": "string"}}}}}}
Day = Annotated[date, Field(ge=FIRST, le=LAST)]


class EntryOut(Schema):
    id: int
    at: datetime
    actor: str = Field(description="E-mail address, or a part of the system such as guard.")
    action: str = Field(description="object.verb, such as deployment.roll_back.")
    object_type: str
    object_id: str
    object: str
    data: dict[str, Any] = Field(description="What changed, such as a field with the value before and the one after.")
    address: str | None


class Filters(Schema):
    q: str = Field("", max_length=200, description="Words of the person, the action or the object, or the address.")
    object: str = Field("", max_length=40, description="A type of object, such as deployment.")
    since: Day | None = Field(None, description="The first day.")
    until: Day | None = Field(None, description="The last day.")

    def search(self) -> Search:
        return search(words=self.q, kind=self.object, since=self.since, until=self.until)


class FilteredPage(Paging, Filters):
    pass


def _entry(entry: AuditEntry) -> EntryOut:
    names = ("at", "action", "object_type", "object_id", "data", "address")
    values = {name: getattr(entry, name) for name in names}
    return EntryOut(id=entry.pk, actor=entry.actor_label, object=entry.object_label, **values)


@router.get("/audit", response=Page[EntryOut], summary="Search the audit log")
@in_thread
def list_entries(request: HttpRequest, wanted: Query[FilteredPage]) -> dict[str, Any]:
    return page_of(wanted.search().entries(), ("-id",), wanted, _entry)


@router.get("/audit/csv", openapi_extra=CSV, summary="Download the audit log")
@in_thread
def export_entries(request: HttpRequest, filters: Query[Filters]) -> StreamingHttpResponse:
    """Everything that matches. That somebody took it is written down as well."""
    asked: dict[str, Any] = {name: str(value) for name, value in filters.model_dump().items() if value}
    return audit_csv.download(filters.search().entries(), **who(request), **asked)
