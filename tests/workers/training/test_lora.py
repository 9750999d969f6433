"""LoRA on a tiny Llama: what is learned, what is marked as learned, the same bits after an interruption."""

import json

import pytest
import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM

from contracts import conversations
from tests.workers import tiny_models, toy_conversations
from workers.export import adapted
from workers.export.source import ExportError
from workers.pipelines.chat_tokenizer import ChatTokenizer
from workers.training import dialogues as tokens
from workers.training import lora
from workers.training.dialogues import IGNORED, Dialogues, NotLearned
from workers.training.loop import Options
from workers.training.lora import AdaptConfig

TURNS = (
    "{% for m in messages %}<s>{{ m['role'] }}: {{ m['content'] }}</s>{% endfor %}"
    "{% if add_generation_prompt %}<s>assistant: {% endif %}"
)


def config(**options) -> AdaptConfig:
    given = {"steps": 60, "batch_size": 4, "learning_rate": 1e-2, "weight_decay": 0.0, "evaluate_every": 20}
    return AdaptConfig("tiny", "b", "d", longest=256, options=Options(**{**given, **options}))


@pytest.fixture(scope="module", params=["Llama", "Qwen2"])
def base(request, tmp_path_factory):
    return toy_conversations.base(tmp_path_factory.mktemp("base"), request.param)


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """A second one costs more than it computes."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def words(base):
    return ChatTokenizer(base, [257])


@pytest.fixture(scope="module")
def parts(words):
    found = conversations.read(toy_conversations.lines()).found
    return tokens.split([tokens.encode(one, words, 256) for one in found], 0)


@pytest.fixture(scope="module")
def trained(base, parts, tmp_path_factory):
    model = lora.load(base, config())
    state = lora.train(config(), model, *parts, tmp_path_factory.mktemp("run"), lambda said: None)
    return model, state


def weights(model):
    return {name: value.clone() for name, value in model.state_dict().items()}


def test_an_answer_is_learned_by_heart(trained, parts, words):
    model, state = trained
    validation = parts[1][0]
    with torch.inference_mode(), lora.as_before(model):
        before = lora.score(model, Dialogues(parts[1]), 4)
    question = [{"role": "user", "content": validation.conversation.question}]
    ids = words.encode({"messages": question})

    assert state.losses[0] > 4 and state.losses[-1] < 0.1
    assert (before["score"] < 0.2, state.best["score"]) == (True, 1.0)
    assert words.decode(lora.greedy(model.whole, ids, words.eos_ids, 40)).strip() == toy_conversations.ANSWER
    with lora.as_before(model):
        assert toy_conversations.ANSWER not in words.decode(lora.greedy(model.whole, ids, words.eos_ids, 40))


def test_only_ranks_are_in_a_checkpoint(trained):
    names = weights(trained[0]).keys()
    assert names and all("lora_" in name for name in names)


def test_a_run_that_was_interrupted_ends_in_the_same_bits(base, parts, tmp_path):
    told = config(steps=12, evaluate_every=4)
    whole, first = lora.load(base, told), lora.load(base, told)
    state = lora.train(told, whole, *parts, tmp_path / "whole", lambda said: None)
    lora.train(told, first, *parts, tmp_path / "parts", lambda said: None, stop_at=5)
    torch.manual_seed(99)  # nothing that was drawn before counts
    second = lora.load(base, told)
    again = lora.train(told, second, *parts, tmp_path / "parts", lambda said: None)

    assert (again.losses, again.evaluations) == (state.losses, state.evaluations)
    ours, theirs = weights(second), weights(whole)
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_the_adapter_is_read_by_peft_and_merging_changes_nothing(base, trained, parts, tmp_path):
    """The trained model is spent afterwards, so this stands last of those that need it."""
    model, _ = trained
    ids = parts[1][0].ids
    with torch.inference_mode():
        wanted = model.whole(input_ids=torch.tensor([ids])).logits
    adapted.write_adapter(model.whole, tmp_path / "adapter", "tiny")
    assert sorted(path.name for path in (tmp_path / "adapter").iterdir()) == list(adapted.FILES)
    assert json.loads((tmp_path / "adapter" / "adapter_config.json").read_text())["base_model_name_or_path"] == "tiny"
    theirs = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base), tmp_path / "adapter").eval()
    with torch.inference_mode():
        found = theirs(input_ids=torch.tensor([ids])).logits
    torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-5)

    error = adapted.merge(model.whole, base, tmp_path / "merged", [ids])

    alone = AutoModelForCausalLM.from_pretrained(tmp_path / "merged").eval()
    with torch.inference_mode():
        torch.testing.assert_close(alone(input_ids=torch.tensor([ids])).logits, wanted, atol=1e-4, rtol=1e-4)
    assert error < 1e-4
    assert ChatTokenizer(tmp_path / "merged", [257]).encode({"messages": [{"role": "user", "content": "x"}]})


def test_a_model_that_has_run_away_is_refused(base, parts, tmp_path):
    model = lora.load(base, config())
    for value in model.parameters():
        value.data.fill_(1e30)
    with pytest.raises(ExportError, match="not finite"):
        adapted.merge(model.whole, base, tmp_path / "merged", [parts[1][0].ids])


def conversation(*contents, **values):
    roles = ("user", "assistant")
    said = [{"role": roles[place % 2], "content": content, **values.get(f"m{place}", {})}
            for place, content in enumerate(contents)]  # fmt: skip
    return conversations.read(json.dumps({"messages": said}).encode()).found[0]


def learned(words, one):
    """The tokens that are learned, as text with the end of an answer shown."""
    found = tokens.encode(one, words, 256)
    ids = [token for token, is_learned in zip(found.ids, found.is_learned, strict=True) if is_learned]
    return "".join("|" if token == 257 else words.decode([token]) for token in ids)


def test_only_answers_are_learned_with_their_ends(tmp_path):
    tiny_models.tokenizer(tmp_path, template=TURNS, longest=512)
    words = ChatTokenizer(tmp_path, [257])
    assert learned(words, conversation("Who?", "Me.", "Why?", "So.")) == "Me.|So.|"
    assert learned(words, conversation("Who?", "Me.", "Why?", "So.", m1={"weight": 0})) == "So.|"


def test_an_end_is_learned_where_the_template_has_none(words):
    assert learned(words, conversation("Who?", "Me.")) == " Me.|"


def test_special_tokens_that_somebody_wrote_are_text(tmp_path):
    tiny_models.tokenizer(tmp_path, template=TURNS, longest=512)
    words = ChatTokenizer(tmp_path, [257])
    one = conversation("</s>assistant: no", "The end is </s>, so.")
    assert learned(words, one) == "The end is </s>, so.|"
    assert tokens.encode(one, words, 256).ids.count(257) == 2


def test_what_a_template_cannot_say_and_what_is_too_long_is_not_learned(tmp_path, words):
    with pytest.raises(NotLearned, match="it has .* tokens, more than 16"):
        tokens.encode(conversation("Who are you?", "Me."), words, 16)
    tiny_models.tokenizer(tmp_path, template="{{ raise_exception('No.') }}", longest=512)
    with pytest.raises(NotLearned, match="No."):
        tokens.encode(conversation("Who?", "Me."), ChatTokenizer(tmp_path, [257]), 256)


def test_equal_conversations_are_on_one_side(words):
    found = conversations.read(toy_conversations.lines(10) * 2).found
    learned, validation = tokens.split([tokens.encode(one, words, 256) for one in found], 3)
    assert (len(learned), len(validation)) == (18, 1)
    assert validation[0].ids not in [one.ids for one in learned]


def test_batches_have_labels_where_answers_are(parts):
    batch = next(Dialogues(parts[0]).in_order(3))
    assert batch.ids.shape == batch.mask.shape == batch.labels.shape
    is_learned = batch.labels != IGNORED
    assert torch.equal(batch.labels[is_learned], batch.ids[is_learned])
    assert int((is_learned & (batch.mask == 0)).sum()) == 0
