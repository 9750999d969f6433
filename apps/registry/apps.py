from django.apps import AppConfig


class RegistryConfig(AppConfig):
    name = "apps.registry"

    def ready(self) -> None:
        from apps.jobs.signals import job_ended
        from apps.registry.imports import register

        job_ended.connect(register, dispatch_uid="registry")
