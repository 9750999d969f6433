"""Conversations as trees, and what is refused."""

import pytest

from apps.accounts.models import User
from apps.chat import answers, queries, services
from apps.chat.compare import start_comparison, vote
from apps.chat.models import AnswerStatus, Comparison, Conversation, Message
from apps.serving import connection
from apps.serving import services as serving
from apps.serving.services import NoWorker, UnknownDeployment
from contracts import names
from tests.fakes import FakeWorker

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def conversation(owner: User, worker: FakeWorker) -> Conversation:
    return services.start_conversation(owner=owner)


def ask(conversation: Conversation, worker: FakeWorker, text: str, parent: Message | None) -> tuple[Message, Message]:
    question, answer = services.send_message(conversation=conversation, text=text, parent=parent)
    worker.finish()
    answer.refresh_from_db()
    return question, answer


def test_answer_is_stored_as_streamed(conversation: Conversation, worker: FakeWorker) -> None:
    question, answer = ask(conversation, worker, "good morning 你好", None)
    assert (answer.text, answer.status, answer.model_name) == ("good morning 你好", AnswerStatus.DONE, "Echo")
    assert (answer.parent_id, question.parent_id) == (question.pk, None)
    assert answer.usage["completion_tokens"] == 3
    assert answer.tokens_per_second == pytest.approx(4)


def test_prompt_is_the_path_with_instructions(owner: User, worker: FakeWorker) -> None:
    conversation = services.start_conversation(owner=owner, system_prompt="Be short.", parameters={"temperature": 0.5})
    _, first = ask(conversation, worker, "one", None)
    services.send_message(conversation=conversation, text="two", parent=first)
    request = worker.sent[-1]
    assert request.inputs["messages"] == [
        {"role": "system", "content": "Be short."},
        {"role": "user", "content": "one"},
        {"role": "assistant", "content": "one"},
        {"role": "user", "content": "two"},
    ]
    assert request.sampling_params == {"temperature": 0.5}
    assert (request.conversation, request.tenant) == (str(conversation.pk), str(owner.pk))


def test_edit_makes_a_branch_and_arrows_switch(conversation: Conversation, worker: FakeWorker) -> None:
    first, first_answer = ask(conversation, worker, "first", None)
    _, below = ask(conversation, worker, "below", first_answer)
    second, second_answer = ask(conversation, worker, "second", first.parent)

    thread = queries.thread(conversation)
    assert [item.message.text for item in thread] == ["second", "second"]
    assert (thread[0].index, thread[0].count, thread[0].previous_id, thread[0].next_id) == (2, 2, first.pk, None)

    services.select_message(conversation=conversation, message=first)
    thread = queries.thread(conversation)
    assert [item.message.text for item in thread] == ["first", "first", "below", "below"]
    assert conversation.leaf_id == below.pk
    services.select_message(conversation=conversation, message=second)
    assert conversation.leaf_id == second_answer.pk


def test_regenerate_makes_a_sibling(conversation: Conversation, worker: FakeWorker) -> None:
    question, answer = ask(conversation, worker, "again", None)
    other = services.regenerate(answer=answer)
    assert (other.parent_id, conversation.messages.count()) == (question.pk, 3)
    conversation.refresh_from_db()
    item = queries.thread(conversation)[-1]
    assert (item.message.pk, item.index, item.count, item.previous_id) == (other.pk, 2, 2, answer.pk)


def test_stopped_answer_keeps_what_was_written(conversation: Conversation, worker: FakeWorker) -> None:
    worker.engine.gate.clear()
    _, answer = services.send_message(conversation=conversation, text="one two", parent=None)
    serving.stop(request_id=answer.request_id)
    worker.host._abort(answer.request_id)
    worker.engine.gate.set()
    worker.finish()
    answer.refresh_from_db()
    assert answer.status == AnswerStatus.STOPPED


def test_failed_answer_says_why(conversation: Conversation, worker: FakeWorker) -> None:
    worker.engine.fail_with = {
        "type": "context_length_exceeded",
        "message": "too long",
        "prompt_tokens": 9000,
        "context_length": 2048,
    }
    _, answer = ask(conversation, worker, "long", None)
    assert (answer.status, answer.error["prompt_tokens"]) == (AnswerStatus.FAILED, 9000)


