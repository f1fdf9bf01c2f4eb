"""Files on disk: checked when read, written atomically, never executed."""
