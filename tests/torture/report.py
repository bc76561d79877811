"""What the sweeps come to: rounds, kills, and what was lost."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(slots=True)
class Tally:
    """One sweep's account.

    Attributes:
        name: of the sweep; seed: of its randomness.
        rounds: how many were run; kills: of how many a process was killed.
        notes: further figures, by what they are.
        losses: what went wrong, in words.
    """

    name: str
    seed: int
    rounds: int = 0
    kills: int = 0
    notes: dict[str, str] = field(default_factory=dict)
    losses: list[str] = field(default_factory=list)

    def round(self, run: Callable[[], None], what: str, killed: bool = True) -> None:
        """Run one round; whatever it raises is a loss."""
        self.rounds += 1
        self.kills += killed
        try:
            run()
        except Exception as error:  # the sweep goes on, and tells at its end
            self.losses.append(f"{what}: {error!r}")
            if len(self.losses) <= 3:
                print(f"LOSS in {self.name}, seed {self.seed}: {what}", flush=True)
                traceback.print_exc()

    def __str__(self) -> str:
        notes = "".join(f", {what}: {figure}" for what, figure in self.notes.items())
        figures = f"{self.rounds} rounds, {self.kills} kills, {len(self.losses)} losses"
        return f"{self.name} (seed {self.seed}): {figures}{notes}"
