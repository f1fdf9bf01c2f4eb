"""The report of a run: sections, figures and the page."""
