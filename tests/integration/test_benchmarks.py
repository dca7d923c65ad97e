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
    assert "command" in answer.stdout
    assert "lag" in answer.stdout
    assert "timers" in answer.stdout


@pytest.mark.long
@pytest.mark.bundled
@pytest.mark.timeout(900)  # two sites are made, and all their pages opened
def test_the_admin_benchmark_opens_every_kind_of_page():
    sizes = ("--small", "500", "50", "2", "1", "--large", "1000", "100", "5", "2")
    answer = run("admin", "--json", "--rounds", "1", *sizes)
    assert answer.returncode == 0, answer.stderr
    found = json.loads(answer.stdout)
    assert found.keys() == {"ratios", "figures", "measured"}
    assert found["ratios"].keys() == {"largest_vs_smallest"}
    figures = found["figures"]
    assert figures["pages"] > 100
    assert 0 < figures["median_page_ms"] <= figures["slowest_page_ms"]
    assert figures["most_statements"] > 0
    assert found["measured"]["large"] == [1000, 100, 5, 2]


@pytest.mark.long
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


@pytest.mark.long
@pytest.mark.bundled
@pytest.mark.timeout(900)  # eight clients, perhaps on a machine that has other work
def test_the_command_benchmark_answers_one_json_object():
    answer = run("command", "--json", "--rounds", "1", "--seconds", "0.2")
    assert answer.returncode == 0, answer.stderr
    found = json.loads(answer.stdout)
    assert found.keys() == {"ratios", "figures", "measured"}
    figures = found["figures"]
    assert found["ratios"].keys() == {"vs_floor_1", "vs_floor_8"}
    for contender in ("command", "floor"):
        for clients in (1, 8):
            p50, p99 = (figures[f"{contender}_{clients}_{unit}_ms"] for unit in ("p50", "p99"))
            assert 0 < p50 <= p99
            assert figures[f"{contender}_{clients}"] > 0
    for prefix in ("", "floor_"):
        for what in ("statements", "round_trips", "transactions", "ms", "cpu_ms", "server_cpu_ms"):
            assert figures[f"{prefix}{what}_per_command"] > 0
    assert figures["floor_transactions_per_command"] == 3
    assert figures["floor_round_trips_per_command"] == 4
    assert figures["floor_statements_per_command"] == 11
    assert "fsync on, synchronous_commit on" in found["measured"]["PostgreSQL"]


@pytest.mark.long
@pytest.mark.bundled
@pytest.mark.timeout(300)  # two hundred clients, perhaps on a machine that has other work
def test_the_crowd_benchmark_keeps_its_promises():
    answer = run("crowd", "--json", "--rounds", "1")
    assert answer.returncode == 0, answer.stderr
    found = json.loads(answer.stdout)
    assert found.keys() == {"ratios", "figures", "measured"}
    for clients in (64, 200):
        p50, p99 = (found["figures"][f"crowd_{clients}_{unit}_ms"] for unit in ("p50", "p99"))
        assert 0 < p50 <= p99
        assert found["figures"][f"sold_{clients}_s"] > 0
    assert found["measured"]["seats"] == 50


@pytest.mark.long
@pytest.mark.bundled
def test_the_feed_benchmark_keeps_its_promises():
    answer = run("feed", "--json", "--seconds", "2", "--followers", "20", "--events", "5000")
    assert answer.returncode == 0, answer.stderr
    found = json.loads(answer.stdout)
    assert found.keys() == {"ratios", "figures", "measured"}
    figures = found["figures"]
    assert 0 < figures["p50_ms"] <= figures["p99_ms"]
    assert figures["missed"] == figures["repeated"] == 0
    assert figures["cpu_percent"] > 0
    assert {"memory_mb_500_followers", "memory_mb_stuck", "stuck_due_mb", "rate"} <= figures.keys()
    assert found["measured"]["followers"] == 20


@pytest.mark.long
@pytest.mark.bundled
@pytest.mark.timeout(900)  # thirty-two clients, perhaps on a machine that has other work
def test_the_hot_benchmark_answers_one_json_object():
    answer = run("hot", "--json", "--rounds", "1", "--seconds", "0.2", "--orders", "50")
    assert answer.returncode == 0, answer.stderr
    found = json.loads(answer.stdout)
    assert found.keys() == {"ratios", "figures", "measured"}
    assert found["ratios"].keys() == {"clients_32_vs_8", "late_vs_early"}
    for name in ("reserve_1", "reserve_8", "reserve_32", "early", "late"):
        p50, p99 = (found["figures"][f"{name}_{unit}_ms"] for unit in ("p50", "p99"))
        assert 0 < p50 <= p99
        assert found["figures"][name] > 0
    assert found["measured"]["orders"] == 50


