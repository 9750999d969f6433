"""Our own REST API under /api/v1: what a page can do, a key can. Errors look as in the OpenAI-compatible one."""

from apps.api.native import (
    audit,
    comparisons,
    conversations,
    deployments,
    jobs,
    keys,
    messages,
    presets,
    profile,
    registry,
    requests,
    revisions,
    temporary,
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
    profile.router,
    keys.router,
    registry.router,
    jobs.router,
    deployments.router,
    revisions.router,
    workers.router,
    audit.router,
):
    api.add_router("", router)
