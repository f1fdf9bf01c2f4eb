"""One objective a file, with its settings: ``objective`` is the contract, ``registry`` finds."""
