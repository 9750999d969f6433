from pathlib import Path

import pytest

from tests.workers.pipelines import encoders


@pytest.fixture(scope="session")
def classifier_artifact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of `encoders.classifier` with three labels: writing its graph takes seconds."""
    model = encoders.classifier(3, "single_label_classification")
    return encoders.text_artifact(
        tmp_path_factory.mktemp("classifier"), model, "logits", task="text-classification",
        labels=["bad", "fair", "good"], problem_type="single_label_classification",
    )  # fmt: skip
