"""Verbs on what people keep of searching: saved searches, clicks."""

from apps.accounts.models import User
from apps.search.models import CatalogueText, Click, Collection, Picture, SavedSearch
from apps.search.query import Query


def save(*, collection: Collection, owner: User, name: str, query: Query) -> SavedSearch:
    """Again under the same name replaces it. Pictures that were only sent are kept for a day: such a query is not
    saved. Raises ValueError(`name: reason`)."""
    if any(part.kind == "sent" for part in query.parts):
        raise ValueError("query: has a picture that is kept for a day only. Add it to the collection first.")
    values = {"query": query.written()[:2000]}
    return SavedSearch.objects.update_or_create(collection=collection, owner=owner, name=name, defaults=values)[0]


def click(
    *, collection: Collection, user: User, query: str, place: int, picture: Picture | None = None,
    text: CatalogueText | None = None,
) -> Click:  # fmt: skip
    """Somebody has opened the result at this place, counted from 1."""
    return Click.objects.create(
        collection=collection, user=user, query=query[:2000], picture=picture, text=text, place=place
    )
