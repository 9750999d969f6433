from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from apps.accounts.keys import create_api_key
from apps.accounts.models import Scope, User


class Command(BaseCommand):
    help = "Create an API key for a user and print it. It is shown this once."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("email")
        parser.add_argument("--name", default="command line")
        parser.add_argument("--scope", action="append", choices=Scope.values, help="may be given several times")

    def handle(self, *args: Any, email: str, name: str, scope: list[str] | None, **options: Any) -> None:
        owner = User.objects.filter(email=email.lower(), is_active=True).first()
        if owner is None:
            raise CommandError(f"There is no active user {email}. Create one with `manage.py create_admin --email`.")
        try:
            _, secret = create_api_key(owner=owner, name=name, scopes=scope)
        except ValueError as error:
            raise CommandError(str(error)) from error
        self.stdout.write(secret)
