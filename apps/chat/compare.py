"""One question to two models, or to one model with two sets of parameters."""

from typing import Any

from django.db import transaction

from apps.accounts.models import User
from apps.chat.models import AnswerStatus, Comparison, Lane
from apps.chat.services import check_text, request_for
from apps.quotas import services as quotas
from apps.serving import services as serving
from apps.serving.services import Target
from contracts.messages import InferenceRequest


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
    asked = [
        request_for(owner, target, messages, lane["parameters"]) for lane, target in zip(lanes, chosen, strict=True)
    ]
    for letter, lane, target, request in zip("AB", lanes, chosen, asked, strict=True):
        Lane.objects.create(
            comparison=comparison,
            letter=letter,
            status=AnswerStatus.WAITING,
            request_id=request.request_id,
            model_name=target.title,
            parameters=lane["parameters"],
        )
    _submit_both(owner, asked, chosen)
    return comparison


def _submit_both(owner: User, asked: list[InferenceRequest], chosen: list[Target]) -> None:
    """When there is no room for the second, the first gives its own back at once."""
    quotas.submit(request=asked[0], who=owner, target=chosen[0])
    try:
        quotas.submit(request=asked[1], who=owner, target=chosen[1])
    except Exception:
        serving.discard(asked[0].request_id, asked[0].revision)
        raise


def vote(*, comparison: Comparison, vote: str) -> None:
    """Raises ValueError(`vote: reason`)."""
    if vote not in Comparison.Vote.values:
        raise ValueError("vote: must be A, B, T, N or empty")
    comparison.vote = vote
    comparison.save(update_fields=["vote"])
