"""From many samples to a kept few: gates, what they cost and what they leave."""
