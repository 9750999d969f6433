"""Who may see, search and change which collection. Everybody else gets 404.

Its owner changes a collection; the members of the team that it is shared with see and search it.
"""

from uuid import UUID

from django.contrib.auth.models import AnonymousUser
from django.db.models import Q, QuerySet
from django.shortcuts import get_object_or_404

from apps.accounts.models import Team, User
from apps.search.models import (
    CatalogueText,
    Collection,
    Index,
    Picture,
    QueryPicture,
    SavedSearch,
    Upload,
    UploadItem,
)

Person = User | AnonymousUser


def sees(user: Person, prefix: str = "") -> Q:
    """The rule itself, for rows whose collection is behind `prefix`."""
    return Q(**{f"{prefix}owner_id": user.pk}) | Q(**{f"{prefix}team__memberships__user_id": user.pk})


def visible_collections(user: Person) -> QuerySet[Collection]:
    # By ids: a join with memberships would show a collection once for each way in which it is visible.
    return Collection.objects.filter(pk__in=Collection.objects.filter(sees(user)).values("pk"))


def visible_collection(user: Person, collection_id: UUID) -> Collection:
    return get_object_or_404(visible_collections(user).select_related("owner", "team"), pk=collection_id)


def owned_collection(user: Person, collection_id: UUID) -> Collection:
    return get_object_or_404(Collection.objects.select_related("owner", "team"), pk=collection_id, owner_id=user.pk)


def visible_pictures(user: Person) -> QuerySet[Picture]:
    return Picture.objects.filter(collection__in=visible_collections(user))


def visible_picture(user: Person, picture_id: UUID) -> Picture:
    return get_object_or_404(visible_pictures(user).select_related("collection__owner"), pk=picture_id)


def owned_picture(user: Person, picture_id: UUID) -> Picture:
    return get_object_or_404(
        Picture.objects.select_related("collection__owner"), pk=picture_id, collection__owner_id=user.pk
    )


def owned_upload(user: Person, upload_id: UUID) -> Upload:
    return get_object_or_404(
        Upload.objects.select_related("collection__owner"), pk=upload_id, collection__owner_id=user.pk
    )


def owned_item(user: Person, item_id: int) -> UploadItem:
    return get_object_or_404(
        UploadItem.objects.select_related("upload"), pk=item_id, upload__collection__owner_id=user.pk
    )


def owned_index(user: Person, index_id: int) -> Index:
    return get_object_or_404(Index.objects.select_related("collection"), pk=index_id, collection__owner_id=user.pk)


def owned_query_picture(user: Person, query_picture_id: UUID) -> QueryPicture:
    return get_object_or_404(QueryPicture, pk=query_picture_id, owner_id=user.pk)


def visible_search(user: Person, search_id: UUID) -> SavedSearch:
    return get_object_or_404(
        SavedSearch.objects.select_related("collection"), pk=search_id, collection__in=visible_collections(user)
    )


def owned_search(user: Person, search_id: UUID) -> SavedSearch:
    """Who saved it, or whose collection it is of, may delete it."""
    return get_object_or_404(SavedSearch, Q(owner_id=user.pk) | Q(collection__owner_id=user.pk), pk=search_id)


def visible_text(user: Person, text_id: int) -> CatalogueText:
    return get_object_or_404(CatalogueText, pk=text_id, collection__in=visible_collections(user))


def teams_to_share_with(user: User) -> QuerySet[Team]:
    """Those that one is in."""
    return Team.objects.filter(memberships__user=user)
