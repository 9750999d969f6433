from django.apps import AppConfig


class ServingConfig(AppConfig):
    name = "apps.serving"

    def ready(self) -> None:
        from apps.serving import events  # noqa: F401  hears of people whose rights change
