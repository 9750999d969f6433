from dataclasses import replace

import torch
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from torch.nn import functional as F

from workers.training.towards import SHRUNK, send, tell_apart
from workers.zoo.resnet import ResNetConfig
from workers.zoo.v2_cmab import CMAB, V2Config

CONFIG = V2Config(
    60, ResNetConfig((1, 1, 1), 8, 1, (2, 2, 1), is_pooled=False), text_width=32, text_layers=3, text_heads=2,
    text_hidden=32, positions=8, dropout=0.0, space=12, width=24, heads=3, grid=4,
)  # fmt: skip


@torch.no_grad()
def test_texts_go_to_their_pictures_in_every_language() -> None:
    """Pictures that lie where a linear map of the texts would put them are found by it, in the words of both."""
    torch.manual_seed(0)
    model = CMAB(CONFIG).eval()
    ids = torch.randint(1, 60, (20, 5))
    mask = torch.ones_like(ids)
    means, _ = model.texts.look(ids, mask)
    apart = (means - means.mean(0)) / means.std(0)
    pictures = F.normalize(apart @ torch.randn(32, 12), dim=-1)
    send(model, pictures, [(ids, mask), (ids.flip(1), mask)])
    cosines = model.texts(ids, mask).vector @ pictures.T
    assert torch.equal(cosines.argmax(1), torch.arange(20)) and float(cosines.diagonal().mean()) > 0.7


@torch.no_grad()
def test_pictures_are_told_apart_by_linear_discriminants() -> None:
    """The same directions as scikit-learn's, whose shrinkage s is s / (1 - s) of ours."""
    torch.manual_seed(0)
    config = replace(CONFIG, is_placed=True)
    model = CMAB(config).eval()
    channels = config.picture.channels[-3:]
    sides = torch.tensor_split(
        (torch.randn(30, channels[-1] + 16 * sum(channels[:-1])) + 0.7 * torch.randn(6, 30, 1)), [channels[-1]], 2
    )
    noise = torch.randn(sides[1].shape[2], sides[1].shape[2]) / 8
    mean, finer = sides[0], sides[1] + torch.randn(sides[1].shape) @ noise
    tell_apart(model.pictures, mean, finer)
    drawn = torch.cat([mean, finer], 2).flatten(0, 1)
    normed = (drawn - drawn.mean(0)) / (drawn.var(0) + 1e-5).sqrt()
    theirs = LinearDiscriminantAnalysis("eigen", shrinkage=SHRUNK / (1 + SHRUNK), n_components=config.space)
    theirs.fit(normed.double().numpy(), list(range(30)) * 6)
    weights = torch.cat([model.pictures.vector[1].weight, model.pictures.layout[1].weight], 1)
    span = torch.linalg.qr(weights.double().T)[0]
    wanted = torch.linalg.qr(torch.from_numpy(theirs.scalings_[:, : config.space]))[0]
    assert torch.linalg.svdvals(span.T @ wanted).min() > 0.99
    vectors = model.pictures.vector_of(mean.flatten(0, 1), finer.flatten(0, 1)).view(6, 30, -1)
    nearest = (vectors[0] @ vectors[1:].mean(0).T).argmax(1)
    assert float((nearest == torch.arange(30)).float().mean()) > 0.8
