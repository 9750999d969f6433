from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from apps.accounts.models import Role, User
from apps.anomaly import plant


class Command(BaseCommand):
    help = (
        "Make an asset whose readings are simulated. ANOMALY_DEMO=0 in the environment keeps all of them from running."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--owner", help="e-mail address; without it the organisation's owner")
        parser.add_argument(
            "--if-none", action="store_true", help="do nothing when there has ever been one, or ANOMALY_DEMO is 0"
        )

    def handle(self, *args: Any, owner: str | None, if_none: bool, **options: Any) -> None:
        if if_none and (not settings.ANOMALY_DEMO or plant.was_created()):
            return
        people = User.objects.filter(is_active=True)
        person = people.filter(email=owner.lower()).first() if owner else people.filter(role=Role.OWNER).first()
        if person is None:
            if if_none:
                return
            raise CommandError(f"There is nobody with the address {owner!r}." if owner else "There is no owner yet.")
        plant.create(owner=person)
