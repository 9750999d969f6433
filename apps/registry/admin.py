from django.contrib import admin

from apps.registry.models import Model, ModelVersion


@admin.register(Model)
class ModelAdmin(admin.ModelAdmin):
    list_display = ["name", "title", "task", "licence"]


@admin.register(ModelVersion)
class ModelVersionAdmin(admin.ModelAdmin):
    list_display = ["model", "number", "artifact", "created_at"]
    list_select_related = ["model"]
