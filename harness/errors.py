"""The error that a command prints as one sentence, with exit code 2 and without a traceback."""


class UserError(Exception):
    """Says what was expected, what was got and what to do.

    Not a ValueError, because the parser of the command line would catch that and print its own message.
    """
