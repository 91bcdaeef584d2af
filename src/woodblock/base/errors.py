"""The error that is written for users."""


class UserError(Exception):
    """Something that the user can correct: one line that names the thing, its value and the way out."""
