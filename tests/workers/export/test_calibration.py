"""Ranges and int8 graphs of a small graph, against onnxruntime's own."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization.calibrate import CalibrationDataReader, CalibrationMethod, create_calibrator

from workers.export import outliers, quantise
from workers.export.calibration import BINS, PERCENTILE, Activations, Histograms
from workers.export.quantise import Candidate, choose, dense_nodes, make_candidates
from workers.export.source import ExportError

WIDTH = 48


@pytest.fixture(scope="module")
def graph(tmp_path_factory):
    """Two layers, x [B, 48] to y [B, 48]."""
    source = np.random.default_rng(0)
    weights = [source.normal(size=(WIDTH, WIDTH)).astype(np.float32) / 7 for _ in range(2)]
    nodes = [
        helper.make_node("MatMul", ["x", "w0"], ["h"], "first"),
        helper.make_node("Relu", ["h"], ["r"], "relu"),
        helper.make_node("MatMul", ["r", "w1"], ["y"], "second"),
    ]
    value = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", WIDTH]) for name in ("x", "y")]
    constants = [numpy_helper.from_array(weight, f"w{place}") for place, weight in enumerate(weights)]
    model = helper.make_model(
        helper.make_graph(nodes, "two", value[:1], value[1:], constants), opset_imports=[helper.make_opsetid("", 20)]
    )
    model.ir_version = 10
    path = tmp_path_factory.mktemp("graph") / "two.onnx"
    onnx.save(model, path)
    return path


def batches():
    source = np.random.default_rng(1)
    for scale in (1.0, 3.0, 0.5):  # the largest values do not come first
        yield {"x": (scale * source.standard_t(4, size=(64, WIDTH))).astype(np.float32)}


class AllAtOnce(CalibrationDataReader):
    def __init__(self):
        self.left = iter([{"x": np.concatenate([batch["x"] for batch in batches()])}])

    def get_next(self):
        return next(self.left, None)


@pytest.mark.parametrize(
    ("method", "theirs", "options"),
    [
        ("minmax", CalibrationMethod.MinMax, {}),
        ("entropy", CalibrationMethod.Entropy, {"num_bins": BINS, "num_quantized_bins": 128}),
        ("percentile", CalibrationMethod.Percentile, {"num_bins": BINS, "percentile": PERCENTILE, "symmetric": False}),
    ],
)
def test_ranges_of_a_stream_equal_onnxruntimes_own(graph, tmp_path, method, theirs, options):
    ours = Histograms(Activations(graph, ["first", "second"], tmp_path / "ours.onnx"), batches).ranges(method)
    calibrator = create_calibrator(
        graph, ["MatMul"], augmented_model_path=str(tmp_path / "theirs.onnx"), calibrate_method=theirs,
        extra_options=options,
    )  # fmt: skip
    calibrator.collect_data(AllAtOnce())
    wanted = calibrator.compute_data()

    for name in ("h", "r", "y"):
        for one, other in zip(ours[name].range_value, wanted[name].range_value, strict=True):
            assert float(one) == pytest.approx(np.ravel(other)[0], rel=1e-5), name


def test_memory_does_not_grow_with_the_texts(graph, tmp_path):
    few = Histograms(Activations(graph, ["first"], tmp_path / "few.onnx"), batches)
    many = Histograms(
        Activations(graph, ["first"], tmp_path / "many.onnx"), lambda: (b for _ in range(9) for b in batches())
    )

    assert sum(v.nbytes for v in few.counts.values()) == sum(v.nbytes for v in many.counts.values())
    assert np.array_equal(9 * few.counts["h"], many.counts["h"])


@pytest.mark.parametrize("vnni", [True, False])
def test_every_way_gives_a_smaller_graph_that_answers_alike(graph, tmp_path, monkeypatch, vnni):
    import onnxruntime as ort

    if vnni and not quantise.has_vnni():
        pytest.skip("a processor without VNNI adds signed products up in 16 bits, which is why it is asked")
    monkeypatch.setattr(quantise, "has_vnni", lambda: vnni)
    made = make_candidates(graph, tmp_path, batches)
    feed = next(batches())
    (wanted,) = ort.InferenceSession(str(graph)).run(None, feed)

    assert list(made) == ["dynamic", "minmax", "percentile", "entropy"]
    for name, path in made.items():
        (found,) = ort.InferenceSession(str(path)).run(None, feed)
        assert np.corrcoef(found.ravel(), wanted.ravel())[0, 1] > 0.99, name
        kinds = {entry.data_type for entry in onnx.load(path).graph.initializer}
        assert TensorProto.INT8 in kinds or TensorProto.UINT8 in kinds, name
    assert (tmp_path / "calibration.flatbuffers").stat().st_size > 0


def test_columns_far_wider_than_the_others_do_not_cost_the_others_their_steps(graph, tmp_path, monkeypatch):
    import onnxruntime as ort

    def outlying():
        for batch in batches():
            batch["x"][:, 5] *= 40
            yield batch

    def error(path):
        feed = next(outlying())
        answers = [ort.InferenceSession(str(one)).run(None, feed)[0] for one in (path, graph)]
        return np.sqrt(np.mean((answers[0] - answers[1]) ** 2))

    nodes = ["first", "second"]
    monkeypatch.setattr(outliers, "_LEAST_WIDTH", WIDTH)
    split = outliers.split(graph, tmp_path / "split.onnx", nodes, outlying)
    constants = {entry.name: numpy_helper.to_array(entry) for entry in onnx.load(split).graph.initializer}

    assert error(split) < 1e-4
    assert 5 in constants["first_columns"] and constants["first_rest"].sum() == WIDTH - outliers.KEPT
    assert not constants["w0"][5].any()
    whole, apart = (quantise._dynamic(one, tmp_path / f"{one.stem}-int8.onnx", nodes) for one in (graph, split))
    assert error(apart) < error(whole) / 3


def test_small_matrices_stay(graph, monkeypatch):
    assert dense_nodes(graph) == ["first", "second"]
    monkeypatch.setattr(quantise, "_LEAST_WIDTH", WIDTH + 1)
    assert dense_nodes(graph) == []


def test_the_fastest_of_those_that_are_good_enough_is_chosen():
    candidates = [Candidate("a", 0.90, 2.0, 1), Candidate("b", 0.899, 1.0, 1), Candidate("c", 0.80, 0.1, 1)]

    assert choose(candidates, 0.901).name == "b"
    with pytest.raises(ExportError, match=r"more than 0\.5 points; the best, a, loses 5\.0"):
        choose(candidates, 0.95)
