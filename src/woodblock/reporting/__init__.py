"""The report: one HTML page about a finished run, made from its files."""
