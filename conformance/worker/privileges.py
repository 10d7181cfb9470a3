"""Gives up what would let a process of the superuser reach into the memory of the judge."""

import ctypes

# linux/capability.h: version 3 of the interface; CAP_SYS_PTRACE, CAP_MKNOD. linux/prctl.h:
# PR_CAPBSET_DROP, so that what this process starts does not get them back.
_VERSION, _PTRACE, _MKNOD, _DROP = 0x20080522, 19, 27, 24


def give_up() -> None:
    """Have fewer capabilities than the judge, which is then barred from being traced.

    Linux lets a process into the memory of another of the same user unless that one may do more.
    Elsewhere, and for who is not the superuser, nothing is done: there the system decides.
    """
    system = ctypes.CDLL(None)
    if not hasattr(system, "capget"):
        return
    header, sets = (ctypes.c_uint32 * 2)(_VERSION, 0), (ctypes.c_uint32 * 6)()
    if system.capget(header, sets) == 0 and sets[1]:
        for capability in (_PTRACE, _MKNOD):
            system.prctl(_DROP, capability, 0, 0, 0)
        lost = ~(1 << _PTRACE | 1 << _MKNOD)
        # Effective, permitted, inheritable.
        for which in range(3):
            sets[which] &= lost
        system.capset(header, sets)
