from django.apps import AppConfig


class TeachConfig(AppConfig):
    name = "apps.teach"

    def ready(self) -> None:
        from apps.teach import answers, stored  # noqa: F401  connects the receivers
