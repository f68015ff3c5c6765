"""The cluster that each launcher's variables describe."""

import json

import pytest
from refusals import refused

from app.errors import SettingsError
from app.machine.cluster import Cluster, count_workers, find_cluster

PAIR = {"worker": ["a:1", "b:2"]}


def find(environ, **given):
    return find_cluster(environ, **{"port": 2222, **given})


def tf_config(cluster=PAIR, kind="worker", index=0):
    return {"TF_CONFIG": json.dumps({"cluster": cluster, "task": {"type": kind, "index": index}})}


SKYPILOT = {"SKYPILOT_NODE_IPS": "10.0.0.1\n10.0.0.2", "SKYPILOT_NODE_RANK": "1", "SKYPILOT_NUM_GPUS_PER_NODE": "4"}
KUBERNETES = {"JOB_COMPLETION_INDEX": "1", "HOSTNAME": "wheels-workers-0-1"}
SLURM = {
    "SLURM_STEP_ID": "0", "SLURM_JOB_NODELIST": "gpu[01-02]", "SLURM_PROCID": "1", "SLURM_NTASKS": "2",
    "SLURM_TASKS_PER_NODE": "1(x2)",
}  # fmt: skip
CYCLIC = SLURM | {"SLURM_NTASKS": "4", "SLURM_TASKS_PER_NODE": "2(x2)", "SLURM_DISTRIBUTION": "cyclic"}


@pytest.mark.parametrize(
    ("environ", "given", "workers", "index", "source"),
    [
        (tf_config(index=1), {}, ("a:1", "b:2"), 1, "TF_CONFIG"),
        (tf_config({"chief": ["c:1"], "worker": ["a:1"]}, "chief"), {}, ("c:1", "a:1"), 0, "TF_CONFIG"),
        (tf_config({"chief": ["c:1"], "worker": ["a:1"]}), {}, ("c:1", "a:1"), 1, "TF_CONFIG"),
        (SKYPILOT, {}, ("10.0.0.1:2222", "10.0.0.2:2222"), 1, "SkyPilot"),
        (
            KUBERNETES, {"workers": 2, "service": "wheels"},
            ("wheels-workers-0-0.wheels:2222", "wheels-workers-0-1.wheels:2222"), 1, "Kubernetes",
        ),
        (SLURM, {}, ("gpu01:2222", "gpu02:2222"), 1, "Slurm"),
        (
            SLURM | {"SLURM_NTASKS": "3", "SLURM_TASKS_PER_NODE": "2,1", "SLURM_PROCID": "2"}, {},
            ("gpu01:2222", "gpu01:2223", "gpu02:2222"), 2, "Slurm",
        ),
        (SKYPILOT | tf_config(), {}, ("a:1", "b:2"), 0, "TF_CONFIG"),
    ],
)  # fmt: skip
def test_each_launcher_describes_a_cluster(environ, given, workers, index, source):
    """The chief comes first, whatever the launcher calls it; TF_CONFIG wins over all others."""
    found = find(environ, **given)
    assert found == Cluster(workers, index, source, found.gpus)
    assert found.is_chief == (index == 0)
    assert found.gpus == (4 if source == "SkyPilot" else None)


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {"TF_CONFIG": ""},
        {"TF_CONFIG": "{}"},
        tf_config({"worker": ["a:1"]}),
        {"SKYPILOT_NODE_IPS": "10.0.0.1", "SKYPILOT_NODE_RANK": "0"},
        {"JOB_COMPLETION_INDEX": "3", "HOSTNAME": "sweep-3"},
        {key: value for key, value in SLURM.items() if key != "SLURM_STEP_ID"} | {"SLURM_PROCID": "0"},
    ],
    ids=["nothing", "empty", "no cluster", "one worker", "one node", "sweep", "batch script"],
)
def test_one_process_trains_alone(environ):
    """Also as one node of a launcher, one of a sweep's pods, or a batch script beside Slurm's steps."""
    assert find(environ) is None


@pytest.mark.parametrize(
    ("environ", "where", "about"),
    [
        ({"TF_CONFIG": "{'cluster'"}, "TF_CONFIG", "JSON"),
        ({"TF_CONFIG": "[1]"}, "TF_CONFIG", "object"),
        ({"TF_CONFIG": json.dumps({"cluster": PAIR})}, "TF_CONFIG", '"task"'),
        ({"TF_CONFIG": json.dumps({"cluster": {"worker": "a:1"}})}, "TF_CONFIG", "worker"),
        (tf_config(index=2), "TF_CONFIG", "worker 2"),
        (tf_config(index=-1), "TF_CONFIG", "worker -1"),
        (tf_config(kind="evaluator"), "TF_CONFIG", "evaluator"),
        (tf_config(kind="ps"), "TF_CONFIG", "ps"),
        (tf_config({**PAIR, "ps": ["p:1"]}), "TF_CONFIG", "ps"),
        (tf_config({**PAIR, "chief": ["c:1", "d:1"]}), "TF_CONFIG", "chiefs"),
        (tf_config(kind="driver"), "TF_CONFIG", "driver"),
        (tf_config({"worker": ["a", "b:2"]}), "TF_CONFIG", "'a'"),
        (tf_config({"worker": ["a:1", "a:1"]}), "TF_CONFIG", "a:1"),
        (SKYPILOT | {"SKYPILOT_NODE_RANK": "2"}, "SkyPilot", "2"),
        (SKYPILOT | {"SKYPILOT_NODE_RANK": ""}, "SkyPilot", "SKYPILOT_NODE_RANK"),
        (SLURM | {"SLURM_PROCID": "2"}, "Slurm", "2"),
        (SLURM | {"SLURM_JOB_NODELIST": "gpu[02-01]"}, "Slurm", "02-01"),
        (SLURM | {"SLURM_TASKS_PER_NODE": "3"}, "Slurm", "2 tasks"),
        (CYCLIC, "Slurm", "cyclic"),
    ],
)  # fmt: skip
def test_what_makes_no_cluster_is_refused(environ, where, about):
    """In a line that names the launcher and what is wrong."""
    with refused(SettingsError, where=where, about=about) as caught:
        find(environ)
    assert caught.value.remedy


def test_pods_need_the_name_of_their_service():
    """Without it they have no addresses; and a host name without the index is no indexed Job's."""
    with refused(SettingsError, where="Kubernetes", flag="--worker_service"):
        find(KUBERNETES, workers=2)
    with refused(SettingsError, where="Kubernetes", about="HOSTNAME"):
        find(KUBERNETES | {"HOSTNAME": "wheels-x7x2"}, workers=2, service="wheels")


def test_another_number_of_workers_than_asked_for_is_refused():
    """So that a launcher that says nothing does not train alone, without a word, on each machine."""
    for environ in ({}, SKYPILOT):
        with refused(SettingsError, flag="--workers", about="3"):
            find(environ, workers=3)


def test_workers_are_counted_where_nobody_trains_yet():
    """`prepare` needs their number, whatever task it is run by."""
    assert count_workers(0, {}) == 1
    assert count_workers(5, {}) == 5
    assert count_workers(0, tf_config(kind="evaluator")) == 2
    assert count_workers(0, SKYPILOT) == 2
