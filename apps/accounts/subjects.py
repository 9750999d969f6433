"""On whose behalf something is asked: what quotas count against and the audit log names."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Subject:
    """Every scope that is named applies."""

    organization: int
    team: int | None
    user: int
    key: str | None = None

    @property
    def scopes(self) -> list[str]:
        """From the widest to the narrowest: `organization:1`, `team:3`, `user:7`, `key:…`."""
        named = {"organization": self.organization, "team": self.team, "user": self.user, "key": self.key}
        return [f"{kind}:{value}" for kind, value in named.items() if value is not None]
