"""An operator that kills whoever asks it; for campaigns, which must outlive that. Not a judge's."""

import os
import signal


def forward(x, kernel, **options):  # noqa: ARG001
    """Kill the process that started this one."""
    os.kill(os.getppid(), signal.SIGKILL)


def backward(dy, x, kernel, **options):  # noqa: ARG001
    """Kill it too."""
    forward(x, kernel)
