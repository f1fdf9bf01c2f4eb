"""``python -m domains`` is the ``fewstep`` command."""

from domains.cli import main

main()
