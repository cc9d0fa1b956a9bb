"""The errors that users meet. Any other error is our own bug."""


def one_line(error: BaseException, otherwise: str = "") -> str:
    """The first non-blank line of an exception's message; ``otherwise``, or its type, where there is none."""
    return next((line.strip() for line in str(error).splitlines() if line.strip()), otherwise or type(error).__name__)


class InputError(ValueError):
    """Wrong input: the message names the value, the rule and what to do. The command line exits with 2."""


class PluginError(Exception):
    """A plugin that is broken or takes another's name; a record that names it is not wrong. Also exits with 2."""


class Diverged(ArithmeticError):
    """A loss or a measurement is no longer a finite number, so the trial ends in the state "diverged"."""
