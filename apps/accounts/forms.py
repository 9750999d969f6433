"""Forms of people, teams, invitations and the organisation."""

import zoneinfo
from typing import Any

from allauth.account import forms as allauth_forms
from allauth.core import context
from django import forms
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from apps.accounts import invited
from apps.accounts.models import Organization, Role, Team, User
from apps.accounts.permissions import is_administrator, managed_teams, team_roles_to_give
from apps.accounts.queries import teams_to_spend

DAYS = [(1, _("1 day")), (7, _("7 days")), (30, _("30 days"))]
CURRENCIES = ["USD", "EUR", "GBP", "CHF", "CNY", "HKD", "TWD", "JPY", "KRW", "SGD", "INR", "AUD", "CAD", "BRL"]


class SignupForm(allauth_forms.SignupForm):  # type: ignore[misc]
    """Knows the address when an invitation names one, and takes no other then."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if invitation := invited.invitation_of(context.request):
            self.fields["email"].initial = invitation.email

    def clean_email(self) -> str:
        email: str = super().clean_email()
        invitation = invited.invitation_of(context.request)
        if invitation and not invitation.is_for(email):
            raise forms.ValidationError(
                gettext("The invitation is for %(email)s. Sign up with that address.") % {"email": invitation.email}
            )
        return email


class ProfileForm(forms.ModelForm[User]):
    class Meta:
        model = User
        fields = ["name"]


class ActiveTeamForm(forms.Form):
    team = forms.ModelChoiceField(Team.objects.none(), label=_("Team"), required=False)

    def __init__(self, *args: Any, user: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["team"].queryset = teams_to_spend(user)  # type: ignore[attr-defined]


class RoleForm(forms.Form):
    role = forms.ChoiceField(label=_("Role"), choices=Role.choices)

    @property
    def chosen(self) -> Role:
        return Role(self.cleaned_data["role"])


class TeamForm(forms.Form):
    name = forms.CharField(label=_("Name"), max_length=80, error_messages={"required": _("Give the team a name.")})


class MemberForm(RoleForm):
    """`by` decides what can be given: who administers a team makes nobody its owner."""

    email = forms.EmailField(label=_("E-mail"))
    field_order = ("email", "role")

    def __init__(self, *args: Any, by: User, team: Team, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.given = team_roles_to_give(by, team)

    def clean_role(self) -> str:
        role: str = self.cleaned_data["role"]
        if role not in self.given:
            raise forms.ValidationError(gettext("Only an owner of the team can make somebody its owner."))
        return role

    def clean_email(self) -> User:
        """The person of that address. Who is not there has to be invited."""
        user = User.objects.filter(email=self.cleaned_data["email"].lower(), is_active=True).first()
        if user is None:
            raise forms.ValidationError(gettext("Nobody here has this address. Invite them instead."))
        return user


class InvitationForm(forms.Form):
    """`by` decides what can be given: an administrator everything but ownership, others what is a team's of theirs."""

    email = forms.EmailField(label=_("E-mail"), required=False)
    role = forms.ChoiceField(label=_("Role"))
    team = forms.ModelChoiceField(Team.objects.none(), label=_("Team"), required=False)
    team_role = forms.ChoiceField(
        label=_("Role in the team"), choices=Role.choices, initial=Role.MEMBER, required=False
    )
    days = forms.TypedChoiceField(label=_("Works for"), coerce=int, choices=DAYS, initial=7)

    def __init__(self, *args: Any, by: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        given = [Role.MEMBER, Role.VIEWER, Role.ADMIN] if is_administrator(by) else [Role.MEMBER, Role.VIEWER]
        self.fields["role"].choices = [(role.value, role.label) for role in given]  # type: ignore[attr-defined]
        self.fields["team"].queryset = managed_teams(by)  # type: ignore[attr-defined]
        self.fields["team"].required = not is_administrator(by)

    def values(self) -> dict[str, Any]:
        """The arguments of `invitations.invite`."""
        data = self.cleaned_data
        return {**data, "role": Role(data["role"]), "team_role": Role(data["team_role"] or Role.MEMBER)}


class OrganizationForm(forms.ModelForm[Organization]):
    time_zone = forms.ChoiceField(
        label=_("Time zone"), choices=[(name, name) for name in sorted(zoneinfo.available_timezones())]
    )
    currency = forms.ChoiceField(label=_("Currency"), choices=[(name, name) for name in CURRENCIES])

    class Meta:
        model = Organization
        fields = ["name", "time_zone", "currency", "fail_policy", "is_signup_open", "requires_admin_mfa"]


class TransferForm(forms.Form):
    """`typed` is the address again, so that nobody hands an organisation over by a slip."""

    to = forms.ModelChoiceField(User.objects.none(), label=_("New owner"))
    typed = forms.CharField(label=_("Address of the new owner"))

    def __init__(self, *args: Any, owner: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        people = User.objects.filter(is_active=True).exclude(pk=owner.pk).order_by("email")
        self.fields["to"].queryset = people  # type: ignore[attr-defined]

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        to = data.get("to")
        if to and data.get("typed", "").strip().lower() != to.email:
            self.add_error("typed", gettext("Type the address of the new owner exactly."))
        return data
