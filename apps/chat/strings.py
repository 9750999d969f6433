"""What the scripts of the pages say. `{name}` is filled in by the script."""

from django.utils.translation import gettext_lazy as _

STRINGS = {
    "copy": _("Copy"),
    "copied": _("Copied"),
    "copy_failed": _("The browser did not allow copying. Select the text instead."),
    "code": _("Code"),
    "table": _("Table"),
    "undo": _("Undo"),
    "finished": _("Answer finished, {tokens} tokens"),
    "stopped": _("Answer stopped"),
    "failed": _("The answer failed"),
    "writing": _("writing"),
    "next_in_line": _("You are next in line."),
    "in_line": _("{position} requests are before this one."),
    "reconnect": _("Connection lost, trying again in {seconds} s. The answer goes on being written."),
    "reconnecting": _("Connection lost, trying again now. The answer goes on being written."),
    "signed_out": _("You are signed out. Sign in again in another tab, then reload this page."),
    "gone": _("The stream of this answer is gone. Answer again to get a new one."),
    "request_failed": _("The server answered with an error ({status}). Nothing was changed."),
    "outage": _("The database is being restarted. Nothing was changed; try again in a few seconds."),
    "unreachable": _("The server cannot be reached. Nothing was changed, your text is kept."),
    "context_used": _("{used} of {length} tokens"),
    "tokens": _("{n} tokens"),
    "per_second": _("{n} tokens/s"),
    "first_token": _("first token {n} s"),
    "queue_time": _("queue {n} s"),
    "delete_title": _("Delete “{title}”?"),
    "pin": _("Pin"),
    "unpin": _("Unpin"),
    "archive": _("Archive"),
    "restore": _("Restore"),
    "error_context_length_exceeded": _(
        "Too long: {prompt_tokens} tokens and up to {max_tokens} for the answer; the model reads {context_length}. "
        "Shorten the message or lower the longest answer."
    ),
    "error_deadline_exceeded": _("The time for this answer ran out. What was written is kept."),
    "error_overloaded": _("All workers are busy. Answer again in a few seconds."),
    "error_invalid_request": _("The model could not use this request: {message}"),
    "error_internal": _("The model failed while it wrote. What was written is kept; answer again."),
}
