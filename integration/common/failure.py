"""The one exception by which a run ends early."""


class Failure(Exception):
    """`str(failure)` says in one sentence what went wrong; `logs` are the files worth reading."""

    def __init__(self, sentence, logs=()):
        super().__init__(sentence)
        self.logs = list(logs)
