"""The one error that a command shows as a sentence, with exit code 2, instead of a traceback."""


class UserError(Exception):
    """Says what was expected, what was got and what to do.

    No ValueError, which the parser of the command line would take for its own and wrap in its own words.
    """
