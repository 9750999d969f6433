"""Explanations by occlusion: against transformers reading the text without each word."""

from pathlib import Path

import numpy as np
import pytest
import torch

from tests.workers.pipelines import encoders
from tests.workers.pipelines.test_encoders import answer
from workers.pipelines import occlusion

pytestmark = pytest.mark.integration
LABELS = ["bad", "fair", "good"]
TEXT = "the cat looked at two dogs"


def scores_of(text: str) -> np.ndarray:
    ids = torch.tensor([encoders.tokenizer().encode(text).ids])
    with torch.no_grad():
        logits = encoders.classifier(3, "single_label_classification")(input_ids=ids).logits
    return torch.softmax(logits, -1)[0].numpy()


def log_odds(score: float) -> float:
    return float(np.log(score / (1 - score)))


def test_weights_are_what_leaving_a_word_out_changes(classifier_artifact: Path) -> None:
    result, done = answer(classifier_artifact, "text-classification", {"texts": [TEXT], "explain": True})
    whole = scores_of(TEXT)
    best = int(whole.argmax())
    words = TEXT.split()
    expected = [
        log_odds(whole[best]) - log_odds(scores_of(" ".join(words[:place] + words[place + 1 :]))[best])
        for place in range(len(words))
    ]
    why = result["explanation"]
    assert (why["label"], why["method"]) == (LABELS[best], "occlusion")
    assert [TEXT[span["start"] : span["end"]] for span in why["spans"]] == words
    assert np.allclose([span["weight"] for span in why["spans"]], expected, atol=1e-3)
    assert len(result["labels"]) == 1
    assert done["prompt_tokens"] == len(words) + 2
    assert done["batch_size"] >= 1
    assert done["prepare_time"] > 0


@pytest.mark.parametrize("texts", [["cat", "dogs"], []])
def test_only_one_text_is_explained(classifier_artifact: Path, texts: list[str]) -> None:
    error, _ = answer(classifier_artifact, "text-classification", {"texts": texts, "explain": True})
    assert error["type"] == "invalid_request"


def test_long_texts_have_fewer_spans_that_cover_every_word() -> None:
    text = " ".join(["cat"] * 500)
    parts = occlusion.spans(encoders.tokenizer().encode(text))
    assert len(parts) == occlusion.MAX_SPANS
    assert (parts[0].start, parts[-1].end) == (0, len(text))
    assert [one.last for one in parts[:-1]] == [one.first for one in parts[1:]]
    longer = encoders.tokenizer().encode(" ".join(["cat"] * 20_000))
    assert len(occlusion.spans(longer)) == occlusion.MIN_SPANS


def test_empty_text_has_no_spans() -> None:
    assert occlusion.spans(encoders.tokenizer().encode("")) == []
