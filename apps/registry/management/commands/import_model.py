import time
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from apps.jobs import services as jobs
from apps.jobs import streams
from apps.jobs.models import Job
from apps.registry.services import InvalidImport, start_import


class Command(BaseCommand):
    help = "Import a Hugging Face, GGUF, ONNX or onnxruntime-genai model as a version. Needs worker-train."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("source", help="folder or file below IMPORT_ROOTS; relative to the first of them")
        parser.add_argument("--name", required=True)
        parser.add_argument("--title", default="")
        parser.add_argument("--task", default="auto")
        parser.add_argument("--precision", default="auto")
        parser.add_argument("--wait", action="store_true", help="show the progress, end with the job")

    def handle(self, *args: Any, wait: bool, **options: Any) -> None:
        wanted = {key: options[key] for key in ("source", "name", "title", "task", "precision")}
        try:
            job = start_import(actor=None, **wanted)
        except InvalidImport as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"job {job.pk}")
        if wait:
            self._follow(job)

    def _follow(self, job: Job) -> None:
        """Show log and progress as they come. Ctrl-C cancels the job. Raises CommandError when it fails."""
        shown, stage = 0, ""
        try:
            while not job.is_over:
                time.sleep(0.5)
                lines = streams.ending(str(job.pk)).lines
                for line in lines[shown:]:
                    self.stdout.write(f"  {line}")
                shown = len(lines)
                jobs.recover()  # also when beat does not run
                job.refresh_from_db()
                if (now := f"{job.fraction:4.0%} {job.stage}") != stage:
                    self.stdout.write(stage := now)
        except KeyboardInterrupt:
            jobs.cancel(job=job, actor=None)
            raise CommandError("The import is being cancelled.") from None
        if job.state != Job.State.SUCCEEDED:
            raise CommandError(job.reason or "The import failed.")
        self.stdout.write(self.style.SUCCESS(f"{job.arguments['name']}: {job.result['artifact']}"))