@pytest.mark.long
@pytest.mark.bundled
@pytest.mark.timeout(300)  # two sites and eight clients, perhaps on a machine that has other work
def test_the_http_benchmark_compares_each_call_with_the_plain_one():
    answer = run("http", "--json", "--rounds", "1", "--seconds", "0.5")
    assert answer.returncode == 0, answer.stderr
    found = json.loads(answer.stdout)
    assert found.keys() == {"ratios", "figures", "measured"}
    figures, calls = found["figures"], ("get_order", "patch_customer", "post_order")
    assert found["ratios"].keys() == set(calls)
    for call in calls:
        assert found["ratios"][call] == pytest.approx(figures[call] / figures[f"plain_{call}"], abs=0.01)
        for name in (call, f"plain_{call}"):
            assert 0 < figures[f"{name}_p50_ms"] <= figures[f"{name}_p99_ms"]
    assert found["measured"]["clients"] == 8


@pytest.mark.long
@pytest.mark.bundled
def test_the_idle_benchmark_says_where_cpu_and_memory_go():
    answer = run("idle", "--json", "--seconds", "2", "--settle", "0")
    assert answer.returncode == 0, answer.stderr
    found = json.loads(answer.stdout)
    assert found.keys() == {"ratios", "figures", "measured"}
    figures = found["figures"]
    programs = {"site", "worker", "effects", "rebuilder", "clock", "postgresql", "valkey", "supervisor"}
    for figure in ("cpu_percent", "memory_mb"):
        assert {name for name in figures if name.startswith(f"{figure}_")} == {f"{figure}_{name}" for name in programs}
        parts = sum(value for name, value in figures.items() if name.startswith(f"{figure}_"))
        assert figures[figure] == pytest.approx(parts, abs=0.01)
    assert all(figures[f"memory_mb_{name}"] > 0 for name in programs)
    assert found["measured"]["processes"] > len(programs)


@pytest.mark.long
@pytest.mark.bundled
def test_the_imports_benchmark_answers_one_json_object():
    answer = run("imports", "--json", "--rounds", "1", "--customers", "500")
    assert answer.returncode == 0, answer.stderr
    found = json.loads(answer.stdout)
    assert found.keys() == {"ratios", "figures", "measured"}
    assert found["ratios"].keys() == {"vs_one_by_one", "vs_copy"}
    assert found["figures"].keys() == {"customers_per_s", "one_by_one_per_s", "copy_per_s"}
    assert all(figure > 0 for figure in found["figures"].values())
    assert found["measured"]["customers"] == 500


@pytest.mark.long
@pytest.mark.bundled
def test_the_lag_benchmark_answers_one_json_object():
    answer = run("lag", "--json", "--rounds", "1", "--seconds", "0.5")
    assert answer.returncode == 0, answer.stderr
    found = json.loads(answer.stdout)
    assert found.keys() == {"ratios", "figures", "measured"}
    for part in ("", "redis_down_"):
        p50, p99, longest = (found["figures"][f"{part}{figure}_ms"] for figure in ("p50", "p99", "max"))
        assert 0 < p50 <= p99 <= longest
        assert {f"{part}rate", f"{part}from_due_p99_ms"} <= found["figures"].keys()
    assert {f"sync_{clients}_{unit}_ms" for clients in (1, 8) for unit in ("p50", "p99")} <= found["figures"].keys()
    assert "ms" in found["measured"]["looked every"]


@pytest.mark.long
@pytest.mark.bundled
def test_the_rebuild_benchmark_answers_one_json_object():
    answer = run("rebuild", "--json", "--rounds", "1", "--events", "1000", "2000", "--peer-events", "500")
    assert answer.returncode == 0, answer.stderr
    found = json.loads(answer.stdout)
    assert found.keys() == {"ratios", "figures", "measured"}
    ratios = {"vs_loop", "vs_peer", "memory_2m_vs_500k", "rate_2m_vs_500k", "two_shards_vs_one"}
    assert found["ratios"].keys() == ratios
    for log in ("adjacent_500k", "adjacent_2m", "scattered_500k", "scattered_2m"):
        assert {f"{name}_{log}" for name in ("rebuild", "loop", "vs_loop")} <= found["figures"].keys()
    assert all(figure > 0 for figure in found["figures"].values())
    assert found["measured"]["positions_apart"] == {"adjacent": 0, "scattered": 10_000}


