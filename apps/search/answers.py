"""What ended requests say of pictures. Vectors are put into graphs by a task: settling is in everybody's way."""

from typing import Any

from django.dispatch import receiver

from apps.search import embedding, sending
from apps.serving.requests import Transcript
from apps.serving.signals import request_settled
from contracts import names


@receiver(request_settled)
def take_in(request_id: str, transcript: Transcript, *, is_awaited: bool = False, **kwargs: Any) -> None:
    """Idempotent."""
    if not is_awaited and embedding.is_expected(request_id, transcript):
        sending.send(names.TAKE_VECTORS_IN_TASK, request_id)
