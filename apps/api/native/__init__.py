"""Our own REST API under /api/v1: what a page can do, a key can. Errors look as in the OpenAI-compatible one."""

from apps.api.native import (
    audit,
    batches,
    collections,
    comparisons,
    conversations,
    deployments,
    invitations,
    jobs,
    keys,
    limits,
    messages,
    organization,
    people,
    pictures,
    presets,
    prices,
    profile,
    registry,
    requests,
    revisions,
    teams,
    temporary,
    uploads,
    usage,
    workers,
)
from apps.api.site import API

api = API(title="DeepSeek Web", urls_namespace="api-v1")

# In the order of the reference page.
for router in (
    requests.router,
    conversations.router,
    messages.router,
    temporary.router,
    comparisons.router,
    presets.router,
    batches.router,
    collections.router,
    uploads.router,
    pictures.router,
    profile.router,
    keys.router,
    usage.router,
    teams.router,
    invitations.router,
    people.router,
    organization.router,
    limits.router,
    prices.router,
    registry.router,
    jobs.router,
    deployments.router,
    revisions.router,
    workers.router,
    audit.router,
):
    api.add_router("", router)
