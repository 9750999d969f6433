"""What stops a start or a test run for a reason the user can do something about."""


class LaunchError(RuntimeError):
    """The message is one clear sentence, shown without a traceback."""
