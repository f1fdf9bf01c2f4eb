"""What a run and a machine look like from outside; reads files and harms no job."""
