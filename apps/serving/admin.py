from django.contrib import admin

from apps.serving.models import Deployment


@admin.register(Deployment)
class DeploymentAdmin(admin.ModelAdmin):
    list_display = ["name", "version", "context_length", "max_batch_size", "is_enabled"]
    list_select_related = ["version__model"]
