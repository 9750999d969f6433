"""What ended requests say of chunks."""

from typing import Any

from django.dispatch import receiver

from apps.classify import batches
from apps.serving.requests import Transcript
from apps.serving.signals import request_settled


@receiver(request_settled)
def take_in(request_id: str, transcript: Transcript, *, is_awaited: bool = False, **kwargs: Any) -> None:
    """Idempotent. Whatever streams, or is awaited by who sent it, is no chunk."""
    if not (is_awaited or transcript.text):
        batches.take_in(request_id=request_id, transcript=transcript)
