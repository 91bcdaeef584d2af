"""Decontamination: find all training text that shares a long run of characters with a benchmark or held-out text."""
