"""The steps of a build, as BuildKit's plain progress tells them."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

# "#7 [build 3/6] RUN npm ci" begins a step; later lines of #7 are its own.
_BEGINS = re.compile(r"#(\d+) \[(?:\S+ )*\d+/\d+\] (.*)")
_ENDS = re.compile(r"DONE \d+\.\d+s|CANCELED|ERROR: .*")
_GOES_ON = re.compile(r"#(\d+) (\d+\.\d+ )?(.*)")


@dataclass
class Step:
    """One instruction of a Dockerfile that a build came to.

    Args:
        instruction: such as `RUN npm ci`.
        cached: whether an earlier build's result was taken.
        output: the lines that it printed.
        ended: whether it came to its end.
    """

    instruction: str
    cached: bool = False
    output: list[str] = field(default_factory=list)
    ended: bool = False

    @property
    def is_decided(self) -> bool:
        """Whether it is known if it was taken from the cache or is run."""
        return self.cached or self.ended or bool(self.output)


def read_steps(lines: Iterable[str]) -> list[Step]:
    """Read a build's log.

    Args:
        lines: of `docker build --progress=plain`.
    """
    steps: dict[str, Step] = {}
    for line in lines:
        if begins := _BEGINS.fullmatch(line):
            steps.setdefault(begins[1], Step(begins[2]))
        elif (goes_on := _GOES_ON.fullmatch(line)) and goes_on[1] in steps:
            step = steps[goes_on[1]]
            step.cached |= goes_on[3] == "CACHED"
            step.ended |= bool(_ENDS.fullmatch(goes_on[3]))
            # What a step prints has its time before it; the rest is how BuildKit gets on.
            if goes_on[2]:
                step.output.append(goes_on[3])
    return list(steps.values())
