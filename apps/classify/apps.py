from django.apps import AppConfig


class ClassifyConfig(AppConfig):
    name = "apps.classify"

    def ready(self) -> None:
        from apps.classify import answers, stored  # noqa: F401  connects the receivers
