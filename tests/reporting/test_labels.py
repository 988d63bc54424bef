from __future__ import annotations

import re

from dvabatch.reporting.labels import load_id, load_label, point_key, policy_id, policy_labels

LOAD = {
    "process": "poisson",
    "request_rate_rps": 376.5,
    "utilization": 0.5,
    "seed": 1,
    "schedule_sha256": "ab",
    "duration_s": 5.3,
}


def test_policies_of_one_type_are_told_apart_by_what_differs() -> None:
    policies: list[dict[str, object]] = [
        {"scheduler_type": "NORMAL", "max_batch_size": 8, "instances": 1, "max_queue_delay_microseconds": 0.0},
        {"scheduler_type": "NORMAL", "max_batch_size": 32, "instances": 1, "max_queue_delay_microseconds": 250.0},
        {"scheduler_type": "LOAD_DVA", "max_batch_size": 32},
        {"scheduler_type": "LOAD_DVA", "name": "mine"},
    ]
    labels = policy_labels(policies)
    assert [labels[policy_id(policy)] for policy in policies] == [
        "NORMAL batch=8 delay_us=0",
        "NORMAL batch=32 delay_us=250",
        "LOAD_DVA",
        "mine",
    ]


def test_one_policy_is_one_policy_whatever_the_order_of_its_options() -> None:
    assert policy_id({"scheduler_type": "NORMAL", "a": 1}) == policy_id({"a": 1, "scheduler_type": "NORMAL"})


def test_a_load_is_the_same_for_all_seeds() -> None:
    assert load_id(LOAD) == load_id({**LOAD, "seed": 2, "schedule_sha256": "cd", "duration_s": 9.0})
    assert load_id(LOAD) != load_id({**LOAD, "request_rate_rps": 400.0})
    assert load_label(LOAD) == "50 %"
    assert load_label({**LOAD, "utilization": None}) == "376.5 rps"


def test_keys_are_file_names_and_known_before_the_run() -> None:
    policy = {"scheduler_type": "LOAD_DVA", "name": "my/policy no. 1"}
    key = point_key(policy, LOAD)
    assert re.fullmatch(r"my-policy-no\.-1-50pct-s1-[0-9a-f]{12}", key)
    assert point_key(policy, {**LOAD, "duration_s": 9.0}) == key
    others = [
        point_key(policy, LOAD, "swept"),
        point_key({**policy, "x": 1}, LOAD),
        point_key(policy, {**LOAD, "seed": 2}),
    ]
    assert len({key, *others}) == 4
    assert len(point_key({"scheduler_type": "x" * 500}, LOAD)) < 128
