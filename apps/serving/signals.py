"""`request_settled` tells the apps that asked for a request how it ended.

Sent once or, after a crash, more than once with equal arguments: receivers must be idempotent.
Arguments: request_id (str), transcript (apps.serving.requests.Transcript), is_awaited (bool: the process that sent
it gives the answer away itself, nothing of it is to be stored).
"""

from django.dispatch import Signal

request_settled = Signal()
