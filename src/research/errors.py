"""Faults that a user can mend, each told in sentences."""


class StudyError(Exception):
    """Faults in a study or its data; ``faults`` holds one sentence each."""

    def __init__(self, *faults: str):
        self.faults = faults
        super().__init__("\n".join(faults))

    def __reduce__(self):
        return type(self), self.faults


class UsageError(StudyError):
    """A request that names something that isn't there; nothing was started."""


class NotApplicable(Exception):
    """Raised by a notebook whose tables a study does not have; the batch lists it as not
    applicable, with these words.
    """
