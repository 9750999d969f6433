"""The card of a model of V2, written from what was measured and nothing else."""

from __future__ import annotations

from typing import Any


def model_card(manifest: dict[str, Any]) -> str:
    """Markdown with the head that registries read."""
    source, metrics = manifest["source"], manifest["metrics"]
    size = sum(entry["bytes"] for name, entry in manifest["files"].items() if name.endswith(".onnx")) / 1e6
    pixels, grid = manifest["processor"]["size"]["height"], manifest["bridge"]["grid"]
    worst = max(metrics["parity"]["max_error"].values())
    return "\n".join([
        f"---\nlicense: {manifest['licence']}\npipeline_tag: {manifest['task']}\n---\n",
        f"# {manifest['title']}\n",
        f"A tower for pictures of {pixels} x {pixels} pixels, one for texts of up to {manifest['max_length']} tokens, "
        f"and a bridge that looks from each word at {grid} x {grid} places. {source['parameters']:,} parameters, "
        f"{size:.1f} MB, weights in {manifest['precision']}. {source['origin']}.\n",
        f"## Data\n\n{source['data']['source']}. Licence: {source['data']['licence']}.\n",
        f"## Measured on the test\n\n{_table(metrics)}\n\nLargest difference between the fp32 graphs and the original: "
        f"{worst:.1e} over shapes not seen in the export.\n",
        f"## Made with\n\n```\n{source['training']}\n{manifest['command']}\n```\n\n"
        f"{source['steps']:,} steps, seed {source['seed']}, {source['seconds'] / 60:.0f} minutes on one core.\n",
        f"## Limits\n\n{_limits(manifest)}\n",
    ])  # fmt: skip


def _table(metrics: dict[str, Any]) -> str:
    rows = [
        f"| {name.replace('_', ' ')} | {100 * value:.1f} % | {100 * metrics['test_fp32'][name]:.1f} % |"
        for name, value in metrics["test"].items()
    ]
    return "\n".join(["| | this artifact | fp32 |", "|---|---|---|", *rows])


def _limits(manifest: dict[str, Any]) -> str:
    if "labels" in manifest:
        return (
            f"Answers with one of: {', '.join(manifest['labels'])}. It knows six coloured squares and circles on a "
            "grey ground and the sentences of its generator; of other pictures and questions it knows nothing."
        )
    photos = (
        "of photos it has learned what ImageNet's network is like at its 1,000 classes, and has seen none"
        if manifest["source"].get("photos")
        else "what it says of photos was not trained"
    )
    return (
        "It was trained on small drawings with short names. Names of things that it has not seen are found far less "
        f"often, and {photos}. One run with one seed."
    )
