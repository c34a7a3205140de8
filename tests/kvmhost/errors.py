"""What goes wrong outside the command itself, as one line for the user."""


class HostError(Exception):
    """The test host cannot be built, booted or used; the message says why and what to do."""
