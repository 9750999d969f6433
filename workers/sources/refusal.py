class Refused(ValueError):
    """Why the source cannot be imported and what to do about it, in one or two sentences."""
