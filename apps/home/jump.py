"""What the palette finds by words: chats, collections, assets, classifiers, and for administrators what is deployed."""

from dataclasses import dataclass
from datetime import datetime

from django.db.models import Model, QuerySet
from django.urls import reverse
from django.utils.translation import gettext as _

from apps.accounts.models import User
from apps.anomaly.permissions import visible_assets
from apps.chat.queries import conversation_page
from apps.search.permissions import visible_collections
from apps.serving.queries import deployment_states
from apps.teach.permissions import visible_classifiers

_CHATS, _EACH = 8, 5


@dataclass(frozen=True, slots=True)
class Place:
    id: str
    title: str
    url: str
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Group:
    title: str
    icon: str
    places: list[Place]


def groups(user: User, words: str) -> list[Group]:
    """Without words the newest chats alone."""
    words = words.replace("\x00", "").strip()[:200]  # PostgreSQL takes no NUL
    chats = conversation_page(owner=user, search=words, limit=_CHATS).items
    found = [Group(_("Chats"), "chat", [
        Place(str(one.pk), str(one), reverse("chat:conversation", args=[one.pk]), one.updated_at) for one in chats
    ])]  # fmt: skip
    if words:
        found += [
            Group(_("Collections"), "search", _named(visible_collections(user), words, "search:page")),
            Group(_("Assets"), "anomaly", _named(visible_assets(user), words, "anomaly:asset")),
            Group(_("Classifiers"), "teach", _named(visible_classifiers(user), words, "teach:page")),
        ]
    if words and user.is_administrator:
        found.append(Group(_("Deployments"), "deployments", _deployments(words)))
    return [one for one in found if one.places]


def _named(rows: QuerySet[Model], words: str, page: str) -> list[Place]:
    found = rows.filter(name__icontains=words).order_by("name", "pk").values_list("pk", "name")[:_EACH]
    return [Place(str(pk), name, reverse(page, args=[pk])) for pk, name in found]


def _deployments(words: str) -> list[Place]:
    states = [one for one in deployment_states() if words.lower() in f"{one.name} {one.title}".lower()]
    return [
        Place(f"deployment-{one.name}", one.title, reverse("console:deployment", args=[one.name]))
        for one in states[:_EACH]
    ]
