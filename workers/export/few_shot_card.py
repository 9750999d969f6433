"""The card of a model that classifiers are taught with, written from what was measured and nothing else."""

from __future__ import annotations

from typing import Any

_OF_WINDOWS = (
    "A window is made {length} values long: of a longer one finer details are lost. Kernels count how often a pattern "
    "occurs, not where: classes that differ by when something happens are told poorly. Levels below 1 in the unit that "
    "is sent, and levels and spreads that differ by about a tenth, are hardly told apart."
)

_OF_CLIPS = (
    "A clip is heard up to 4 kHz, without the silence around it, as {frames} moments whatever its length: single words "
    "and short commands are told apart, sentences poorly. A voice that gave no example is told much worse than one "
    "that did; let several people speak. It transcribes nothing."
)


def model_card(manifest: dict[str, Any]) -> str:
    """Markdown with the head that registries read."""
    size = sum(entry["bytes"] for name, entry in manifest["files"].items() if name.endswith(".onnx")) / 1e6
    worst = max(manifest["metrics"]["parity"]["max_error"].values())
    return "\n".join([
        f"---\nlicense: {manifest['licence']}\npipeline_tag: {manifest['task']}\n---\n",
        f"# {manifest['title']}\n",
        f"Classifiers are made of a few examples each: {manifest['reads']} to {manifest['features']} features, "
        f"{_adapting(manifest)} {size:.1f} MB. {manifest['source']['origin']}.\n",
        f"## Measured\n\n{_measured(manifest['metrics'])}\n\nLargest difference between the graphs and the original: "
        f"{worst:.1e}, over shapes not seen in the export.\n",
        f"## Made with\n\n```\n{manifest['source'].get('training', '')}\n{manifest['command']}\n```\n".replace(
            "```\n\n", "```\n"
        ),
        f"## Limits\n\n{_limits(manifest)}\n",
    ])  # fmt: skip


def _adapting(manifest: dict[str, Any]) -> str:
    if "modulate" in manifest:
        return f"adapted by {manifest['ranks']} strengths that the examples give, without gradients."
    if manifest["ranks"]:
        return f"a class is the mean of its examples. A job can refine {manifest['ranks']} strengths with gradients."
    return "which are not adapted: a class is the mean of its examples."


def _measured(metrics: dict[str, Any]) -> str:
    found = metrics.get("without_gradients")
    if not found:
        return "Nothing was trained. Each classifier is judged by its own examples, left out one by one."
    rows = [
        f"| {name} | {100 * one['mean']:.1f} % +- {100 * one['interval']:.1f} | {one['tasks']} |"
        for name, one in found.items()
    ]
    return "\n".join(["| tasks | accuracy without gradients | number |", "|---|---|---|", *rows])


def _limits(manifest: dict[str, Any]) -> str:
    if manifest["reads"] == "texts":
        return (
            f"It reads English; of other languages it knows little. Of a long text the first {manifest['max_length']} "
            "tokens are read."
        )
    if manifest["reads"] == "windows":
        return _OF_WINDOWS.format(length=manifest["length"])
    if manifest["reads"] == "clips":
        return _OF_CLIPS.format(frames=manifest["frames"])
    side = manifest["processor"]["size"]["height"]
    return f"Pictures are seen as {side} x {side} pixels, whatever their shape: small details are lost."
