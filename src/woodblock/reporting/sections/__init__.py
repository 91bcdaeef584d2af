"""The sections of the page, one a file: each describes a part of the run for the template of the same name."""
