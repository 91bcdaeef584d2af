"""Duplicates: exact copies, near-duplicates, repeated paragraphs and repeated conversations."""
