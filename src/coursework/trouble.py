"""Our own trouble, said so that a person can act on it."""


class CourseError(Exception):
    """Something that the course needs is missing or broken; never the learner's mark.

    Args:
        what: what happened, in one sentence.
        why: what was seen that explains it.
        fix: the command or link that helps, ready to copy.
    """

    def __init__(self, what: str, *, why: str = "", fix: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.why = why
        self.fix = fix

    def __str__(self) -> str:
        lines = [self.what]
        if self.why:
            lines.append(f"  why   {self.why}")
        if self.fix:
            lines.append(f"  fix   {self.fix}")
        return "\n".join(lines)
