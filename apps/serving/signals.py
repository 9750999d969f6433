"""How the apps that asked for requests hear what became of them.

Both are sent once or, after a crash, more than once with equal arguments: receivers must be idempotent.

`requests_settled`, for a batch that is settled together: ended (dict of request id to apps.serving.requests.Ended).
`request_settled`, then for each of them: request_id (str), transcript (apps.serving.requests.Transcript), is_awaited
(bool: the process that sent it gives the answer away itself, nothing of it is to be stored).
`request_discarded`: request_id (str), whose transaction never happened; it was not served.

Of deployments, each in the transaction that stores it, once: `revision_failed`: revision, reason. `rolled_back`, by the
guard: deployment, revision (from which traffic was taken), to, reason.
"""

from django.dispatch import Signal

requests_settled = Signal()
request_settled = Signal()
request_discarded = Signal()
revision_failed = Signal()
rolled_back = Signal()
