"""The benchmarks run and report what they promise. How fast anything is, no test says."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import benchmarks

BASE_DIR = Path(benchmarks.__file__).parent.parent


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """As a person would start it, who has no servers of their own."""
    environment = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    command = [sys.executable, "-m", "benchmarks", *arguments]
    return subprocess.run(command, cwd=BASE_DIR, env=environment, capture_output=True, text=True, check=False)


def test_without_a_name_the_benchmarks_are_listed():
    answer = run()
    assert answer.returncode == 0
    assert "append" in answer.stdout


@pytest.mark.bundled
def test_the_append_benchmark_answers_one_json_object():
    answer = run("append", "--json", "--rounds", "1", "--seconds", "0.2")
    assert answer.returncode == 0, answer.stderr
    found = json.loads(answer.stdout)
    assert found.keys() == {"ratios", "figures", "measured"}
    assert found["ratios"].keys() == {"vs_insert_8", "vs_insert_1", "vs_peer_8"}
    for contender in ("append", "insert", "peer"):
        assert {f"{contender}_{run}" for run in ("1", "1_three", "8", "8_three")} <= found["figures"].keys()
    for name in ("command", "rename"):
        assert {f"{name}_8{unit}" for unit in ("", "_p50_ms", "_p99_ms")} <= found["figures"].keys()
    assert all(figure > 0 for figure in found["figures"].values())
    assert "fsync on, synchronous_commit on" in found["measured"]["PostgreSQL"]
