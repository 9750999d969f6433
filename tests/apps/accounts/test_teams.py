"""Teams: who manages them, and what leaving one ends."""

import pytest
from django.urls import reverse

from apps.accounts import keys, teams
from apps.accounts.models import APIKey, Membership, Role, Team, User
from apps.accounts.permissions import visible_keys
from apps.accounts.queries import team_of
from apps.audit.models import AuditEntry
from tests.apps.accounts.conftest import browser_of

pytestmark = [pytest.mark.integration, pytest.mark.django_db]

# owner administers the team, member is in it, stranger is not.
PEOPLE = ("owner", "member", "stranger", "boss")


def place(team: Team, user: User) -> Membership:
    return Membership.objects.get(team=team, user=user)


@pytest.mark.parametrize(
    ("address", "form", "codes"),
    [
        ("team", None, (200, 200, 404, 200)),
        ("rename_team", {"name": "Theirs"}, (302, 404, 404, 302)),
        ("delete_team", {"typed": "Ours"}, (404, 404, 404, 302)),
        ("add_member", {"email": "stranger@example.com", "role": "member"}, (302, 404, 404, 302)),
    ],
)
def test_who_may_do_what_to_a_team(
    address: str, form: dict[str, str] | None, codes: tuple[int, ...], team: Team, request: pytest.FixtureRequest
) -> None:
    seen = []
    for name in PEOPLE:
        browser = browser_of(request.getfixturevalue(name))
        url = reverse(f"accounts:{address}", args=[team.pk])
        seen.append((browser.get(url) if form is None else browser.post(url, form)).status_code)
    assert tuple(seen) == codes


@pytest.mark.parametrize("address", ["set_team_role", "remove_member"])
def test_members_do_not_manage_each_other(address: str, team: Team, owner: User, member: User, stranger: User) -> None:
    url = reverse(f"accounts:{address}", args=[place(team, owner).pk])
    assert [browser_of(user).post(url, {"role": "viewer"}).status_code for user in (member, stranger)] == [404, 404]


def test_administrator_of_a_team_has_no_power_over_its_owner(team: Team, owner: User, member: User) -> None:
    Membership.objects.filter(user=member).update(role=Role.OWNER)
    with pytest.raises(ValueError, match="owner"):
        teams.set_team_role(membership=place(team, member), role=Role.VIEWER, actor=owner)
    with pytest.raises(ValueError, match="owner"):
        teams.remove_member(membership=place(team, member), actor=owner)
    with pytest.raises(ValueError, match="owner"):
        teams.set_team_role(membership=place(team, owner), role=Role.OWNER, actor=owner)


def test_leaving_ends_the_keys_and_the_choice(team: Team, member: User) -> None:
    teams.choose_team(user=member, team=team)
    _, secret = keys.create_api_key(owner=member, name="nightly", team=team)
    kept, _ = keys.create_api_key(owner=member, name="mine")
    assert keys.authenticate_key(secret) is not None
    browser_of(member).post(reverse("accounts:leave_team", args=[team.pk]))
    member.refresh_from_db()
    assert (member.team, list(member.teams.all())) == (None, [])
    assert keys.authenticate_key(secret) is None
    kept.refresh_from_db()
    assert kept.is_active
    assert AuditEntry.objects.latest("pk").action == "team.leave"


def test_a_viewer_of_a_team_does_nothing_in_its_name(team: Team, owner: User, member: User) -> None:
    key, _ = keys.create_api_key(owner=member, name="nightly", team=team)
    teams.choose_team(user=member, team=team)
    teams.set_team_role(membership=place(team, member), role=Role.VIEWER, actor=owner)
    member.refresh_from_db()
    key.refresh_from_db()
    assert (member.team, key.is_active) == (None, False)
    with pytest.raises(ValueError, match="only look"):
        teams.choose_team(user=member, team=team)
    with pytest.raises(ValueError, match="team"):
        keys.create_api_key(owner=member, name="another", team=team)


def test_deleting_a_team_revokes_its_keys_and_keeps_its_people(team: Team, boss: User, member: User) -> None:
    key, _ = keys.create_api_key(owner=member, name="nightly", team=team)
    url = reverse("accounts:delete_team", args=[team.pk])
    browser_of(boss).post(url, {"typed": "ours"})
    assert Team.objects.exists()
    browser_of(boss).post(url, {"typed": "Ours"})
    key.refresh_from_db()
    assert (Team.objects.exists(), key.is_active, key.team) == (False, False, None)
    assert User.objects.filter(pk=member.pk).exists()


def test_team_of_a_request(team: Team, member: User) -> None:
    other = Team.objects.create(name="Other")
    Membership.objects.create(team=other, user=member)
    teams.choose_team(user=member, team=team)
    key, _ = keys.create_api_key(owner=member, name="nightly", team=other)
    own, _ = keys.create_api_key(owner=member, name="mine")
    assert (team_of(member), team_of(member, key), team_of(member, own)) == (team, other, None)


def test_keys_of_a_team_are_seen_and_revoked_by_who_administers_it(
    team: Team, owner: User, member: User, stranger: User, boss: User
) -> None:
    key, _ = keys.create_api_key(owner=member, name="nightly", team=team)
    private, _ = keys.create_api_key(owner=member, name="mine")
    assert [set(visible_keys(user)) for user in (owner, member, stranger, boss)] == [
        {key}, {key, private}, set(), {key, private},
    ]  # fmt: skip
    assert key.prefix in browser_of(owner).get("/keys/", {"who": "all"}).content.decode()
    assert browser_of(stranger).post(reverse("keys:revoke", args=[key.pk])).status_code == 404
    assert browser_of(owner).post(reverse("keys:revoke", args=[private.pk])).status_code == 404
    browser_of(owner).post(reverse("keys:revoke", args=[key.pk]))
    assert not APIKey.objects.get(pk=key.pk).is_active


def test_a_key_is_made_for_a_team_on_its_page(team: Team, member: User, stranger: User) -> None:
    form = {"name": "nightly", "scopes": ["chat"], "team": team.pk}
    assert browser_of(stranger).post("/keys/", form).status_code == 422
    browser_of(member).post("/keys/", form)
    assert APIKey.objects.get().team == team


def test_names_of_teams_are_taken_once(team: Team, boss: User) -> None:
    with pytest.raises(ValueError, match="name already"):
        teams.create_team(name="OURS", actor=boss)


@pytest.mark.parametrize("rows", [1, 30])
def test_team_page_takes_the_same_queries(rows: int, team: Team, boss: User, django_assert_num_queries) -> None:
    for number in range(rows):
        Membership.objects.create(team=team, user=User.objects.create_user(f"p{number}@example.com"))
    browser = browser_of(boss)
    url = reverse("accounts:team", args=[team.pk])
    browser.get(url)
    # user, team, whether one manages it, members, one's own place, invitations, keys, open incidents, notices
    with django_assert_num_queries(9):
        browser.get(url)


@pytest.mark.parametrize("rows", [1, 30])
def test_teams_take_the_same_queries(rows: int, boss: User, django_assert_num_queries) -> None:
    for number in range(rows):
        Team.objects.create(name=f"Team {number}")
    browser = browser_of(boss)
    browser.get(reverse("accounts:teams"))
    with django_assert_num_queries(5):  # user, number of teams, teams, open incidents, notices
        browser.get(reverse("accounts:teams"))
