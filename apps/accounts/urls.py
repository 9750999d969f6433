from django.urls import path

from apps.accounts.views import invitations, organization, people, profile, teams

app_name = "accounts"

urlpatterns = [
    path("profile/", profile.profile, name="profile"),
    path("profile/team/", profile.choose_team, name="choose_team"),
    path("profile/sessions/", profile.sessions, name="sessions"),
    path("profile/sessions/end-others/", profile.end_other_sessions, name="end_other_sessions"),
    path("profile/sessions/<int:session_id>/end/", profile.end_session, name="end_session"),
    path("people/", people.listing, name="people"),
    path("people/<int:user_id>/", people.detail, name="person"),
    path("people/<int:user_id>/role/", people.set_role, name="set_role"),
    path("people/<int:user_id>/deactivate/", people.deactivate, name="deactivate"),
    path("people/<int:user_id>/reactivate/", people.reactivate, name="reactivate"),
    path("people/<int:user_id>/second-factor/remove/", people.remove_second_factor, name="remove_second_factor"),
    path("people/<int:user_id>/sessions/end/", people.end_sessions, name="end_sessions_of"),
    path("people/sessions/<int:session_id>/end/", people.end_session, name="end_session_of"),
    path("teams/", teams.listing, name="teams"),
    path("teams/create/", teams.create, name="create_team"),
    path("teams/<int:team_id>/", teams.detail, name="team"),
    path("teams/<int:team_id>/rename/", teams.rename, name="rename_team"),
    path("teams/<int:team_id>/delete/", teams.delete, name="delete_team"),
    path("teams/<int:team_id>/leave/", teams.leave, name="leave_team"),
    path("teams/<int:team_id>/members/add/", teams.add_member, name="add_member"),
    path("teams/members/<int:membership_id>/role/", teams.set_role, name="set_team_role"),
    path("teams/members/<int:membership_id>/remove/", teams.remove_member, name="remove_member"),
    path("invitations/create/", invitations.create, name="invite"),
    path("invitations/<int:invitation_id>/revoke/", invitations.revoke, name="revoke_invitation"),
    path("invitations/<str:token>/", invitations.invitation, name="invitation"),
    path("organization/", organization.settings, name="organization"),
    path("organization/transfer/", organization.transfer, name="transfer"),
]
