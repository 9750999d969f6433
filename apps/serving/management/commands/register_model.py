from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from apps.registry.services import InvalidArtifact, register_version
from apps.serving.deployments import deploy


class Command(BaseCommand):
    help = "Register an artifact folder as a version of a model and deploy it under the model's name."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--artifact", type=Path, required=True)
        parser.add_argument("--name", required=True)
        parser.add_argument("--title", required=True)

    def handle(self, *args: Any, artifact: Path, name: str, title: str, **options: Any) -> None:
        try:
            version = register_version(artifact=artifact, name=name, title=title)
        except InvalidArtifact as error:
            raise CommandError(str(error)) from error
        deploy(version=version, name=name)
        self.stdout.write(f"{version} is deployed as {name}")
