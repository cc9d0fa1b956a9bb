"""Per-example gradient norms without per-example gradients, for any model whose operations on parameters have a rule.

To read: ``operations`` (what a forward pass does with parameters), ``sharing`` (values that examples share), ``norms``
(the formulas), ``rules`` (which formula is whose), ``ghost`` (the passes), and ``proof`` (against the loop).
"""
