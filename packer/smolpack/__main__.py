"""`python -m smolpack` is the console script."""

from smolpack.cli import main

main()
