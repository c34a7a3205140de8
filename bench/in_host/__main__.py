"""Runs all measurements in turn; prints their samples as one line of JSON."""

import json
import sys

from bench.in_host import boot, entry, memory, streams


def main() -> None:
    """Command line: none."""
    samples = {}
    for measure in (boot, entry, memory, streams):
        print(f"bench: in the host: {measure.__name__} …", file=sys.stderr, flush=True)
        samples[measure.__name__.rpartition(".")[2]] = measure.samples()
    print(json.dumps(samples))


if __name__ == "__main__":
    main()
