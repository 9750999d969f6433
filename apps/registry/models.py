"""Models and the artifacts of their versions."""

from django.db import models
from django.utils.translation import gettext_lazy as _


class Model(models.Model):
    name = models.SlugField(_("name"), max_length=80, unique=True)
    title = models.CharField(_("title"), max_length=120)
    task = models.CharField(_("task"), max_length=60)  # Hugging Face task name
    licence = models.CharField(_("licence"), max_length=60, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return self.name


class ModelVersion(models.Model):
    """One artifact of a model. Versions are never changed, only added."""

    model = models.ForeignKey(Model, on_delete=models.CASCADE, related_name="versions")
    number = models.PositiveIntegerField()
    artifact = models.CharField(max_length=500)  # its name in the store, or an absolute path (artifacts.py)
    digest = models.CharField(max_length=64)  # sha256 of the artifact's manifest
    manifest = models.JSONField(default=dict)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["model", "-number"]
        constraints = [
            models.UniqueConstraint(fields=["model", "number"], name="registry_version_number"),
            models.UniqueConstraint(fields=["model", "digest"], name="registry_version_digest"),
        ]

    def __str__(self) -> str:
        return f"{self.model.name} v{self.number}"
