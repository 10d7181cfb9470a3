"""The ground truth for involution (Li et al., CVPR 2021, arXiv 2103.06255).

`refimpl.involution` is the oracle: the operator and its vector-Jacobian products, in float64,
proven against exact rational arithmetic. `refimpl.keras` holds the Keras layer, which shares no
code with the oracle and is imported only when it is asked for.
"""

__version__ = "1.0.0"
__all__ = ["__version__"]
