"""What ended requests say of versions and of what waits for a label."""

from typing import Any

from django.dispatch import receiver

from apps.serving.requests import Transcript
from apps.serving.signals import request_settled
from apps.teach import teaching


@receiver(request_settled)
def take_in(request_id: str, transcript: Transcript, *, is_awaited: bool = False, **kwargs: Any) -> None:
    """Idempotent. Whatever streams, or is awaited by who sent it, is none of these."""
    if not (is_awaited or transcript.text):
        teaching.take_in(request_id=request_id, transcript=transcript)
