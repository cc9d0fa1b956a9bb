"""Per-example gradient norms without per-example gradients, for any model whose operations on parameters have a rule.

Read in this order: ``operations`` (what a forward pass does with parameters), ``sharing`` (values that examples share),
``norms`` (formulas), ``rules`` (which operation uses which), ``ghost`` (the passes), ``proof`` (against the loop).
"""
