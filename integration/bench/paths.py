"""Lets the benchmarks use what the demo uses, too: import this first."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1] / "common"))
