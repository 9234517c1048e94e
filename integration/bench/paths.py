"""Lets the benchmarks use the demo's modules: import this first."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1] / "demo"))
