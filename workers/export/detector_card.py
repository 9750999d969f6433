"""The card of a detector, written from what was measured and nothing else."""

from __future__ import annotations

from typing import Any


def model_card(values: dict[str, Any]) -> str:
    """Markdown with the head that registries read."""
    report = values["report"]
    known = "known anomalies" if report["basis"] == "labels" else "faults that were put into the history"
    return "\n".join([
        f"---\npipeline_tag: {values['task']}\n---\n",
        f"# {values['title']}\n",
        f"Scores of {', '.join(values['sensors'])}, a step each {report['interval']:g} seconds. {report['reason']}\n",
        f"## Backtest\n\nFitted on the first half of {report['steps']:,} steps, calibrated on the next quarter, judged "
        f"by the last one, by {known}. No point adjustment.\n\n{_table(report['rows'])}\n",
        "## Limits\n\nThe threshold keeps its budget as long as what is normal stays as it was in the second half of "
        "the history. A score says that something is unusual, not that something is broken.\n",
    ])  # fmt: skip


def _table(rows: list[dict[str, Any]]) -> str:
    head = (
        "| Detector | VUS-PR | F1 | Events found | False alarms | Seconds for 1,000 steps |\n|---|---|---|---|---|---|"
    )
    return "\n".join([head, *(_row(row) for row in rows)])


def _row(row: dict[str, Any]) -> str:
    if row["error"]:
        return f"| {row['detector']} | {row['error']} | | | | |"
    shares = [_cent(row[name]) for name in ("event_recall", "false_alarm_rate")]
    return (
        f"| {row['detector']} | {_number(row['vus_pr'])} | {_number(row['f1'])} | {shares[0]} | {shares[1]} | "
        f"{row['score_seconds']:.3f} |"
    )


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def _cent(value: float | None) -> str:
    return "" if value is None else f"{100 * value:.1f} %"
