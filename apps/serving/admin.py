from django.contrib import admin

from apps.serving.models import Deployment, Revision


@admin.register(Deployment)
class DeploymentAdmin(admin.ModelAdmin):
    list_display = ["name", "is_paused", "max_waiting"]


@admin.register(Revision)
class RevisionAdmin(admin.ModelAdmin):
    list_display = ["__str__", "version", "weight", "state", "reason"]
    list_select_related = ["deployment", "version__model"]
