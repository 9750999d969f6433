from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.core.validators import validate_email
from django.forms import ValidationError

from apps.accounts.models import Role, User
from apps.accounts.services import create_administrator


class Command(BaseCommand):
    help = "Create an administrator, or make an existing user one. Prints the password when none is given."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--email", default="admin@example.com")
        parser.add_argument("--password", help="without it a random one is made and printed once")
        parser.add_argument("--if-none", action="store_true", help="do nothing when there is an administrator")

    def handle(self, *args: Any, email: str, password: str | None, if_none: bool, **options: Any) -> None:
        if if_none and User.objects.filter(role=Role.OWNER, is_active=True).exists():
            return
        try:
            validate_email(email)
        except ValidationError as error:
            raise CommandError(f"{email!r} is not an e-mail address.") from error
        _, secret = create_administrator(email=email, password=password)
        self.stdout.write(f"administrator: {email}" + ("" if password else f"  password: {secret}"))
