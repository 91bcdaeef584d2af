"""The structure of a text: which of its lines are code, a table, a list; which are prose."""
