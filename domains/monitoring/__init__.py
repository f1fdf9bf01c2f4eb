"""State of a run and of a machine, from files alone; harms no job."""
