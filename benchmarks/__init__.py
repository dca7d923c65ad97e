"""What Boxoffice can do in a second, measured on honest servers: `python -m benchmarks` lists the benchmarks.

Rates beside those of contenders are medians of several rounds in which all take turns, so that whatever else the
machine does slows all of them; latencies are percentiles over all rounds. Each benchmark says where it measures
otherwise. fsync and synchronous_commit stay on.
"""
