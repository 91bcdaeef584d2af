"""The report: what a run left on disk, as one HTML page."""
