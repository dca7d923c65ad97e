"""`make audit`: known vulnerabilities of everything that is installed, as far as a database of them can be asked.

`pip-audit` asks one over the network. Where it gets no answer nothing is known, which is said, and is no failure: what
was built yesterday can be built today without it.
"""

import json
import subprocess
import sys
from typing import Any

from rich.console import Console

ASK = ("-m", "pip_audit", "--format", "json", "--progress-spinner", "off", "--skip-editable")


def main(*options: str) -> int:
    """1 if something has a known vulnerability. `options` are those of pip-audit."""
    asked = subprocess.run([sys.executable, *ASK, *options], capture_output=True, text=True, check=False)
    console = Console(soft_wrap=True, highlight=False)
    try:
        found = json.loads(asked.stdout)["dependencies"]
    except ValueError:
        reason = (asked.stderr.strip().splitlines() or ["it said nothing"])[-1]
        console.print(f"Nothing was audited, no database of vulnerabilities could be asked: {reason}", markup=False)
        return 0
    for line in told(found):
        console.print(line, markup=False)
    return int(any(each.get("vulns") for each in found))


def told(found: list[dict[str, Any]]) -> list[str]:
    """What pip-audit found, in lines: each vulnerability, and of how much of what is installed nothing is known."""
    lines = [
        f"{each['name']} {each['version']}: {vulnerability['id']}, {_mended(vulnerability['fix_versions'])}"
        for each in found
        for vulnerability in each.get("vulns", ())
    ]
    unknown = [each["name"] for each in found if "skip_reason" in each]
    lines.append(f"Audited {len(found) - len(unknown)} of the {len(found)} packages that are installed.")
    if unknown:
        lines.append(f"The database knows nothing of {', '.join(unknown)}.")
    return lines


def _mended(versions: list[str]) -> str:
    return f"mended in {', '.join(versions)}" if versions else "not mended in any version yet"


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
