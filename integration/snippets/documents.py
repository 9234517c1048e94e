"""What the documents tell their readers to run: fenced blocks, and commands inside sentences."""

import re
from dataclasses import dataclass

FENCE = "```"
PROGRAMS = ("cargo", "duckdb", "make", "mvn", "printf", "python3", "sluice", "sql-client.sh")
COMMAND = re.compile(rf"`((?:{'|'.join(map(re.escape, PROGRAMS))}) [^`]+)`")
# `cargo run ... produce` (also `read`, `scan`): the same command with another last word
ALSO = re.compile(r"`(cargo run [^`]+)` \(also ((?:`\w+`(?:, )?)+)\)")


@dataclass(frozen=True)
class Snippet:
    """A fenced block, known by its heading and language, or a command inside a sentence, known by its own text."""

    document: str
    line: int
    heading: str
    language: str
    text: str
    fenced: bool

    @property
    def key(self):
        return (self.document, self.heading, self.language) if self.fenced else (self.document, self.text)

    def __str__(self):
        what = f"the block under '{self.heading}'" if self.fenced else f"`{self.text}`"
        return f"{self.document}:{self.line}: {what}"


def snippets(document, text):
    """All of a document, in its order."""
    found = []
    heading, fence, language, block = "", 0, "", []
    for number, line in enumerate(text.splitlines(), start=1):
        if line.startswith(FENCE) and fence:
            found.append(Snippet(document, fence, heading, language, "\n".join(block) + "\n", True))
            fence = 0
        elif line.startswith(FENCE):
            fence, language, block = number, line[len(FENCE) :].strip(), []
        elif fence:
            block.append(line)
        elif line.startswith("#"):
            heading = line.lstrip("# ")
        else:
            found += [Snippet(document, number, heading, "", command, False) for command in commands(line)]
    return found


def commands(line):
    """The commands inside one line of prose."""
    found = COMMAND.findall(line)
    for command, words in ALSO.findall(line):
        found += [f"{command.rsplit(' ', 1)[0]} {word}" for word in re.findall(r"\w+", words)]
    return list(dict.fromkeys(found))
