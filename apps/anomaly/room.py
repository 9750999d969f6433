"""Storage that readings take, as it counts against limits: held in blocks, so that the ledger has a row for fifty
thousand readings and not for each request."""

from django.db.models import F

from apps.anomaly.models import Asset
from apps.quotas import services as quotas
from apps.quotas.usage import account_of

BLOCK = 50_000  # readings
READING_BYTES = 110  # with its key and its share of the sums
KIND = "readings"


def hold(asset: Asset, more: int) -> None:
    """Room for so many readings more. Raises LimitReached, LimitsUnknown; what was held until then stays."""
    stored, blocks, given_back = _numbers(asset)
    while stored + more > (blocks - given_back) * BLOCK:
        quotas.hold_bytes(
            account=account_of(asset.key or asset.owner), source=_source(asset, blocks), amount=BLOCK * READING_BYTES,
            kind=KIND,
        )  # fmt: skip
        Asset.objects.filter(pk=asset.pk, blocks=blocks).update(blocks=F("blocks") + 1)
        stored, blocks, given_back = _numbers(asset)


def give_back(asset: Asset) -> None:
    """Blocks that are not needed any more, one of room left: the asset has fewer readings than before."""
    stored, blocks, given_back = _numbers(asset)
    while blocks - given_back > -(-stored // BLOCK) + 1:
        quotas.release_bytes(source=_source(asset, given_back))
        Asset.objects.filter(pk=asset.pk, given_back=given_back).update(given_back=F("given_back") + 1)
        stored, blocks, given_back = _numbers(asset)


def give_all_back(asset: Asset) -> None:
    """Within the transaction that deletes it."""
    _, blocks, given_back = _numbers(asset)
    for number in range(given_back, blocks):
        quotas.release_bytes(source=_source(asset, number))


def _numbers(asset: Asset) -> tuple[int, int, int]:
    return Asset.objects.values_list("stored", "blocks", "given_back").get(pk=asset.pk)


def _source(asset: Asset, number: int) -> str:
    return f"readings:{asset.pk}:{number}"
