"""The one exception for what a person can mend."""


class UserError(Exception):
    """Bad input, told in one sentence: what was found, where, what is allowed, what to do.

    The command line prints the sentence without a traceback and exits with code 2.
    """
