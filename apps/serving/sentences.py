"""What workers and services say to people, in the language of who reads it.

Messages are written, stored, logged and given to programs in English; they are translated where they are shown, here
and nowhere else. A sentence is found by its template (sentence_list.py). tests/apps/serving/test_sentences.py reads the
sources of workers and services for what they can say and holds every sentence to having a template and a translation.
"""

import re
from functools import cache

from django.utils.translation import get_language, gettext

from apps.serving.sentence_list import SENTENCES

_FIELD = re.compile(r"[\w.\[\]#]+")


def translated(sentence: str) -> str:
    """The sentence in the language of the thread; as it is when no template fits. `field: sentence` keeps its field."""
    if (get_language() or "en").startswith("en"):
        return sentence
    field, colon, rest = sentence.partition(": ")
    if colon and _FIELD.fullmatch(field) and (ours := translated(rest)) != rest:
        return f"{field}: {ours}"
    for template, pattern in _patterns():
        if found := pattern.fullmatch(sentence):
            values = {name: translated(value) for name, value in found.groupdict().items()}
            return gettext(template).format(**values)
    return sentence


@cache
def _patterns() -> list[tuple[str, re.Pattern[str]]]:
    """Those with the most words of their own first: they fit the fewest sentences."""
    own = {template: re.sub(r"\{\w+\}", "", template) for template in SENTENCES}
    return [(one, _pattern(one)) for one in sorted(SENTENCES, key=lambda one: -len(own[one]))]


def _pattern(template: str) -> re.Pattern[str]:
    parts = re.split(r"\{(\w+)\}", template)
    return re.compile("".join(f"(?P<{p}>.+?)" if n % 2 else re.escape(p) for n, p in enumerate(parts)), re.DOTALL)
