from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from apps.accounts.models import User
from apps.accounts.services import remove_second_factor


class Command(BaseCommand):
    help = "Let somebody who has lost the device sign in by password alone. Their sessions end."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("email")

    def handle(self, *args: Any, email: str, **options: Any) -> None:
        user = User.objects.filter(email=email.lower()).first()
        if user is None:
            raise CommandError(f"There is no user {email}.")
        remove_second_factor(user=user)
        self.stdout.write(f"{user} signs in by password alone")
