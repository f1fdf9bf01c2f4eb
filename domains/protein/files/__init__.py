"""Structure files."""
