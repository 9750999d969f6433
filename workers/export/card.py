"""A model card, written from what was measured and nothing else."""

from __future__ import annotations

from typing import Any


def model_card(manifest: dict[str, Any]) -> str:
    """Markdown with the head that registries read."""
    metrics, data = manifest["metrics"], manifest["source"]["data"]
    parts = [
        f"---\nlicense: {manifest['licence']}\npipeline_tag: {manifest['task']}\n---\n",
        f"# {manifest['title']}\n",
        f"{_about(manifest)}\n",
        f"## Data\n\n{data['source']}. Licence: {data['licence']}. {_examples(manifest)}\n",
        f"## Accuracy\n\n{_accuracy(metrics)}\n",
        f"## Graphs that were tried\n\n{_table(metrics)}\n",
        f"## Made with\n\n```\n{manifest['source']['training']}\n{manifest['command']}\n```\n",
        f"## Limits\n\n{_limits(manifest)}\n",
    ]
    return "\n".join(parts)


def _about(manifest: dict[str, Any]) -> str:
    labels = ", ".join(manifest["labels"])
    return (
        f"Labels: {labels}. Reads up to {manifest['max_length']:,} tokens with dyadic range attention: exact within "
        f"{manifest['range']['window']} to {2 * manifest['range']['window']} tokens, in ever coarser summaries beyond. "
        f"{manifest['source']['parameters']:,} parameters, {manifest['precision']}, "
        f"{manifest['files']['model.onnx']['bytes'] / 1e6:.1f} MB. {manifest['source']['origin']}."
    )


def _examples(manifest: dict[str, Any]) -> str:
    counts = manifest["source"]["examples"]
    return (
        f"{counts['train']:,} examples to train on, {counts['validation']:,} to choose the best step by, "
        f"{manifest['metrics']['validation_examples']:,} to choose the graph by, {counts['test']:,} to test."
    )


def _accuracy(metrics: dict[str, Any]) -> str:
    return (
        f"{100 * metrics['accuracy']:.1f} % of the test are right, {100 * metrics['accuracy_fp32']:.1f} % before "
        f"quantisation. Largest difference of a logit between the fp32 graph and the original: "
        f"{metrics['parity']['max_error']:.1e} over {len(metrics['parity']['shapes'])} shapes not seen in the export."
    )


def _table(metrics: dict[str, Any]) -> str:
    head = "| Graph | Accuracy of the validation set | Milliseconds, one text | MB |\n|---|---|---|---|"
    rows = [
        f"| {row['name']}{' (chosen)' if row['name'] == metrics['chosen'] else ''} | {100 * row['accuracy']:.1f} % "
        f"| {row['milliseconds']:.2f} | {row['bytes'] / 1e6:.2f} |"
        for row in metrics["candidates"]
    ]
    return "\n".join([head, *rows]) + f"\n\nOne thread, {metrics['latency_tokens']} tokens. {metrics['machine']}."


def _limits(manifest: dict[str, Any]) -> str:
    return (
        f"Trained on texts of at most {manifest['source']['longest']} tokens; longer ones are read whole, but how well "
        "was not measured here. One run with one seed. For INT8 with TensorRT calibration.flatbuffers has the ranges; "
        "they were not tried on a GPU."
    )
