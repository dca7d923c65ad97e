"""What Boxoffice can do in a second, measured on honest servers: `python -m benchmarks` lists the benchmarks.

Every number is the median of several rounds in which the contenders take turns, so that whatever else the machine does
slows all of them. What is measured runs in client processes of its own; fsync and synchronous_commit stay on.
"""
