"""What a soak finds in the output of all programs."""

from tests.chaos.soak import printed

LOG = """\
   worker │ 10:18:38 [error    ] task_failed [receivers] duration_ms=42
   worker │ Traceback (most recent call last):
    clock │ 10:18:38 [warning  ] heartbeat_failed [heartbeat] error='of 17'
   worker │   File "base.py", line 279, in connect
   worker │     self.connect()
   worker │ OperationalError: no connection to 17
   worker │ The above exception was the direct cause of the following exception:
   worker │ Traceback (most recent call last):
   worker │   File "utils.py", line 91, in __exit__
   worker │ django.db.utils.OperationalError: no connection to 17
   worker │ 10:18:39 [error    ] task_failed [receivers] duration_ms=43
   worker │ Traceback (most recent call last):
   worker │   File "utils.py", line 91, in __exit__
   worker │ django.db.utils.OperationalError: no connection to 18
    clock │ 10:18:39 [warning  ] heartbeat_failed [heartbeat] error='of 18'
     site │ Traceback (most recent call last):
     site │   File "views.py", line 3, in get
boxoffice │ site ended by SIGKILL; it starts again in 1 s
"""


def test_a_traceback_is_told_once_with_its_causes_whoever_prints_in_between():
    first, second = printed.tracebacks(LOG)
    assert (first.times, first.name, second.times, second.name) == (2, "worker", 1, "site")
    assert first.lines[0] == "10:18:38 [error    ] task_failed [receivers] duration_ms=42"
    assert first.lines[-1] == "django.db.utils.OperationalError: no connection to 17"
    assert sum("Traceback" in line for line in first.lines) == 2
    assert not any("heartbeat" in line for line in first.lines)


def test_warnings_and_restarts_are_counted():
    assert printed.warnings(LOG) == {"worker: task_failed": 2, "clock: heartbeat_failed": 2}
    assert printed.restarts(LOG) == {"site": 1}
