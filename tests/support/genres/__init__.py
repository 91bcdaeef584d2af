"""Texts of other genres than laws and manuals, made up with a seed: what cleaning must keep, and spam that it must drop."""
