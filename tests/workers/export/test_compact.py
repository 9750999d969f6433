"""Less to store, nearly the same to say."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import nn

from workers.export.compact import compact


class Mixed(nn.Module):
    """Each kind of weights that is made smaller: convolution, product, table."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution, self.table = nn.Conv2d(3, 64, 3), nn.Embedding(50, 64)
        self.product = nn.Linear(64, 64)

    def forward(self, pixels: torch.Tensor, ids: torch.Tensor) -> torch.Tensor:
        return self.product(self.convolution(pixels).mean((2, 3))[:, None] + self.table(ids))


@pytest.mark.slow
def test_a_quarter_of_the_room_and_less_than_a_hundredth_of_error(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = Mixed().eval()
    with torch.no_grad():  # one channel that is far wider than the others costs them nothing
        model.convolution.weight[0] *= 100
    inputs = torch.randn(2, 3, 16, 16), torch.randint(0, 50, (2, 5))
    large, small = tmp_path / "large.onnx", tmp_path / "small.onnx"
    torch.onnx.export(model, inputs, large, dynamo=True, external_data=False, verbose=False)
    compact(large, small)

    def weights(path: Path) -> int:
        return sum(len(entry.raw_data) for entry in onnx.load(path).graph.initializer)

    assert weights(small) < 0.32 * weights(large)
    session = onnxruntime.InferenceSession(small)
    names = [entry.name for entry in session.get_inputs()]
    (found,) = session.run(None, dict(zip(names, (value.numpy() for value in inputs), strict=True)))
    wanted = model(*inputs).detach().numpy()
    assert np.abs(found - wanted).max() < 0.01 * np.abs(wanted).max()
