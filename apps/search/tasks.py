"""Celery entry points of search, on queue `app`."""

from celery import shared_task

from apps.search import demo, embedding, indexes, reading, sending, uploads
from apps.search.models import Collection, Index, QueryPicture
from apps.serving import requests
from contracts import names


def _index(index_id: int) -> Index | None:
    found = Index.objects.select_related("collection__owner", "collection__key", "version")
    return found.filter(pk=index_id).first()


@shared_task(name=names.READ_PICTURES_TASK)
def read() -> None:
    """A slice of what waits; the next one stands behind everybody else's tasks."""
    if reading.read_some():
        sending.ask_to_read()


@shared_task(name=names.READ_QUERY_PICTURE_TASK)
def read_query_picture(query_picture_id: str) -> None:
    query = QueryPicture.objects.filter(pk=query_picture_id).first()
    if query is not None:
        uploads.look(query=query)


@shared_task(name=names.FILL_DEMO_TASK)
def fill_demo(collection_id: str, keys: list[str]) -> None:
    collection = Collection.objects.filter(pk=collection_id).first()
    if collection is not None:
        demo.fill(collection=collection, keys=keys)


@shared_task(name=names.FEED_INDEX_TASK)
def feed(index_id: int) -> None:
    index = _index(index_id)
    if index is not None:
        embedding.feed(index=index)


@shared_task(name=names.TAKE_VECTORS_IN_TASK)
def take_in(request_id: str) -> None:
    embedding.take_in(request_id=request_id, transcript=requests.transcript(request_id))


@shared_task(name=names.MEASURE_INDEX_TASK)
def measure(index_id: int) -> None:
    index = _index(index_id)
    if index is not None:
        indexes.measure_recall(index=index)


@shared_task(name=names.SWEEP_SEARCH_TASK)
def sweep() -> None:
    reading.sweep()
    embedding.sweep()