@pytest.mark.long
@pytest.mark.bundled
def test_the_benchmark_of_reading_a_log_answers_one_json_object():
    answer = run("events_verify", "--json", "--rounds", "1", "--events", "1000")
    assert answer.returncode == 0, answer.stderr
    found = json.loads(answer.stdout)
    assert found.keys() == {"ratios", "figures", "measured"}
    assert found["figures"]["events_per_s"] > 0
    assert found["measured"]["events"] == 1000


@pytest.mark.long
@pytest.mark.bundled
@pytest.mark.timeout(900)  # eight clients and two installations, perhaps on a machine that has other work
def test_the_sale_benchmark_answers_one_json_object():
    answer = run("sale", "--json", "--rounds", "1", "--seconds", "0.2")
    assert answer.returncode == 0, answer.stderr
    found = json.loads(answer.stdout)
    assert found.keys() == {"ratios", "figures", "measured"}
    assert found["ratios"].keys() == {"cost_vs_plain", "cost_vs_plain_apart"}
    for contender in ("sale", "plain", "sale_apart", "plain_apart"):
        assert {f"{contender}{unit}" for unit in ("", "_p50_ms", "_p99_ms")} <= found["figures"].keys()
    for clients in ("", "_8"):
        p50, p99 = (found["figures"][f"to_awaiting_payment{clients}_{unit}_ms"] for unit in ("p50", "p99"))
        assert 0 < p50 <= p99
    assert found["figures"]["plain_transactions"] == 5
    assert all(figure > 0 for figure in found["figures"].values())
    assert "fsync on, synchronous_commit on" in found["measured"]["PostgreSQL"]


@pytest.mark.long
@pytest.mark.bundled
def test_the_sale_benchmark_says_where_the_time_of_a_sale_goes():
    answer = run("sale", "--profile", "--sales", "2")
    assert answer.returncode == 0, answer.stderr
    for part in ("round_trips", "transactions", "commits_ms", "encode_ms", "decode_ms", "fold_ms"):
        assert part in answer.stdout
    assert "INSERT plain_order" in answer.stdout


@pytest.mark.long
@pytest.mark.bundled
def test_the_drill_keeps_its_promises():
    answer = run("drill", "--json", "--events", "5000", "--seconds", "1")
    assert answer.returncode == 0, answer.stderr
    found = json.loads(answer.stdout)
    assert found.keys() == {"ratios", "figures", "measured"}
    figures = found["figures"]
    assert 0 <= figures["catch_up_950_from_ready_s"] < figures["catch_up_950_s"] < 20
    for name in ("verify_s", "verify_rows_per_s", "rebuild_s", "rebuild_events_per_s", "writes_per_s", "reads"):
        assert figures[name] > 0
    assert figures["longest_read_ms"] > 0
    assert {"catch_up_950_s", "writes", "reads"} <= found["measured"]["meaning"].keys()


@pytest.mark.long
@pytest.mark.bundled
def test_the_timers_benchmark_answers_one_json_object():
    answer = run("timers", "--json", "--rounds", "1", "--timers", "20", "--seconds", "1")
    assert answer.returncode == 0, answer.stderr
    found = json.loads(answer.stdout)
    assert found.keys() == {"ratios", "figures", "measured"}
    figures = found["figures"]
    for part in ("", "steady_", "redis_down_"):
        for what in ("fired", "sent"):
            assert 0 < figures[f"{part}{what}_p50_ms"] <= figures[f"{part}{what}_p99_ms"]
        assert figures[f"{part}fired_p50_ms"] < figures[f"{part}sent_p50_ms"]
    for which in ("welcome_after_recovery_first", "welcome_after_recovery"):
        assert 0 < figures[f"{which}_ms"] <= figures[f"{which}_max_ms"]
    assert {"fired", "sent", "orders"} <= found["measured"]["meaning"].keys()
