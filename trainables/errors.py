"""The errors that users meet. Everything else that is raised is a fault of ours."""


class InputError(ValueError):
    """Wrong input: the message names the value, the rule and what to do. The command line exits with 2."""


class PluginError(Exception):
    """A plugin that is broken or takes another's name: no record is wrong, whatever names it. Exits with 2 as well."""


class Diverged(ArithmeticError):
    """A loss or a measurement is no longer a finite number, so the trial ends in the state "diverged"."""
