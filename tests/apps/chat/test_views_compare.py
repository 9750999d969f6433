"""Compare: two lanes, the vote, who may see it."""

import pytest
from django.test import Client
from django.urls import reverse

from apps.chat.models import Comparison, Lane

pytestmark = [pytest.mark.integration, pytest.mark.django_db]

FORM = {
    "prompt": "Which is better?",
    "deployment_a": "echo",
    "deployment_b": "echo",
    "a-temperature": "0.2",
    "b-temperature": "1.1",
    "blind": "1",
}


@pytest.fixture
def browser(owner):
    client = Client()
    client.force_login(owner)
    return client


@pytest.fixture
def comparison(owner):
    comparison = Comparison.objects.create(owner=owner, prompt="Which?", blind=True)
    for letter, time in (("A", 0.2), ("B", 0.4)):
        usage = {"completion_tokens": 10, "duration": 1.0, "time_to_first_token": time}
        Lane.objects.create(
            comparison=comparison, letter=letter, text=f"Answer {letter}", model_name=f"Model {letter}", usage=usage
        )
    return comparison


def test_form_offers_the_models(browser, worker):
    page = browser.get(reverse("chat:compare")).content.decode()
    assert page.count('<option value="echo"') == 2


def test_start_asks_both_lanes_with_their_own_settings(browser, owner, worker, django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks(execute=True):
        response = browser.post(reverse("chat:compare"), FORM)
    comparison = Comparison.objects.get(owner=owner)
    assert response["Location"] == reverse("chat:comparison", args=[comparison.pk])
    assert [lane.parameters for lane in comparison.lanes.all()] == [{"temperature": 0.2}, {"temperature": 1.1}]


@pytest.mark.parametrize(
    ("values", "status", "said"),
    [
        ({"prompt": " "}, 422, "prompt"),
        ({"a-temperature": "nan"}, 422, "Temperature: Enter a number."),
        ({"deployment_b": "gpt"}, 404, "This model is not deployed"),
    ],
)
def test_refused_question_comes_back_with_what_was_typed(values, status, said, browser, worker):
    response = browser.post(reverse("chat:compare"), FORM | values)
    page = response.content.decode()
    assert response.status_code == status
    assert said in page
    assert 'value="1.1"' in page
    assert not Comparison.objects.exists()


def test_without_a_worker_the_question_is_kept(browser, deployment):
    response = browser.post(reverse("chat:compare"), FORM)
    assert response.status_code == 503
    assert response["Retry-After"]
    assert "Which is better?" in response.content.decode()


def test_blind_names_and_figures_wait_for_the_vote(browser, comparison):
    url = reverse("chat:comparison", args=[comparison.pk])
    before = browser.get(url).content.decode()
    browser.post(reverse("chat:vote", args=[comparison.pk]), {"vote": "A"})
    after = browser.get(url).content.decode()
    assert "Model A" not in before
    assert "0.20 s" not in before
    assert "Model A" in after
    assert '<td class="r best">0.20 s</td>' in after


def test_vote_that_is_none_is_refused(browser, comparison):
    assert browser.post(reverse("chat:vote", args=[comparison.pk]), {"vote": "C"}).status_code == 422


@pytest.mark.parametrize("who", ["member", "stranger"])
def test_others_get_404(who, comparison, request):
    client = Client()
    client.force_login(request.getfixturevalue(who))
    assert client.get(reverse("chat:comparison", args=[comparison.pk])).status_code == 404
    assert client.post(reverse("chat:vote", args=[comparison.pk]), {"vote": "A"}).status_code == 404


@pytest.mark.parametrize("rows", [1, 30])
def test_form_takes_the_same_queries_for_any_number_of_comparisons(rows, browser, owner, django_assert_max_num_queries):
    for number in range(rows):
        comparison = Comparison.objects.create(owner=owner, prompt=f"Question {number}")
        Lane.objects.create(comparison=comparison, letter="A")
    with django_assert_max_num_queries(7):  # session and user, deployments, comparisons, lanes, votes, open incidents
        page = browser.get(reverse("chat:compare")).content.decode()
    assert page.count("list__item") == min(rows, 20)
