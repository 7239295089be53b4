"""Which host a process is, before anything heavy is imported."""

import json

import pytest

from components.train import STEP, hosts


@pytest.mark.parametrize(
    ("environment", "number"),
    [
        ({}, 0),
        ({hosts.HOSTS: "a:1,b:1", hosts.JOB_INDEX: "1"}, 1),
        ({hosts.JOB_INDEX: "1"}, 0),
        ({"TF_CONFIG": json.dumps({"task": {"type": "worker", "index": 3}})}, 3),
        ({"TF_CONFIG": "worker0:2222"}, 0),
    ],
)
def test_a_process_knows_which_host_it_is(environment, number, monkeypatch):
    for name in ("TF_CONFIG", hosts.HOSTS, hosts.JOB_INDEX):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert hosts.number() == number
    assert STEP.host_number is hosts.number
