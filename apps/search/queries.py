"""What the pages of collections show."""

from dataclasses import dataclass
from typing import Any

from django.db.models import Avg, Count, Q, QuerySet, Sum

from apps.accounts.models import User
from apps.search import uploads, vectors
from apps.search.models import Collection, Index, Pending, Picture, Upload, UploadItem
from apps.search.permissions import visible_collections
from apps.serving.queries import DeploymentState, deployment_states

TASK = "zero-shot-image-classification"
_FAILURES = 50
_UPLOADS = 5


@dataclass(frozen=True, slots=True)
class UploadState:
    """An upload, its figures (uploads.figures) and the first of its failures."""

    upload: Upload
    figures: dict[str, int]
    failures: list[UploadItem]


@dataclass(frozen=True, slots=True)
class IndexState:
    """An index and how much of the collection it has."""

    index: Index
    has: int
    waiting: int
    failed: int
    failures: list[Pending]

    @property
    def total(self) -> int:
        return self.has + self.waiting + self.failed


def collections_of(user: User) -> QuerySet[Collection]:
    """Those one sees, with `size` pictures, their `bytes`, and how many of the last files failed."""
    seen = visible_collections(user).select_related("owner", "team")
    return seen.annotate(size=Count("pictures"), bytes=Sum("pictures__bytes")).order_by("name", "pk")


def covers(collections: list[Collection], each: int = 4) -> dict[Any, list[Picture]]:
    """The newest pictures of each, in one query."""
    rows = Picture.objects.raw(
        "SELECT p.* FROM unnest(%s::uuid[]) c(id) CROSS JOIN LATERAL (SELECT * FROM search_picture p "
        "WHERE p.collection_id = c.id ORDER BY p.added_at DESC, p.id DESC LIMIT %s) p",
        [[one.pk for one in collections], each],
    )
    found: dict[Any, list[Picture]] = {}
    for picture in rows:
        found.setdefault(picture.collection_id, []).append(picture)
    return found


def upload_states(collection: Collection) -> list[UploadState]:
    """The last few, the newest first, and older ones that are not over."""
    live = UploadItem.objects.filter(state__in=["waiting", "reading", "stored"]).values("upload_id")
    rows = collection.uploads.all()
    ids = [one.pk for one in rows[:_UPLOADS]]
    return [
        UploadState(
            one, uploads.figures(one), list(one.items.filter(state=UploadItem.State.FAILED).order_by("pk")[:_FAILURES])
        )
        for one in rows.filter(Q(pk__in=ids) | Q(pk__in=live))
    ]


def index_states(collection: Collection) -> list[IndexState]:
    """What serves first."""
    rows = collection.indexes.select_related("version__model").order_by("-state")
    return [_index_state(index) for index in rows]


def _index_state(index: Index) -> IndexState:
    pending = index.pending.filter(text=None)
    failed = pending.filter(state=Pending.State.FAILED).select_related("picture")
    count = failed.count()
    return IndexState(index, vectors.count(index), pending.count() - count, count, list(failed[:_FAILURES]))


def models(task: str = TASK) -> list[DeploymentState]:
    """Deployments that see pictures and read words."""
    return deployment_states(task)


def tags_of(collection: Collection, most: int = 12) -> list[str]:
    """The most used."""
    rows = Picture.objects.raw(
        "SELECT min(p.id::text)::uuid AS id, tag AS name, count(*) AS uses FROM search_picture p, unnest(p.tags) tag "
        "WHERE p.collection_id = %s GROUP BY tag ORDER BY uses DESC, tag LIMIT %s",
        [collection.pk, most],
    )
    return [row.name for row in rows]


def click_figures(collection: Collection) -> dict[str, Any]:
    """How many results were opened, how many of them stood first, and where they stood on average."""
    return collection.clicks.aggregate(clicks=Count("pk"), first=Count("pk", filter=Q(place=1)), place=Avg("place"))
