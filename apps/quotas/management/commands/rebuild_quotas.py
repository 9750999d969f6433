"""Read the counters from the ledger again."""

from typing import Any

from django.core.management.base import BaseCommand

from apps.quotas.limits import take
from apps.quotas.models import Scope
from apps.quotas.seeding import forget_counters, seed


class Command(BaseCommand):
    help = (
        "Forget what Redis has counted and read it from the ledger again. Losses are noticed without it; this is for "
        "counters that are there and wrong."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        forgotten = forget_counters()
        now = take()
        named = {(Scope(scope), subject) for scope, subject in now.limits if subject or scope == Scope.ORGANIZATION}
        counted = sum(seed(now.counters_of(scope, subject)) for scope, subject in named)
        self.stdout.write(f"{forgotten} subjects forgotten, {counted} counters read; the rest is read when needed")
