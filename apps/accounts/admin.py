from django.contrib import admin

from apps.accounts.models import APIKey, User


@admin.register(User)
class UserAdmin(admin.ModelAdmin):
    list_display = ["email", "name", "is_staff", "is_active", "last_login"]
    search_fields = ["email", "name"]
    exclude = ["password", "groups", "user_permissions", "first_name", "last_name"]


@admin.register(APIKey)
class APIKeyAdmin(admin.ModelAdmin):
    list_display = ["name", "owner", "prefix", "created_at", "last_used_at", "revoked_at"]
    readonly_fields = ["owner", "prefix", "digest", "last_used_at"]
    list_select_related = ["owner"]

    def has_add_permission(self, request: object) -> bool:
        return False
