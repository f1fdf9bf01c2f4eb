"""The training loop: what is planned, updated, logged and saved."""
