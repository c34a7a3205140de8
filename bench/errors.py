"""What can go wrong while measuring."""


class BenchError(Exception):
    """A measurement could not be made; says which and why."""
