"""Why an act is not done, told to a person."""


class Refused(ValueError):
    """`field: reason`, as every service raises it; the reason is in the language of who asks."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}")
