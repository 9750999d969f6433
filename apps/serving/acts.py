"""As apps.accounts.acts, for services that speak of workers and models: refusals are said in the person's language."""

from functools import partial

from apps.accounts import acts
from apps.accounts.acts import refuse, who
from apps.serving.sentences import translated

__all__ = ["carry_out", "refuse", "who"]

carry_out = partial(acts.carry_out, said=translated)
