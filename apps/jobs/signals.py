"""`job_asked` is sent within the transaction that stores a job or another attempt of one; JobRefused of a receiver
keeps it from being made. Argument: job (apps.jobs.models.Job).

`job_ended` is sent within the transaction that stores the end of a job, once an attempt.

Argument: job (apps.jobs.models.Job). A receiver may store things of its own; when it raises JobRefused, the job
has failed for that reason and nothing of it is kept.
"""

from django.dispatch import Signal

job_asked = Signal()
job_ended = Signal()


class JobRefused(ValueError):
    """What the job made cannot be used; the message says why."""