@pytest.mark.parametrize(
    ("text", "message"),
    [("", "text: is empty"), (" \n", "text: is empty"), ("a\x00b", "text: contains a NUL character")],
)
def test_unusable_text_is_refused(conversation: Conversation, text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        services.send_message(conversation=conversation, text=text, parent=None)
    assert not conversation.messages.exists()


def test_parent_of_another_conversation_is_refused(conversation: Conversation, worker: FakeWorker, owner: User) -> None:
    other = services.start_conversation(owner=owner)
    _, answer = ask(other, worker, "hello", None)
    with pytest.raises(ValueError, match="parent"):
        services.send_message(conversation=conversation, text="x", parent=answer)


def test_without_worker_nothing_is_stored(conversation: Conversation, worker: FakeWorker) -> None:
    worker.lose_lease()
    with pytest.raises(NoWorker) as refused:
        services.send_message(conversation=conversation, text="hello", parent=None)
    assert refused.value.retry_after > 0
    assert not conversation.messages.exists()


def test_saturated_workers_refuse(conversation: Conversation, worker: FakeWorker) -> None:
    limit = serving.choose_deployment("echo").limit
    for place in range(limit):
        connection.client().zadd(names.live_key("echo@1"), {f"other-{place}": 1})
    with pytest.raises(NoWorker, match="busy") as refused:
        services.send_message(conversation=conversation, text="hello", parent=None)
    assert refused.value.retry_after == 30
    assert not conversation.messages.exists()


def test_unknown_deployment_lists_what_there_is(owner: User, worker: FakeWorker) -> None:
    with pytest.raises(UnknownDeployment) as refused:
        services.start_conversation(owner=owner, deployment="gpt-9")
    assert refused.value.available == ["echo"]


@pytest.mark.parametrize(
    ("parameters", "field"),
    [
        ({"temperature": float("nan")}, "temperature"),
        ({"temperature": 3}, "temperature"),
        ({"top_p": 0}, "top_p"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"warmth": 1}, "warmth"),
        ({"stop": [""]}, "stop"),
    ],
)
def test_bad_parameters_are_named(owner: User, parameters: dict, field: str) -> None:
    with pytest.raises(ValueError, match=f"^{field}: "):
        services.start_conversation(owner=owner, parameters=parameters)


def test_title_is_the_first_line_cut_at_a_word() -> None:
    assert services.title_from("# Rolling means\nmore") == "Rolling means"
    assert services.title_from("word " * 40) == "word " * 11 + "word…"
    assert services.title_from("字" * 100) == "字" * 60 + "…"
    assert services.title_from(" \n ") == ""


def test_given_title_is_kept(conversation: Conversation, worker: FakeWorker) -> None:
    services.update_conversation(conversation=conversation, title="Mine")
    ask(conversation, worker, "something else", None)
    conversation.refresh_from_db()
    assert conversation.title == "Mine"


def test_delete_stops_what_is_being_written(conversation: Conversation, worker: FakeWorker) -> None:
    worker.engine.gate.clear()
    _, answer = services.send_message(conversation=conversation, text="one two", parent=None)
    services.delete_conversation(conversation=conversation)
    stop = connection.client().hget(names.request_key(answer.request_id), "stop")
    assert (stop, Conversation.objects.count(), Message.objects.count()) == ("1", 0, 0)
    worker.engine.gate.set()
    worker.finish()


def test_temporary_chat_stores_nothing(owner: User, worker: FakeWorker) -> None:
    messages = [{"role": "user", "content": "psst"}]
    request_id = services.send_temporary(owner=owner, deployment="", messages=messages, parameters={})
    assert worker.sent[-1].request_id == request_id
    worker.finish()
    assert not Conversation.objects.exists()
    assert not Message.objects.exists()


def test_comparison_sends_the_same_words_to_both_lanes(owner: User, worker: FakeWorker) -> None:
    lanes = [{"deployment": "echo", "parameters": {"temperature": heat}} for heat in (0.2, 1.0)]
    comparison = start_comparison(owner=owner, prompt="which one", system_prompt="", lanes=lanes)
    assert [request.sampling_params for request in worker.sent] == [{"temperature": 0.2}, {"temperature": 1.0}]
    assert worker.sent[0].inputs == worker.sent[1].inputs
    worker.finish()
    assert list(comparison.lanes.values_list("letter", "text", "status")) == [
        ("A", "which one", "done"),
        ("B", "which one", "done"),
    ]
    vote(comparison=comparison, vote="A")
    assert queries.vote_counts(owner) == {"A": 1, "B": 0, "T": 0, "N": 0}
    with pytest.raises(ValueError, match="vote"):
        vote(comparison=comparison, vote="X")
    assert Comparison.objects.get().vote == "A"


def test_answers_whose_stream_is_lost_fail(conversation: Conversation, worker: FakeWorker) -> None:
    worker.engine.gate.clear()
    _, answer = services.send_message(conversation=conversation, text="one two", parent=None)
    assert answers.fail_lost_answers() == 0
    connection.client().flushdb()
    assert answers.fail_lost_answers() == 0  # too young to be called lost
    Message.objects.update(created_at="2026-01-01T00:00Z")
    assert answers.fail_lost_answers() == 1
    answer.refresh_from_db()
    assert answer.status == AnswerStatus.FAILED
    worker.engine.gate.set()


def test_preset_of_the_same_name_is_replaced(owner: User) -> None:
    for heat in (0.1, 0.9):
        services.save_preset(owner=owner, name="mine", system_prompt="", parameters={"temperature": heat})
    assert list(queries.presets(owner).values_list("name", "parameters")) == [("mine", {"temperature": 0.9})]
