"""MiniLM in our encoder says what transformers says, before and after its attention is replaced."""

import pytest
import torch
import transformers
from safetensors.torch import load_file

from workers.data import minilm
from workers.zoo.bert_weights import load_bert
from workers.zoo.full_attention import EagerAttention, FullAttention
from workers.zoo.v1_dynamic_attention import DynamicAttention, Encoder, V1Config


def config(**changes):
    sizes = {"width": 384, "layers": 6, "heads": 12, "hidden": 1536, "window": 32, "summaries": 8, "levels": 4}
    return V1Config(30522, 2, **{**sizes, **changes})


@pytest.fixture(scope="module")
def original():
    made = transformers.AutoModel.from_pretrained(minilm.file("model.safetensors").parent, dtype=torch.float32)
    return made.eval()


def texts(length):
    torch.manual_seed(0)
    ids, mask = torch.randint(1000, 30000, (2, length)), torch.ones(2, length, dtype=torch.long)
    mask[1, length // 2 :] = 0
    return ids * mask, mask


@pytest.mark.parametrize("attention", [FullAttention, EagerAttention, DynamicAttention])
@pytest.mark.parametrize("length", [5, 33, 64])
def test_minilm_is_the_same_while_the_window_covers_all(original, attention, length):
    encoder = Encoder(config(), attention).eval()
    load_bert(encoder, load_file(minilm.file("model.safetensors")), range(6))
    ids, mask = texts(length)

    with torch.inference_mode():
        ours = encoder(ids, mask)[0] * mask[..., None]
        wanted = original(ids, mask).last_hidden_state * mask[..., None]

    torch.testing.assert_close(ours, wanted, atol=2e-5, rtol=1e-4)


def test_some_layers_and_tokens_are_the_originals(original):
    encoder = Encoder(V1Config(3, 2, width=384, layers=2, heads=12, hidden=1536, positions=600))
    load_bert(encoder, load_file(minilm.file("model.safetensors")), (1, 4), [7, 2000, 30000])

    theirs = original.embeddings
    positions = theirs.position_embeddings.weight + theirs.token_type_embeddings.weight[0]
    assert torch.equal(encoder.embeddings.word.weight, theirs.word_embeddings.weight[[7, 2000, 30000]])
    assert torch.equal(encoder.embeddings.position.weight[512:], positions[:88])
    assert torch.equal(encoder.layers[1].up.weight, original.encoder.layer[4].intermediate.dense.weight)
