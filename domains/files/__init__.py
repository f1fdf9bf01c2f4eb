"""What is written to disk and read back: checked, atomic, and never executed."""
