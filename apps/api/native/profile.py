"""Who the key acts for."""

from django.http import HttpRequest
from ninja import Field, Router, Schema

from apps.accounts.forms import ProfileForm
from apps.accounts.models import Scope, User
from apps.api.auth import KeyAuth
from apps.api.native.bodies import Body, valid
from apps.api.native.running import in_thread, owner_of

router = Router(auth=KeyAuth(Scope.ACCOUNT), tags=["Account"])


class ProfileOut(Schema):
    id: int
    email: str
    name: str
    is_administrator: bool


class ProfileChanges(Body):
    name: str = Field(max_length=80, description="Empty: the first part of the e-mail address is shown.")


def _profile(user: User) -> ProfileOut:
    return ProfileOut(id=user.pk, email=user.email, name=user.name, is_administrator=user.is_administrator)


@router.get("/profile", response=ProfileOut, summary="Read one's profile")
@in_thread
def get_profile(request: HttpRequest) -> ProfileOut:
    return _profile(User.objects.get(pk=owner_of(request).pk))


@router.patch("/profile", response=ProfileOut, summary="Change one's profile")
@in_thread
def update_profile(request: HttpRequest, payload: ProfileChanges) -> ProfileOut:
    form = ProfileForm(payload.model_dump(), instance=User.objects.get(pk=owner_of(request).pk))
    return _profile(valid(form).save())
