"""The one error that a user is meant to read."""


class UserError(Exception):
    """Something that the user can mend: the message names the thing, its value and the way out, in one line."""
