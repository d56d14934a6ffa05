"""The figures of the project: ``make bench``. Ratios from one run, never absolute times."""
