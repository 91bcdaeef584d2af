"""Cleaning each document by itself: repair, markup, boilerplate, personal data, filters, quality."""
