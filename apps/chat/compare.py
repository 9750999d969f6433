"""One question to two models, or to one model with two sets of parameters."""

from typing import Any

from django.db import transaction

from apps.accounts.models import User
from apps.chat.models import AnswerStatus, Comparison, Lane
from apps.chat.services import check_text, request_for
from apps.quotas import services as quotas
from apps.serving import services as serving


@transaction.atomic
def start_comparison(
    *, owner: User, prompt: str, system_prompt: str, lanes: list[dict[str, Any]], blind: bool = False
) -> Comparison:
    """Send the same words to both lanes at once. `lanes`: two of {"deployment": name, "parameters": dict}.

    Raises NoWorker, LimitReached, UnknownDeployment, ValueError(`field: reason`); then nothing was stored or sent.
    """
    check_text("prompt", prompt)
    check_text("system_prompt", system_prompt, may_be_empty=True)
    if len(lanes) != 2:
        raise ValueError("lanes: there must be two")
    chosen = [serving.choose_deployment(lane["deployment"]) for lane in lanes]
    messages = [{"role": "system", "content": system_prompt}] if system_prompt else []
    messages.append({"role": "user", "content": prompt})
    comparison = Comparison.objects.create(owner=owner, prompt=prompt, system_prompt=system_prompt, blind=blind)
    for letter, lane, target in zip("AB", lanes, chosen, strict=True):
        request = request_for(owner, target, messages, lane["parameters"])
        Lane.objects.create(
            comparison=comparison,
            letter=letter,
            status=AnswerStatus.WAITING,
            request_id=request.request_id,
            model_name=target.title,
            parameters=lane["parameters"],
        )
        quotas.submit(request=request, who=owner, target=target)
    return comparison


def vote(*, comparison: Comparison, vote: str) -> None:
    """Raises ValueError(`vote: reason`)."""
    if vote not in Comparison.Vote.values:
        raise ValueError("vote: must be A, B, T, N or empty")
    comparison.vote = vote
    comparison.save(update_fields=["vote"])
