"""Forms of the profile page."""

from django import forms

from apps.accounts.models import User


class ProfileForm(forms.ModelForm[User]):
    class Meta:
        model = User
        fields = ["name"]
