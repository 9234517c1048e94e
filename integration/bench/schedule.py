"""Which runs there are and in which order: what the benchmark runs, and what its plan tells of before."""

from typing import NamedTuple


class Turn(NamedTuple):
    """One run of a system in a variant; below 0 it only warms the system up."""

    number: int
    system: str

    @property
    def name(self):
        return f"round {self.number + 1}" if self.number >= 0 else "warm-up"


def groups(workload, quick):
    """Variants by the systems' starts: those of a group follow one another on the same ones."""
    variants = workload.quick_variants if quick else workload.variants
    together = [variant for variant in variants if variant not in workload.alone]
    apart = [[variant] for variant in variants if variant in workload.alone]
    return [together, *apart] if together else apart


def systems(workload, group, chosen):
    """The names of those of the chosen systems (by name) that any variant of a group needs, in turn."""
    return [name for name in workload.systems if name in chosen and any(workload.applies(chosen[name], v) for v in group)]


def turns(workload, group, variant, chosen):
    """All systems in turn, round after round; the first rounds only warm up what is a JVM: a server, or Flink.

    A group's later variants find all warm: the same processes have run all of the first one.
    """
    warmups, rounds = workload.rounds(variant)
    if variant != group[0]:
        warmups = 0
    taking_part = [name for name in workload.systems if name in chosen and workload.applies(chosen[name], variant)]
    for number in range(-warmups, rounds):
        for name in taking_part:
            system = chosen[name]
            cold = workload.in_flink or system.warms_up
            if number < 0 and (not cold or system.rounds_at_most is not None):
                continue
            if system.rounds_at_most is None or number < system.rounds_at_most:
                yield Turn(number, name)
