"""Exceptions for what a person can mend."""


class UserError(Exception):
    """Bad input, told in one sentence: what was found, where, what is allowed, what to do.

    The command line prints the sentence without a traceback and exits with code 2. result: what a
    command has found nevertheless, for --json.
    """

    result: dict | None = None


class MissingJoint(UserError):
    """A message lacks a joint of the contract, or names one twice."""
