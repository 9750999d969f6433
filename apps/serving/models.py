"""Deployments: which version of a model answers under which name."""

from django.db import models
from django.utils.translation import gettext_lazy as _

from apps.registry.models import ModelVersion


class Deployment(models.Model):
    name = models.SlugField(_("name"), max_length=80, unique=True)  # what clients call the model
    version = models.ForeignKey(ModelVersion, on_delete=models.PROTECT, related_name="deployments")
    context_length = models.PositiveIntegerField(default=2048)
    max_batch_size = models.PositiveIntegerField(default=16)
    is_enabled = models.BooleanField(default=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name
