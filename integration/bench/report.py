"""The table of medians and the RATIO lines, from the figures of all rounds."""

from statistics import median

OURS = "sluice"


def summarize(workloads, results):
    """The text for the workloads that were run; `results` are the lines of the JSON file."""
    lines = []
    for workload in workloads:
        mine = [result for result in results if result["workload"] == workload.name]
        for variant in dict.fromkeys(result["variant"] for result in mine):
            rows = [result for result in mine if result["variant"] == variant]
            lines += ["", f"{workload.name} {variant}: {workload.title}", *_table(workload, rows)]
    lines += ["", *_disk_shares(workloads, results), *_ratios(workloads, results)]
    return "\n".join(lines)


COLUMNS = (
    # heading, key, factor, digits
    ("M records/s", "records_per_s", 1e-6, 3),
    ("MB/s", "mb_per_s", 1, 0),
    ("disk's", "disk_mb_per_s", 1, 0),
    ("seconds", "seconds", 1, 1),
    ("CPU us/record", "cpu_us_per_record", 1, 3),
    ("of it server", "cpu_server_us_per_record", 1, 3),
    ("Flink MB", "rss_flink_mb", 1, 0),
    ("server MB", "rss_server_mb", 1, 0),
    ("checkpoint ms", "checkpoint_ms_p50", 1, 0),
    ("prepare ms p50", "prepare_ms_p50", 1, 1),
    ("commit ms p50", "commit_ms_p50", 1, 1),
    ("commit ms p99", "commit_ms_p99", 1, 1),
    ("commit ms max", "commit_ms_max", 1, 1),
    ("latency ms p50", "latency_ms_p50", 1, 0),
    ("p99", "latency_ms_p99", 1, 0),
    ("max", "latency_ms_max", 1, 0),
    ("fdatasync p99", "fdatasync_ms_p99", 1, 1),
    ("recovery s", "recovery_s", 1, 2),
    ("backlog at half", "backlog_half", 1, 0),
    ("at end", "backlog_end", 1, 0),
    ("most", "backlog_max", 1, 0),
)


def medians(rows, key):
    """The median of a figure over the rounds of each system that has it, by system."""
    found = {}
    for row in rows:
        if key in row:
            found.setdefault(row["system"], []).append(row[key])
    return {system: median(values) for system, values in found.items()}


def _table(workload, rows):
    shown = [(column, medians(rows, column[1])) for column in COLUMNS]
    shown = [(column, values) for column, values in shown if values]
    table = [["", *(column[0] for column, _ in shown)]]
    for system in dict.fromkeys(row["system"] for row in rows):
        cells = [_number(values.get(system), factor, digits) for (_, _, factor, digits), values in shown]
        table.append([system, *cells])
    widths = [max(len(row[index]) for row in table) for index in range(len(table[0]))]
    return ["  " + row[0].ljust(widths[0]) + "".join("  " + c.rjust(w) for c, w in zip(row[1:], widths[1:])) for row in table]


def _number(value, factor, digits):
    return "-" if value is None else f"{value * factor:,.{digits}f}"


def _disk_shares(workloads, results):
    """How much of the disk's own rate, measured in the same runs, writing reaches."""
    for workload in workloads:
        mine = [result for result in results if result["workload"] == workload.name and "disk_mb_per_s" in result]
        for variant in dict.fromkeys(result["variant"] for result in mine):
            rows = [result for result in mine if result["variant"] == variant]
            written, disk = medians(rows, "mb_per_s"), medians(rows, "disk_mb_per_s")
            for system, rate in written.items():
                share = f"{rate / disk[system]:.2f} of the disk's {disk[system]:.0f} MB/s"
                yield f"{workload.name} {variant} {system} writes {rate:.0f} MB/s, {share}"


def _ratios(workloads, results):
    """How many times better Sluice is: throughput up, latency and CPU down."""
    for workload in workloads:
        mine = [result for result in results if result["workload"] == workload.name]
        for variant in dict.fromkeys(result["variant"] for result in mine):
            for metric in workload.metrics:
                values = medians([result for result in mine if result["variant"] == variant], metric.key)
                ours = values.pop(OURS, None)
                for peer, theirs in values.items():
                    if ours and theirs and peer != "discard":
                        times = ours / theirs if metric.better == "more" else theirs / ours
                        yield f"RATIO {workload.name} {variant}{metric.suffix} {OURS}/{peer} {times:.2f}"
