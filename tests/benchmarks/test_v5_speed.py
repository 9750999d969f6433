"""Times to be as good as fine-tuning, from curves that are known."""

from argparse import Namespace
from pathlib import Path

from benchmarks import v5_speed
from benchmarks.fine_tuning import Curve, Point
from benchmarks.v5_speed import compared, summary, times
from workers.training import meta


def tuned(*accuracies: float) -> Curve:
    return [Point(step, float(at), 2.0 * at, one)
            for at, (step, one) in enumerate(zip((0, 8, 32, 64), accuracies, strict=True))]  # fmt: skip


def adapted(without: float, with_a_step: float) -> Curve:
    return [Point(0, 0.1, 0.2, without), Point(1, 0.3, 0.6, with_a_step)]


def test_a_task_that_is_never_as_good_is_endless() -> None:
    found = times([adapted(1, 1), adapted(0.5, 1), adapted(0.5, 0.5)], [1.0, 1.0, 0.9])
    assert (found["seconds"], found["wall"], found["never"]) == (0.3, 0.6, 0.333)
    assert times([adapted(0.5, 0.5)], [1.0])["seconds"] is None
    assert found["on_average"] is None and found["accuracy"] == 83.33
    assert times([adapted(1, 1), adapted(0.5, 1)], [1.0, 1.0])["on_average"] == {"seconds": 0.3, "step": 1}


def test_ratios_are_those_of_medians_over_the_seeds_with_what_it_takes_to_pay() -> None:
    slow = [tuned(0.5, 0.7, 1, 1), tuned(0.5, 0.7, 1, 1)]
    soon = [tuned(0.5, 1, 1, 1), tuned(1, 1, 1, 1)]
    others = {
        "prototypes": [adapted(0.5, 0.5), adapted(0.5, 0.5)],
        "meta_lora_0": [adapted(1, 1), adapted(1, 1)], "meta_lora_1": [adapted(1, 1), adapted(0.5, 1)],
        "meta_lora_2": [adapted(1, 1), adapted(1, 1)],
    }  # fmt: skip
    found = compared({"new": slow, "prototypes": soon}, others, [190.0, 380.0, 100.0])
    assert (found["converged"], found["fine_tuning_new"]["seconds"]) == (100, 2.0)
    assert found["fine_tuning_prototypes"]["seconds"] == 0.5
    assert found["meta_lora"] == {
        "seconds": 0.1, "never": 0, "accuracy": 100, "ratio": 20, "ratio_on_average": 20, "training_seconds": 190,
        "break_even_tasks": 100,
    }  # fmt: skip
    assert summary({"text": found}) == {
        "seconds_finetuning_text": 2.0, "time_ratio_to_finetuning_text": 20, "seconds_text": 0.1,
        "time_ratio_to_finetuning_text_on_average": 20, "never_text": 0, "break_even_tasks_text": 100,
        "prototypes_time_ratio_to_finetuning_text": None, "prototypes_never_text": 1,
    }  # fmt: skip


def test_without_a_run_the_rest_is_told() -> None:
    found = compared({"new": [tuned(0.5, 0.7, 1, 1)], "prototypes": [tuned(1, 1, 1, 1)]},
                     {"prototypes": [adapted(1, 1)]}, [])  # fmt: skip
    assert "meta_lora" not in found
    assert summary({"image": found}) == {
        "seconds_finetuning_image": 2.0, "prototypes_time_ratio_to_finetuning_image": 20, "prototypes_never_image": 0,
    }  # fmt: skip


def test_a_trained_run_is_measured_in_torch_and_by_its_graphs(config, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("benchmarks.fine_tuning.CHOSEN_ON", 1)
    metrics = meta.train(config, tmp_path / "topics-0", lambda said: None)
    found = v5_speed.measured("text", {"topics-0": metrics, "topics-1": metrics}, Namespace(runs=tmp_path, tuned=2))
    assert {"fine_tuning_new", "fine_tuning_prototypes", "prototypes", "meta_lora_0", "meta_lora"} < set(found)
    assert "meta_lora_1" not in found and found["onnx_seconds"] > 0
    assert found["meta_lora_0"]["tasks"] == 2 and found["meta_lora"]["training_seconds"] >= 0
