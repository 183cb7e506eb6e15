"""From corrections to the parameters that the controller acts by."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np

from controllers.alignment.cuts import Correction, Cut, cuts
from controllers.alignment.ellipsoid import EmptyInteriorError, NotConvergedError
from controllers.alignment.forgiveness import Beliefs
from controllers.alignment.hypotheses import Hypotheses, Verdict
from controllers.mpc import Mpc, Plan
from robot_learn.errors import UserError

ASK_ABOVE, ASK_AT_MOST = 0.3, 2  # the doubt from which a correction is asked about again, and how often


@dataclass(frozen=True)
class Rule:
    """What is learned from."""

    axes: bool = True  # each number of a push's direction by itself
    stops: bool = True  # an emergency stop says that the plan was unsafe
    silence: bool = True  # whoever would stop an unsafe plan says by not stopping that this one is safe
    depth: float = 0.5  # silence is taken into account where it takes so much of the ellipsoid's radius
    mistakes: float = (
        0.0  # share of corrections that are expected to be wrong; 0: none, and the first excludes the truth
    )

    @classmethod
    def paper(cls) -> Rule:
        """The rule of Xie et al. (arXiv 2407.04216, algorithm 1): a push is one cut, and stops are thrown away."""
        return cls(axes=False, stops=False, silence=False)


@dataclass(frozen=True, eq=False)
class Lesson:
    """What a correction changed."""

    cuts: tuple[Cut, ...]  # none where it taught nothing
    log_volume: float  # after it, of the ellipsoid in unit balls
    seconds: float  # from the correction to the new centre
    verdict: Verdict


class Learner:
    """The set of what is still possible, and its centre; whatever is learned can be undone.

    Args:
        rho: radius of a ball of acceptable theta, in the box's units; for the certificate.
    """

    def __init__(self, mpc: Mpc, rule: Rule = Rule(), *, rho: float | None = None) -> None:
        system = mpc.system
        self.mpc, self.rule = mpc, rule
        self.rho = 0.01 * float((system.theta_high - system.theta_low).max()) if rho is None else rho
        self.corrections: list[Correction] = []
        self.imagination = Mpc(system)  # for plans that are only thought of, so that the driver's warm start stays
        box = (system.theta_low, system.theta_high)
        self._known: Hypotheses | Beliefs = (
            Beliefs.start(*box, error_rate=rule.mistakes) if rule.mistakes else Hypotheses.box(*box)
        )
        self._before: list[Hypotheses | Beliefs] = []
        self._silences = 0
        self._asked: list[int] = []  # numbers of corrections that the person was asked about again
        self._theta = self.hypotheses.centre

    @property
    def hypotheses(self) -> Hypotheses:
        """What is still possible; where mistakes are expected, by the corrections that are believed."""
        return self._known.hypotheses if isinstance(self._known, Beliefs) else self._known

    @property
    def set_aside(self) -> frozenset[int]:
        """Numbers, from 1, of the corrections that are held to be mistakes at present."""
        return self._known.set_aside if isinstance(self._known, Beliefs) else frozenset()

    @property
    def theta(self) -> np.ndarray:
        """(r,) to act by: the centre of the set, or the last one that there was."""
        return self._theta

    def correct(self, correction: Correction) -> Lesson:
        """Learn from a push, a stop or a "this was fine"."""
        began = time.perf_counter()
        made = [] if correction.kind == "stop" and not self.rule.stops else self._cuts(correction)
        self._before.append(self._known)
        self.corrections.append(correction)
        explained = self._add(made, len(self.corrections))
        seconds = time.perf_counter() - began
        verdict = self.hypotheses.verdict(self.rho) if explained else Verdict(True, "no theta explains all of them")
        return Lesson(tuple(made), self.hypotheses.log_volume, seconds, verdict)

    def watched(self, plan: Plan) -> bool:
        """Nobody stopped this plan: whether that taught something."""
        if not self.rule.silence:
            return False
        length = float(np.linalg.norm(plan.phi))
        if length < 1e-9:
            return False
        cut = Cut(plan.phi / length, -plan.offset / length, "safe")
        ellipsoid = self.hypotheses.ellipsoid
        reach = float(ellipsoid.reach(cut.normal[None])[0])
        if cut.normal @ ellipsoid.centre + (1 - self.rule.depth) * reach < cut.offset:
            return False
        self._silences += 1
        return self._add([cut], -self._silences)

    @property
    def doubted(self) -> int | None:
        """Number, from 1, of the correction that is most likely a mistake, where it is worth asking about it again."""
        suspects = self._known.suspects(ASK_ABOVE) if isinstance(self._known, Beliefs) else []
        worth = (number for number in suspects if number > 0 and self._asked.count(number) < ASK_AT_MOST)
        return next(worth, None)

    def confirm(self, number: int, meant: bool) -> None:
        """The person was asked about a correction again, and meant it, or takes it back.

        Raises:
            UserError: no mistakes are expected, or there is no such correction.
        """
        if not isinstance(self._known, Beliefs) or not 1 <= number <= len(self.corrections):
            raise UserError(f"no correction {number} is in doubt; there are {len(self.corrections)}")
        self._before.append(self._known)
        self.corrections.append(self.corrections[number - 1])
        self._asked.append(number)
        self._known = self._known.confirm(number) if meant else self._known.without([number])
        self._theta = self.hypotheses.centre

    def undo(self) -> Correction:
        """Forget the last correction, and what silence has said since.

        Raises:
            UserError: there is none.
        """
        if not self.corrections:
            raise UserError("there is no correction to undo")
        self._known = self._before.pop()
        self._theta = self.hypotheses.centre
        return self.corrections.pop()

    def _cuts(self, correction: Correction) -> list[Cut]:
        return cuts(self.mpc, correction, axes=self.rule.axes)

    def _add(self, made: list[Cut], correction: int) -> bool:
        """Whether some theta explains these cuts and all before."""
        if not made:
            return True
        try:
            known = self._known.add(made, correction)
            theta = (known.hypotheses if isinstance(known, Beliefs) else known).centre
        except (EmptyInteriorError, NotConvergedError):
            return False  # the set before is kept, and the verdict tells
        self._known, self._theta = known, theta
        return True
