"""What the benchmarks of V3 make of their figures."""

import pytest

from benchmarks import v3_communication, v3_language, v3_recovery


def test_language_is_summed_up_over_seeds():
    def run(bits, **more):
        return {"bits": bits, "seconds": 10.0, "parameters": 3, "parameters_active": 1, "bytes": 7, **more}

    runs = {
        "moe-0": run(2.0, load_cv=0.1, load_max=1.2), "moe-1": run(2.2, load_cv=0.3, load_max=1.4),
        "dense-0": run(2.4), "unbalanced-0": run(2.1, load_cv=1.0, load_max=4.0),
    }  # fmt: skip
    found = v3_language.details(runs)

    assert found["moe"]["bits"] == {"mean": 2.1, "least": 2.0, "most": 2.2, "seeds": 2}
    assert "load_cv" not in found["dense"]
    assert v3_language.summary(found) == {
        "moe_bpc": 2.1, "dense_bpc": 2.4, "unbalanced_bpc": 2.1, "load_cv": 0.2, "load_cv_unbalanced": 1.0,
    }  # fmt: skip


def test_exposed_communication_is_what_a_step_takes_more_than_without_transfers():
    times = {"compute": 100.0, "compute in turn": 101.0, "raw": 120.0, "raw in turn": 151.0}

    assert v3_communication.exposed(times, "raw") == {"with_overlap_ms": 20.0, "in_turn_ms": 50.0, "reduction": 0.6}


def test_losses_are_compared_step_by_step():
    assert v3_recovery.difference({1: 2.0, 2: 1.5}, {1: 2.0, 2: 1.25}) == 0.25
    with pytest.raises(AssertionError):
        v3_recovery.difference({1: 2.0}, {1: 2.0, 2: 1.5})
    assert v3_recovery.percentile([3.0, 1.0, 2.0], 0.95) == 3.0
