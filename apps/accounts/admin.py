from django.contrib import admin

from apps.accounts.models import APIKey, User


@admin.register(User)
class UserAdmin(admin.ModelAdmin):
    list_display = ["email", "name", "is_staff", "is_active", "last_login"]
    search_fields = ["email", "name"]
    exclude = ["password", "groups", "user_permissions", "first_name", "last_name"]


@admin.register(APIKey)
class APIKeyAdmin(admin.ModelAdmin):
    """To look at only: what is done to keys is done on their page, which writes it down."""

    list_display = ["name", "owner", "prefix", "scopes", "created_at", "last_used_at", "expires_at", "revoked_at"]
    exclude = ["digest"]
    list_select_related = ["owner"]

    def has_add_permission(self, request: object) -> bool:
        return False

    def has_change_permission(self, request: object, obj: object = None) -> bool:
        return False

    def has_delete_permission(self, request: object, obj: object = None) -> bool:
        return False
