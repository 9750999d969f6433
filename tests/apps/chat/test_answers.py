"""What a settled request leaves in a chat."""

from typing import Any

import pytest

from apps.chat.answers import store_answer
from apps.serving.requests import Transcript


@pytest.mark.django_db
def test_request_of_an_api_asks_the_database_nothing(django_assert_num_queries: Any) -> None:
    outcome = {"finish_reason": "stop"}
    with django_assert_num_queries(0):
        store_answer("r", Transcript(text="hello", outcome=outcome), is_awaited=True)
    with django_assert_num_queries(2):
        store_answer("r", Transcript(text="hello", outcome=outcome))
