import torch
from torch.nn import functional as F

from workers.training.towards import send
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
