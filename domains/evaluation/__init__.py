"""From measures of samples to tables, whatever the field."""
