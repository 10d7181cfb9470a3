"""What runs in the process that is judged: it knows nothing of the judge, and no truth.

It holds operands, calls what is judged, and says what that did to memory. It imports NumPy,
safetensors and what it is given; what a value should be is not decided here. `__main__` serves it
through a pipe, as docs/protocol.md specifies. The judge imports this package too, so that an object
in its own process is asked in the same way.
"""
