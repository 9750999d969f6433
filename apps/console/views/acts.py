"""As apps.accounts.acts."""

from apps.accounts.acts import carry_out, reason, refuse, who

__all__ = ["carry_out", "reason", "refuse", "who"]
