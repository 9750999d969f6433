"""The bridge against its definition written out number by number, its gates, its losses."""

from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from workers.training.loop import parameters_of
from workers.zoo.resnet import ResNetConfig
from workers.zoo.v2_cmab import CMAB, DEPTHS, Crossing, Places, V2Config, base, conflict, waves

CONFIG = V2Config(
    50, ResNetConfig((1, 1, 1), 8, 1, (2, 2, 1), is_pooled=False), text_width=16, text_layers=3, text_heads=2,
    text_hidden=32, positions=16, dropout=0.0, space=12, width=24, heads=3, grid=4, answers=5,
)  # fmt: skip


def model(config: V2Config = CONFIG) -> CMAB:
    torch.manual_seed(0)
    made = CMAB(config).eval()
    for crossing in made.bridge.crossings:  # no two gates alike
        torch.nn.init.normal_(crossing.gates)
    return made


def pairs(count: int = 3, words: int = 6) -> tuple[Tensor, Tensor, Tensor]:
    torch.manual_seed(1)
    mask = torch.ones(count, words)
    mask[-1, 4:] = 0
    return torch.randn(count, 3, 16, 16), torch.randint(1, 50, (count, words)), mask


@torch.no_grad()
def test_both_directions_read_one_affinity_that_knows_where_the_words_looked_before() -> None:
    crossing: Crossing = model().bridge.crossings[0]
    torch.manual_seed(2)
    text, picture, mask = torch.randn(1, 5, 24), torch.randn(1, 16, 24), torch.tensor([[1.0, 1, 1, 0, 0]])
    where, before = waves(4, 24), torch.rand(1, 3, 5, 16).softmax(-1)
    words, places = crossing.text_norm(text)[0], crossing.picture_norm(picture)[0] + where
    query, key = crossing.query(words).view(5, 3, 8), crossing.key(places).view(16, 3, 8)
    from_picture, from_text = crossing.of_picture(places).view(16, 3, 8), crossing.of_text(words).view(5, 3, 8)
    to_words, to_places = torch.zeros(5, 3, 8), torch.zeros(16, 3, 8)
    for h in range(3):
        affinity = torch.tensor([
            [10 * float(torch.cosine_similarity(query[t, h], key[p, h], dim=0))
             + float((before[0, h, t] @ where * crossing.beside[h, 0]) @ where[p]) for p in range(16)] for t in range(5)
        ])  # fmt: skip
        for t in range(5):
            to_words[t, h] = affinity[t].softmax(0) @ from_picture[:, h]
        for p in range(16):
            to_places[p, h] = affinity[:3, p].softmax(0) @ from_text[:3, h]
    gates = crossing.gates.tanh()
    told = text + gates[0] * crossing.to_text(to_words.flatten(1))
    told, _ = crossing.layer(told, mask[:, None, None, :] > 0)
    seen = picture + gates[1] * crossing.to_picture(to_places.flatten(1))
    seen = seen + crossing.feed(crossing.feed_norm(seen))
    found_text, found_picture, _ = crossing(text, picture, mask, where, before, 1.0)
    torch.testing.assert_close(found_text, told, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(found_picture, seen, atol=1e-5, rtol=1e-5)


def test_what_all_places_have_in_common_is_taken_away() -> None:
    places = Places(6, 4).train()
    torch.manual_seed(3)
    seen = torch.randn(5, 9, 6)
    torch.testing.assert_close(places(seen + 100 * torch.randn(6)), places(seen), atol=1e-3, rtol=1e-3)
    torch.testing.assert_close(places(seen).mean((0, 1)), places.linear.bias, atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_half_of_the_heads_begin_by_looking_where_they_looked_and_half_away() -> None:
    """From each place in turn, with nothing else to go by."""
    crossing, where = Crossing(replace(CONFIG, width=64, heads=4, grid=8)), waves(8, 64)
    pull = (where * crossing.beside) @ where.T  # (H, 64, 64)
    assert torch.equal(pull[::2].argmax(2), torch.arange(64).expand(2, -1))
    assert torch.equal(pull[1::2].argmin(2), torch.arange(64).expand(2, -1))


@torch.no_grad()
def test_closed_gates_tell_the_words_nothing_of_the_picture() -> None:
    made = model()
    pixels, ids, mask = pairs()
    text = made.texts(ids, mask).parts[:, 0]
    pictures = [made.pictures(one).parts[:, 0] for one in (pixels, -pixels)]
    for share, is_told in ((0.0, False), (0.5, True)):
        words = [made.bridge.crossings[0](text, places, mask, made.bridge.waves, None, share)[0] for places in pictures]
        assert torch.equal(*words) is not is_told


@torch.no_grad()
def test_depths_are_opened_in_order() -> None:
    made = model()
    results = []
    for opened in (0.0, 0.5, 1.0, 2.0, float(DEPTHS)):
        made.bridge.opened = opened
        results.append(made(*pairs())[2].match)
    assert all(not torch.allclose(a, b) for a, b in pairwise(results))


@torch.no_grad()
def test_padding_changes_nothing() -> None:
    made = model()
    pixels, ids, mask = pairs()
    short = made(pixels[-1:], ids[-1:, :4], mask[-1:, :4])
    long = made(pixels[-1:], ids[-1:], mask[-1:])
    torch.testing.assert_close(short[1].vector, long[1].vector, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(short[2].match, long[2].match, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(short[2].answers, long[2].answers, atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_vectors_have_length_one_and_looks_sum_to_one() -> None:
    picture, text, fused = model()(*pairs())
    for vector in (picture.vector, text.vector):
        torch.testing.assert_close(vector.norm(dim=-1), torch.ones(3))
    torch.testing.assert_close(fused.looked.sum(-1), torch.ones(3, 6))


def test_separate_affinities_cost_more() -> None:
    shared, separate = (model(replace(CONFIG, is_shared=is_shared)) for is_shared in (True, False))
    assert parameters_of(separate) - parameters_of(shared) == DEPTHS * 2 * (24 * 24 + 24)
    assert not torch.allclose(shared(*pairs())[2].match, separate(*pairs())[2].match)


def test_alignment_is_siglips_loss() -> None:
    """As the pseudocode of its paper has it: labels 2 I - 1, the sum of all logs over the batch's size."""
    made, n = model(), 4
    torch.manual_seed(3)
    pictures, texts = (F.normalize(torch.randn(n, 12), dim=-1) for _ in range(2))
    logits = (texts @ pictures.T) * made.log_scale.exp() + made.bias
    expected = -F.logsigmoid((2 * torch.eye(n) - 1) * logits).sum() / n
    torch.testing.assert_close(made.alignment(pictures, texts, torch.eye(n).bool()), expected)


def test_the_hardest_picture_is_the_likest_of_the_others() -> None:
    made = model()
    vectors = F.normalize(torch.tensor([[1.0, 0, 0], [0.9, 0.1, 0], [0, 0.5, 1.0]]), dim=-1)
    same = torch.eye(3).bool()
    assert made.hardest(vectors, vectors, same).tolist() == [1, 0, 1]
    same[0, 1] = same[1, 0] = True  # two pictures of one thing
    assert made.hardest(vectors, vectors, same)[:2].tolist() == [2, 2]
    with pytest.raises(ValueError, match="pairs that do not match"):
        made.hardest(vectors, vectors, torch.ones(3, 3).bool())


@pytest.mark.parametrize(("other", "cosine"), [((1.0, 0.0), 1.0), ((-2.0, 0.0), -1.0), ((0.0, 3.0), 0.0)])
def test_conflict_is_the_cosine_of_two_gradients(other: tuple[float, float], cosine: float) -> None:
    shared = torch.nn.Parameter(torch.zeros(2))
    first, second = (shared * torch.tensor([5.0, 0.0])).sum(), (shared * torch.tensor(other)).sum()
    assert conflict(first, second, [shared]) == pytest.approx(cosine)


def test_nothing_pulls_against_what_asks_for_nothing() -> None:
    shared, elsewhere = torch.nn.Parameter(torch.ones(2)), torch.nn.Parameter(torch.ones(2))
    assert conflict(shared.sum(), elsewhere.sum(), [shared]) == 1.0


def test_base_is_resnet_50_and_bert_base() -> None:
    with torch.device("meta"):
        made = CMAB(base())
    assert parameters_of(made.pictures.network) == 23_508_032
    assert parameters_of(made.texts.layers) + parameters_of(made.texts.embeddings) == 108_891_648 - 1536
    assert made.pictures(torch.empty(2, 3, 224, 224, device="meta")).parts.shape == (2, 3, 49, 768)


@pytest.mark.parametrize(
    ("change", "message"),
    [({"text_layers": 4}, "multiple of 3"), ({"width": 25}, "multiple of heads"), ({"text_heads": 3}, "of heads 3"),
     ({"picture": ResNetConfig((1, 1), 8, 1, (1, 1))}, "at least 3 stages")],
)  # fmt: skip
def test_sizes_that_do_not_fit_are_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(CONFIG, **change)  # type: ignore[arg-type]
