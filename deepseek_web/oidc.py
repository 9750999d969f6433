"""Signing in through the organisation's own identity provider, as the environment names it."""

from typing import Any

from deepseek_web.env import EnvError, env, env_list

PROVIDER_ID = "organization"  # part of the address that the provider sends people back to


def providers() -> dict[str, Any]:
    """SOCIALACCOUNT_PROVIDERS; empty without OIDC_ISSUER. Raises EnvError for half a configuration."""
    issuer = env("OIDC_ISSUER", "").rstrip("/")
    if not issuer:
        return {}
    app = {
        "provider_id": PROVIDER_ID,
        "name": env("OIDC_NAME", "OpenID Connect"),
        "client_id": env("OIDC_CLIENT_ID"),
        "secret": env("OIDC_CLIENT_SECRET"),
        "settings": {"server_url": issuer, "fetch_userinfo": True, "oauth_pkce_enabled": True},
    }
    return {"openid_connect": {"APPS": [app], "OAUTH_PKCE_ENABLED": True, "SCOPE": scopes()}}


def scopes() -> list[str]:
    return ["openid", "profile", "email", *env_list("OIDC_EXTRA_SCOPES")]


def roles() -> dict[str, str]:
    """Which value of the claim OIDC_ROLE_CLAIM makes somebody what: `OIDC_ROLES=it-staff=admin,guests=viewer`.

    Raises EnvError for a role that no provider may give.
    """
    pairs = [pair.partition("=") for pair in env_list("OIDC_ROLES")]
    for value, _, role in pairs:
        if role not in {"admin", "member", "viewer"}:
            raise EnvError(f"OIDC_ROLES: {value!r} must be admin, member or viewer, not {role!r}.")
    return {value: role for value, _, role in pairs}
