"""The one error that a command shows as a sentence, with exit code 2, instead of a traceback."""


class UserError(ValueError):
    """Says what was expected, what was got and what to do."""
