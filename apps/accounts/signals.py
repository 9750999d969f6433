"""What others may want to know of people."""

from django.dispatch import Signal

# After a commit that changed what somebody may do, or ended a session of theirs. Argument: user_id.
rights_changed = Signal()

# In the transaction in which somebody uses an invitation. Arguments: invitation, user.
invitation_accepted = Signal()
