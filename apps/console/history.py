"""The audit log in sentences."""

from collections.abc import Iterable
from dataclasses import dataclass

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.accounts.models import Role
from apps.audit.models import AuditEntry
from apps.serving.sentences import translated

# action: (drawing, level, sentence). {label} is the object, the rest comes from the entry's data.
_SENTENCES = {
    "deployment.create": ("plus", "", gettext_lazy("created {label} with {version}")),
    "deployment.add_revision": ("plus", "", gettext_lazy("added r{revision} ({version}) to {label}")),
    "deployment.set_weights": ("deployments", "", gettext_lazy("shared the traffic of {label} out: {shares}")),
    "deployment.promote": ("deployments", "", gettext_lazy("sent all traffic of {label} to r{revision}")),
    "deployment.roll_back": ("rollback", "warn", gettext_lazy("rolled {label} back to r{revision}")),
    "deployment.took_over": ("done", "ok", gettext_lazy("r{revision} took over all traffic of {label}")),
    "deployment.pause": ("pause", "warn", gettext_lazy("paused {label}")),
    "deployment.resume": ("play", "ok", gettext_lazy("resumed {label}")),
    "deployment.scale": ("workers", "", gettext_lazy("set r{revision} of {label} to {after} workers")),
    "deployment.retry": ("retry", "", gettext_lazy("had r{revision} of {label} loaded again")),
    "deployment.stop_revision": ("stop", "", gettext_lazy("stopped r{revision} of {label}")),
    "deployment.start_revision": ("play", "", gettext_lazy("started r{revision} of {label}")),
    "deployment.set_guard": ("flag", "", gettext_lazy("changed the limits of {label}")),
    "deployment.delete": ("trash", "danger", gettext_lazy("deleted {label}")),
    "deployment.revision_ready": ("done", "ok", gettext_lazy("r{revision} of {label} is READY")),
    "deployment.revision_failed": ("error", "danger", gettext_lazy("r{revision} of {label} FAILED")),
    "deployment.revision_lost": ("alert", "warn", gettext_lazy("r{revision} of {label} lost its worker")),
    "deployment.revision_stopped": ("stop", "", gettext_lazy("r{revision} of {label} is STOPPED")),
    "job.create": ("clock", "", gettext_lazy("asked for the job {label}")),
    "job.cancel": ("close", "warn", gettext_lazy("cancelled the job {label}")),
    "job.retry": ("retry", "", gettext_lazy("asked again for the job {label}")),
    "model.import": ("models", "ok", gettext_lazy("registered {label}")),
    "model.train": ("models", "ok", gettext_lazy("registered {label}, trained with {recipe}, seed {seed}")),
    "model.adapt": ("models", "ok", gettext_lazy("registered {label}: {base}, adapted to {file}")),
    "model.delete_version": ("trash", "danger", gettext_lazy("deleted {label}")),
    "apikey.create": ("key", "", gettext_lazy("made the key {label}")),
    "apikey.rotate": ("retry", "", gettext_lazy("rotated the key {label}")),
    "apikey.revoke": ("key", "warn", gettext_lazy("revoked the key {label}")),
    "usage.export": ("download", "", gettext_lazy("downloaded the usage of {whose}, {since} to {until}")),
    "price.set": ("edit", "", gettext_lazy("set the price {label}")),
    "price.remove": ("trash", "warn", gettext_lazy("removed the price {label}")),
    "limit.set": ("flag", "", gettext_lazy("set a limit: {label}")),
    "limit.remove": ("trash", "warn", gettext_lazy("removed a limit: {label}")),
    "limit.preset": ("flag", "", gettext_lazy("gave {label} the limits “{preset}”")),
    "user.set_role": ("user", "", gettext_lazy("changed the role of {label} from {before} to {after}")),
    "user.create_administrator": ("user", "warn", gettext_lazy("made {label} an administrator by command")),
    "user.adopt_role": ("user", "", gettext_lazy("took the role of {label} over from the provider: {after}")),
    "user.deactivate": ("pause", "warn", gettext_lazy("deactivated {label}")),
    "user.reactivate": ("play", "ok", gettext_lazy("reactivated {label}")),
    "user.remove_second_factor": ("lock", "warn", gettext_lazy("removed the second factor of {label}")),
    "user.sign_up": ("user", "ok", gettext_lazy("signed up")),
    "user.set_password": ("lock", "", gettext_lazy("set a new password")),
    "user.connect": ("link", "", gettext_lazy("connected an account of the identity provider")),
    "user.disconnect": ("link", "warn", gettext_lazy("disconnected an account of the identity provider")),
    "user.add_totp": ("lock", "ok", gettext_lazy("set an authenticator app up")),
    "user.remove_totp": ("lock", "warn", gettext_lazy("turned the authenticator app off")),
    "user.add_webauthn": ("key", "ok", gettext_lazy("added a passkey")),
    "user.remove_webauthn": ("key", "warn", gettext_lazy("removed a passkey")),
    "session.end": ("external", "", gettext_lazy("signed {label} out at {where}")),
    "session.end_all": ("external", "", gettext_lazy("signed {label} out of {number} browsers")),
    "asset.delete": ("trash", "danger", gettext_lazy("deleted {label} with {readings} readings")),
    "sensor.delete": ("trash", "danger", gettext_lazy("deleted the sensor {label} of {asset}")),
    "plant.create": ("plus", "", gettext_lazy("made the simulated plant {label}")),
    "detector.serve": ("play", "ok", gettext_lazy("let {label} watch with version {version}")),
    "detector.delete": ("trash", "danger", gettext_lazy("deleted the detector {label} of {asset}")),
    "rule.create": ("flag", "", gettext_lazy("made the alert rule {label} of {asset}")),
    "rule.change": ("edit", "", gettext_lazy("changed the alert rule {label} of {asset}")),
    "rule.delete": ("trash", "warn", gettext_lazy("deleted the alert rule {label} of {asset}")),
    "rule.test": ("play", "", gettext_lazy("had the webhook of {label} of {asset} called")),
    "classifier.publish": ("play", "ok", gettext_lazy("published version {number} of the classifier {label}")),
    "classifier.withdraw": ("pause", "warn", gettext_lazy("withdrew the classifier {label}")),
    "classifier.delete": ("trash", "danger", gettext_lazy("deleted the classifier {label}")),
    "team.create": ("team", "", gettext_lazy("made the team {label}")),
    "team.rename": ("edit", "", gettext_lazy("renamed the team {before} to {label}")),
    "team.delete": ("trash", "danger", gettext_lazy("deleted the team {label}")),
    "team.add_member": ("team", "", gettext_lazy("put {member} into the team {label} as {role}")),
    "team.set_role": ("team", "", gettext_lazy("changed the role of {member} in the team {label} to {after}")),
    "team.remove_member": ("team", "warn", gettext_lazy("took {member} out of the team {label}")),
    "team.leave": ("team", "", gettext_lazy("left the team {label}")),
    "invitation.create": ("link", "", gettext_lazy("made an invitation for {label} as {role}")),
    "invitation.revoke": ("link", "warn", gettext_lazy("revoked the invitation for {label}")),
    "invitation.accept": ("link", "ok", gettext_lazy("accepted the invitation for {label}")),
    "organization.update": ("sliders", "", gettext_lazy("changed settings of the organisation: {fields}")),
    "organization.transfer": ("user", "danger", gettext_lazy("handed the organisation over to {to}")),
    "audit.export": ("download", "", gettext_lazy("downloaded the audit log")),
}


