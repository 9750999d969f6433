from django.apps import AppConfig


class AnomalyConfig(AppConfig):
    name = "apps.anomaly"

    def ready(self) -> None:
        from apps.anomaly import answers, stored  # noqa: F401  connects the receivers
