"""How an artifact is addressed: a folder, or `s3://bucket/prefix/name` (docs/artifacts.md)."""

import os

MANIFEST = "manifest.json"  # written last: without it a folder is not an artifact
_SCHEME = "s3://"


def is_remote(address: str) -> bool:
    return address.startswith(_SCHEME)


def split(address: str) -> tuple[str, str]:
    """Bucket and key of `s3://bucket/key`. Raises ValueError."""
    bucket, _, key = address.removeprefix(_SCHEME).partition("/")
    if not is_remote(address) or not bucket:
        raise ValueError(f"{address!r} is not an address like s3://bucket/prefix.")
    return bucket, key.strip("/")


def addressing_style() -> str:
    """path (https://host/bucket) or virtual (https://bucket.host); auto leaves it to boto3, which knows Amazon's.

    Servers of one's own rarely have a name in the DNS for each bucket, so with an endpoint the default is path.
    """
    has_endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    return os.environ.get("ARTIFACT_STORE_ADDRESSING") or ("path" if has_endpoint else "auto")
