"""How it is judged: an implementation answers a case, its answer is examined, findings are kept.

`ask` and `examine` compute and count nothing; `Judge` counts; `Session` runs the checks. None of
them knows which kinds of implementations there are: `kind` says what a kind must tell.
"""
