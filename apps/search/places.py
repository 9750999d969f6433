"""Where the files of a collection lie in the storage."""

from pathlib import Path
from uuid import UUID, uuid5

from apps.files import storing
from apps.search.models import Collection, QueryPicture

_QUERIES = "search/queries"


def picture_id(collection: Collection, sha256: str) -> UUID:
    """The same content has the same id in a collection: stored twice, it is stored once."""
    return uuid5(collection.pk, sha256)


def put(collection: Collection, picture: UUID, folder: Path, extension: str) -> tuple[str, str]:
    """Names of picture and thumbnail."""
    place = f"search/{collection.pk}/{picture.hex[:2]}/{picture.hex}"
    return (
        storing.replace(f"{place}.{extension}", folder / "picture"),
        storing.replace(f"{place}.thumb.webp", folder / "thumbnail"),
    )


def put_query(query: QueryPicture, thumbnail: Path) -> str:
    return storing.replace(f"{_QUERIES}/{query.pk.hex}.webp", thumbnail)
