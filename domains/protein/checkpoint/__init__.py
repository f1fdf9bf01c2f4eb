"""Public Proteina checkpoints, read without running what is in them."""