@dataclass(frozen=True, slots=True)
class Line:
    entry: AuditEntry
    icon: str
    level: str  # "", ok, warn, danger
    who: str
    what: str
    reason: str


def lines(entries: Iterable[AuditEntry]) -> list[Line]:
    return [line(entry) for entry in entries]


def line(entry: AuditEntry) -> Line:
    drawing, level, sentence = _SENTENCES.get(entry.action, ("audit", "", ""))
    what = str(sentence).format_map(_Words(_words(entry))) if sentence else f"{entry.action} {entry.object_label}"
    return Line(entry, drawing, level, _who(entry), what, translated(str(entry.data.get("reason", ""))))


class _Words(dict[str, str]):
    """An entry of another release may lack a word; the sentence is shown all the same."""

    def __missing__(self, key: str) -> str:
        return "…"


def _who(entry: AuditEntry) -> str:
    """A person by the first part of the address, a part of the system by its name; nothing for the reconciler."""
    if entry.actor_id is not None:
        return entry.actor_label.partition("@")[0]
    return {"guard": _("Guard"), "reconciler": "", "import": "", "system": _("System")}.get(
        entry.actor_label, entry.actor_label
    )


def _role(value: str) -> str:
    return str(dict(Role.choices).get(value, value))


def _words(entry: AuditEntry) -> dict[str, str]:
    words = {name: str(value) for name, value in entry.data.items()}
    weights = entry.data.get("weights")
    if isinstance(weights, dict):
        words["shares"] = ", ".join(f"r{number} {after} %" for number, (_before, after) in sorted(weights.items()))
    role = entry.data.get("role")
    if isinstance(role, list):
        words["before"], words["after"] = _role(role[0]), _role(role[1])
    elif role:
        words["role"] = _role(role)
    replicas = entry.data.get("replicas")
    if isinstance(replicas, list):
        words["after"] = str(replicas[-1])
    return {**words, "label": entry.object_label}
