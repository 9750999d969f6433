"""The organisation's settings, for administrators. Whether they need a second factor is set on the page."""

from typing import Any, Literal

from django.forms.models import model_to_dict
from django.http import HttpRequest
from ninja import Field, Router, Schema

from apps.accounts import services
from apps.accounts.forms import OrganizationForm
from apps.accounts.models import Organization, Scope
from apps.api.auth import KeyAuth
from apps.api.native.bodies import Body, valid
from apps.api.native.running import in_thread, who

router = Router(auth=KeyAuth(Scope.ADMIN), tags=["Organisation"])
POLICY = "What happens to a request whose limits cannot be checked: `closed` refuses it, `open` lets it through."


class OrganizationOut(Schema):
    name: str
    time_zone: str
    currency: str
    fail_policy: Literal["closed", "open"] = Field(description=POLICY)
    is_signup_open: bool
    requires_admin_mfa: bool


class OrganizationChanges(Body):
    """What is left out stays as it is."""

    name: str = Field(default_factory=str, max_length=80)
    time_zone: str = Field(default_factory=str, max_length=60, description="Such as Europe/Berlin: days begin there.")
    currency: str = Field(default_factory=str, max_length=3)
    fail_policy: Literal["closed", "open"] = Field(default_factory=lambda: "closed", description=POLICY)
    is_signup_open: bool = Field(default_factory=bool)


def _shown() -> OrganizationOut:
    ours = Organization.current()
    values: dict[str, Any] = {name: getattr(ours, name) for name in OrganizationOut.model_fields}
    return OrganizationOut(**values)


@router.get("/organization", response=OrganizationOut, summary="Read the organisation's settings")
@in_thread
def get_organization(request: HttpRequest) -> OrganizationOut:
    return _shown()


@router.patch("/organization", response=OrganizationOut, summary="Change the organisation's settings")
@in_thread
def update_organization(request: HttpRequest, payload: OrganizationChanges) -> OrganizationOut:
    now = Organization.current()
    form = OrganizationForm(model_to_dict(now) | payload.model_dump(exclude_unset=True), instance=now)
    services.update_organization(**valid(form).cleaned_data, **who(request))
    return _shown()
