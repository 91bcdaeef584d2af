"""A section of the page each: what a run left, described for the template of the same name."""
