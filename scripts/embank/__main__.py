"""`python -m embank`."""

from embank.cli import main

main()
