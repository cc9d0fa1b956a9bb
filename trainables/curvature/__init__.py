"""Curvature of a classifier: the trace of the Fisher information, the Fisher penalty, and the KL expansion.

>>> from trainables.curvature import fisher_trace
"""

from trainables.curvature.estimate import Estimator, NonFiniteLogits, SlowPathWarning, TraceEstimate
from trainables.curvature.trace import fisher_trace

__all__ = ["Estimator", "NonFiniteLogits", "SlowPathWarning", "TraceEstimate", "fisher_trace"]
