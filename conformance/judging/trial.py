"""What has been named to be judged, and its session from when it is needed."""

import functools
from typing import Any

from conformance.claims.loading import Where, summon
from conformance.judging.checks import Check
from conformance.judging.intact import settle
from conformance.judging.session import Session


class Trial:
    """One name that is to be judged.

    Parameters
    ----------
    name : str
        On the command line.
    kind : Kind
        What it is to be.
    where : Where
        Where it is judged.
    **options
        Of its `Session`.
    """

    def __init__(self, name: str, kind: Any, where: Where, **options: Any) -> None:
        self.name, self.kind, self._where, self._options = name, kind, where, options
        self._finish: Any = None

    def begin(self) -> None:
        """Start its process, and wait for nothing.

        Raises
        ------
        conformance.claims.loading.LoadError
            There is nothing to start.
        """
        settle(self.kind)
        self._finish = summon(self.name, self.kind, where=self._where)

    @functools.cached_property
    def session(self) -> Session:
        """Its session.

        Raises
        ------
        conformance.claims.loading.LoadError
            It cannot be judged.
        """
        if self._finish is None:
            self.begin()
        return Session(self._finish(), **self._options)

    @property
    def seed(self) -> int:
        """The seed of its session, which every trial of a run has."""
        return int(self._options["seed"])

    @property
    def checks(self) -> list[Check]:
        """All checks that are for implementations of its kind, in order."""
        checks: list[Check] = self._options["profile"].checks(self.kind.chapters)
        return checks
