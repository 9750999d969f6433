from allauth.mfa.models import Authenticator
from allauth.socialaccount.models import SocialApp, SocialToken
from django.contrib import admin

from apps.accounts.models import APIKey, Membership, Team, User

for secretive in (Authenticator, SocialApp, SocialToken):
    admin.site.unregister(secretive)  # their pages show secrets


class ReadOnly(admin.ModelAdmin):
    """To look at only: what is done to people and keys is done on their pages, which check it and write it down."""

    def has_add_permission(self, request: object) -> bool:
        return False

    def has_change_permission(self, request: object, obj: object = None) -> bool:
        return False

    def has_delete_permission(self, request: object, obj: object = None) -> bool:
        return False


@admin.register(User)
class UserAdmin(ReadOnly):
    list_display = ["email", "name", "role", "is_active", "last_login"]
    search_fields = ["email", "name"]
    exclude = ["password", "groups", "user_permissions", "first_name", "last_name"]


@admin.register(Team)
class TeamAdmin(ReadOnly):
    list_display = ["name", "created_at"]


@admin.register(Membership)
class MembershipAdmin(ReadOnly):
    list_display = ["team", "user", "role", "joined_at"]
    list_select_related = ["team", "user"]


@admin.register(APIKey)
class APIKeyAdmin(ReadOnly):
    list_display = [
        "name",
        "owner",
        "team",
        "prefix",
        "scopes",
        "created_at",
        "last_used_at",
        "expires_at",
        "revoked_at",
    ]
    exclude = ["digest"]
    list_select_related = ["owner", "team"]
