"""Forms of the keys page."""

from datetime import datetime, timedelta
from typing import Any

from django import forms
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from apps.accounts.keys import scopes_for
from apps.accounts.models import Scope, Team, User
from apps.accounts.queries import teams_to_spend
from apps.serving.models import Deployment

DAYS = [(7, _("in 7 days")), (30, _("in 30 days")), (90, _("in 90 days")), (365, _("in a year"))]
OVERLAPS = [(0, _("at once")), (1, _("in 1 hour")), (24, _("in 24 hours")), (24 * 7, _("in 7 days"))]

_ASKED_FOR = {Scope.ADMIN, Scope.ACCOUNT}  # a new key has these only when somebody ticks them


class KeyForm(forms.Form):
    name = forms.CharField(
        label=_("Name of the key"),
        max_length=80,
        error_messages={"required": _("Give the key a name, so that you know later what uses it.")},
    )
    scopes = forms.MultipleChoiceField(
        label=_("May be used for"), error_messages={"required": _("Choose what the key may be used for.")}
    )
    deployments = forms.MultipleChoiceField(label=_("Models"), required=False)
    team = forms.ModelChoiceField(Team.objects.none(), label=_("Counts for"), required=False)
    days = forms.TypedChoiceField(
        label=_("Ends"),
        coerce=int,
        required=False,
        empty_value=0,
        choices=[("", pgettext_lazy("a key ends", "never")), *DAYS],
    )

    def __init__(self, *args: Any, owner: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        labels = dict(Scope.choices)
        self.fields["scopes"].choices = [(scope, labels[scope]) for scope in scopes_for(owner)]  # type: ignore[attr-defined]
        self.fields["team"].queryset = teams_to_spend(owner)  # type: ignore[attr-defined]
        self.fields["team"].initial = owner.team_id
        names = Deployment.objects.order_by("name").values_list("name", flat=True)
        self.fields["deployments"].choices = [(name, name) for name in names]  # type: ignore[attr-defined]
        self.fields["scopes"].initial = [scope for scope in scopes_for(owner) if scope not in _ASKED_FOR]

    def expires_at(self) -> datetime | None:
        days = self.cleaned_data["days"]
        return timezone.now() + timedelta(days=days) if days else None


class RotateForm(forms.Form):
    hours = forms.TypedChoiceField(label=_("The old key ends"), coerce=int, choices=OVERLAPS)

    def overlap(self) -> timedelta:
        return timedelta(hours=self.cleaned_data["hours"])
