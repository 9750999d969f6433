"""Verbs on indexes: make one, switch models, measure.

Invariant: for each index of a collection each picture has a vector or a row in Pending, and so has each text. A picture
is stored with its Pending rows in one transaction; a vector takes the place of one in another (embedding.py). Whatever
process ends, nothing is forgotten, and what is missing can be counted.
"""

from collections.abc import Iterable, Sequence
from statistics import median
from time import perf_counter
from uuid import UUID

from django.db import connection, transaction
from django.utils import timezone

from apps.registry.models import ModelVersion
from apps.search import sending, vectors
from apps.search.models import CatalogueText, Collection, Index, Pending, UploadItem
from apps.serving import services as serving
from apps.serving.events import tell_user
from apps.serving.models import Revision

TASK = "zero-shot-image-classification"
_MEASURED = 50  # pictures whose neighbours are compared


def version_of(deployment: str) -> ModelVersion:
    """What the deployment serves, or will. Raises UnknownDeployment, WrongTask, ValueError(`model: reason`)."""
    revisions = Revision.objects.filter(deployment__name=deployment).select_related("version__model")
    found = revisions.order_by("-weight", "-is_wanted", "-number").first()
    if found is None:
        known = Revision.objects.filter(version__model__task=TASK).values_list("deployment__name", flat=True)
        raise serving.UnknownDeployment(deployment, sorted(set(known)))
    if found.version.model.task != TASK:
        raise serving.WrongTask(deployment, found.version.model.task, TASK)
    if not found.version.manifest.get("dimensions"):
        raise ValueError("model: does not say how long its vectors are")
    return found.version


def create_first(*, collection: Collection, deployment: str, version: ModelVersion) -> Index:
    """Of an empty collection: serves at once, and its graph grows with it."""
    index = _create(collection, deployment, version, Index.State.SERVING)
    vectors.create_graph(index)
    return index


@transaction.atomic
def switch(*, collection: Collection, deployment: str) -> Index:
    """Embed everything anew with what the deployment serves; the old index serves until the new one is whole. One
    that was building is given up. Raises what version_of raises, ValueError(`model: reason`) for what serves."""
    Collection.objects.select_for_update().get(pk=collection.pk)
    version = version_of(deployment)
    serving_now = serving_index(collection)
    if serving_now and (serving_now.version_id, serving_now.deployment) == (version.pk, deployment):
        raise ValueError("model: is the one that serves")
    for given_up in collection.indexes.filter(state=Index.State.BUILDING):
        given_up.delete()
    index = _create(collection, deployment, version, Index.State.BUILDING)
    with connection.cursor() as cursor:
        for column, table in (("picture_id", "search_picture"), ("text_id", "search_cataloguetext")):
            cursor.execute(
                f"INSERT INTO search_pending (index_id, {column}, state, request_id, place, attempts, error) "
                f"SELECT %s, id, 'waiting', '', 0, 0, '' FROM {table} WHERE collection_id = %s",
                [index.pk, collection.pk],
            )
    transaction.on_commit(lambda: sending.ask_to_feed(index.pk))
    return index


def give_up(*, index: Index) -> bool:
    """Stop building. False when it serves: that one cannot be given up."""
    if index.state == Index.State.SERVING:
        return False
    index.delete()
    return True


def serving_index(collection: Collection) -> Index | None:
    return collection.indexes.filter(state=Index.State.SERVING).select_related("version__model").first()


def _create(collection: Collection, deployment: str, version: ModelVersion, state: Index.State) -> Index:
    index = Index.objects.create(
        collection=collection, deployment=deployment, version=version, state=state,
        dimensions=int(version.manifest["dimensions"]),
    )  # fmt: skip
    vectors.create_partition(index)
    return index


def expect_pictures(collection: Collection, pictures: Sequence[UUID]) -> None:
    """Within the transaction that stores them: every index shall get them."""
    rows = [Pending(index=index, picture_id=one) for index in collection.indexes.all() for one in pictures]
    Pending.objects.bulk_create(rows, ignore_conflicts=True)


def expect_texts(collection: Collection, texts: Iterable[CatalogueText]) -> None:
    rows = [Pending(index=index, text=one) for one in texts for index in collection.indexes.all()]
    Pending.objects.bulk_create(rows, ignore_conflicts=True, batch_size=1000)


# -- the swap --------------------------------------------------------------------------------------


def swap_if_whole(index: Index) -> None:
    """Nothing waits and nothing is sent: build the graph, then serve in the place of the old one. What failed stays
    listed and can be retried."""
    unfinished = index.pending.exclude(state=Pending.State.FAILED)
    if unfinished.exists():
        return
    vectors.create_graph(index)
    vectors.analyze(index)
    with transaction.atomic():
        # Whoever stores pictures takes this lock as well: none is stored for an index that is going.
        Collection.objects.select_for_update().get(pk=index.collection_id)
        if unfinished.exists() or not Index.objects.filter(pk=index.pk, state=Index.State.BUILDING).exists():
            return
        for old in index.collection.indexes.filter(state=Index.State.SERVING):
            old.delete()
        Index.objects.filter(pk=index.pk).update(state=Index.State.SERVING, problem="")
        index.state = Index.State.SERVING
        stored = UploadItem.objects.filter(upload__collection=index.collection_id, state=UploadItem.State.STORED)
        failed = index.pending.filter(state=Pending.State.FAILED).values("picture_id")
        stored.exclude(picture__in=failed).update(state=UploadItem.State.DONE)
        stored.update(state=UploadItem.State.FAILED, error="The new model could not read the picture.")
    transaction.on_commit(lambda: sending.ask_to_measure(index.pk))
    tell_user(index.collection.owner_id, type="search", collection=str(index.collection_id))


# -- measuring -------------------------------------------------------------------------------------


def measure_recall(*, index: Index) -> float | None:
    """Of the ten nearest of some of its own pictures, the share that a search finds; stored. None when it is empty."""
    ids, found = vectors.sample(index, _MEASURED)
    if not ids:
        return None
    shares, times = [], []
    for vector in found:
        began = perf_counter()
        by_graph = vectors.nearest(index, vector, 10)
        times.append(perf_counter() - began)
        exact = vectors.nearest(index, vector, 10, is_exact=True)
        shares.append(len(set(by_graph) & set(exact)) / len(exact))
    recall = sum(shares) / len(shares)
    Index.objects.filter(pk=index.pk).update(recall=recall, recall_ms=1000 * median(times), recall_at=timezone.now())
    return recall
