#!/usr/bin/env python3
"""Draws the medians of a run as an SVG picture: plot.py <results.jsonl> <picture.svg>"""

import json
import sys
from pathlib import Path
from xml.sax.saxutils import escape

import paths  # noqa: F401, I001
from report import OURS, medians
from workloads import WORKLOADS

WIDTH, LABEL, BAR, GAP = 860, 130, 18, 6
HEADING = 34
OURS_COLOUR, PEER_COLOUR = "#2a6f97", "#b8b8b8"


def draw(results):
    """One block of bars for each workload, variant and figure; within a block the longest bar is as wide as the picture."""
    parts, top = [], 10
    for workload in WORKLOADS.values():
        mine = [result for result in results if result["workload"] == workload.name]
        for variant in dict.fromkeys(result["variant"] for result in mine):
            rows = [result for result in mine if result["variant"] == variant]
            for metric in workload.metrics:
                values = {name: value for name, value in medians(rows, metric.key).items() if name not in ("discard", "blackhole")}
                if values:
                    top = _block(parts, top, f"{workload.name} {variant}: {workload.title}", metric, values)
    size = f'width="{WIDTH}" height="{top}" viewBox="0 0 {WIDTH} {top}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif" font-size="12">'
    return "\n".join([head, f'<rect width="{WIDTH}" height="{top}" fill="white"/>', *parts, "</svg>", ""])


def _block(parts, top, title, metric, values):
    better = "more is better" if metric.better == "more" else "less is better"
    parts.append(f'<text x="10" y="{top + 16}" font-weight="bold">{escape(title)}</text>')
    parts.append(f'<text x="{WIDTH - 10}" y="{top + 16}" text-anchor="end" fill="#666">{metric.key}, {better}</text>')
    top += HEADING - BAR + 8
    longest = max(values.values()) or 1
    for name, value in values.items():
        width = (WIDTH - LABEL - 110) * value / longest
        colour = OURS_COLOUR if name == OURS else PEER_COLOUR
        parts.append(f'<text x="{LABEL - 8}" y="{top + 13}" text-anchor="end">{escape(name)}</text>')
        parts.append(f'<rect x="{LABEL}" y="{top}" width="{width:.1f}" height="{BAR}" fill="{colour}"/>')
        parts.append(f'<text x="{LABEL + width + 6:.1f}" y="{top + 13}">{shown(value)}</text>')
        top += BAR + GAP
    return top + 10


def shown(value):
    for limit, unit in ((1e6, " M"), (1e3, " k")):
        if value >= limit:
            return f"{value / limit:,.2f}{unit}"
    return f"{value:,.2f}"


def main(arguments):
    source, target = map(Path, arguments)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(draw([json.loads(line) for line in source.read_text().splitlines()]))


if __name__ == "__main__":
    main(sys.argv[1:])
