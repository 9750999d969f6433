from django.apps import AppConfig


class ClassifyConfig(AppConfig):
    name = "apps.classify"

    def ready(self) -> None:
        from apps.classify import answers  # noqa: F401  connects the receiver
