"""One objective a file; ``Objective`` is their contract."""
