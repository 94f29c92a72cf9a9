"""The playbook of a study: what to do about which reason, for customers of which tier.

``playbook.yml`` beside ``study.yml`` names the plays. Whether an action works is for a randomised
campaign to say: a play may carry an assumption, which is shown as one, and no effect.
"""

import hashlib
import json
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, model_validator

from research.errors import StudyError, describe_faults
from research.study import PLAYBOOK, Study, read_yaml, show_path
from research.study_schema import CONTROL, Days, Money, Part, Portion

THEMES = (
    "usage",
    "purchases",
    "service",
    "satisfaction",
    "price",
    "contract",
    "delivery",
    "profile",
)  # of reasons; ``profile`` is what a customer is, and not what one did
ANY = "any"
TIERS = ("high", "medium", "low")
ACTIONS = ("message", "offer", "call", "visit", "none")
LEAST_HELD_OUT = 0.1
CLAIMS = ("effect", "success_rate", "uplift", "save_rate", "conversion", "retention_rate")


def _list(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


class Holdout(Part):
    """The share of the listed that is not contacted, so that the others can be compared with it.

    ``share``: at least 10 %, or 0 with a ``reason``. The power calculation of ``60_uplift`` may
    ask for more.
    """

    share: Portion = LEAST_HELD_OUT
    reason: str = ""

    @model_validator(mode="after")
    def _enough_or_explained(self):
        if self.share == 0 and not self.reason.strip():
            raise ValueError(
                "expected a reason for a share of 0, since without a holdout nobody can say what"
                " the list changed, got none; add the reason, or hold out at least"
                f" {LEAST_HELD_OUT:.0%}"
            )
        if 0 < self.share < LEAST_HELD_OUT:
            raise ValueError(
                f"expected a share of at least {LEAST_HELD_OUT:g}, or 0 with a reason, got"
                f" {self.share:g}; correct the share"
            )
        return self


class Play(Part):
    """One play: for customers of these themes and tiers this action.

    ``themes``, ``tiers``: one or several, or ``any``. ``arm``: the name under which ``campaigns``
    will know it. ``owner``: who acts. ``deadline_days``: after the list. ``say``: what to say.
    ``cost``: of one contact, in the study's currency; that of the arm unless given.
    ``assumed_share``: of those who would leave and whom the action keeps, assumed and not tested.
    """

    themes: tuple[Literal[(*THEMES, ANY)], ...] = (ANY,)
    tiers: tuple[Literal[(*TIERS, ANY)], ...] = (ANY,)
    action: Literal[ACTIONS]
    arm: Annotated[str, Field(min_length=1)]
    owner: Annotated[str, Field(min_length=1)]
    channel: Annotated[str, Field(min_length=1)]
    deadline_days: Days
    cost: Money | None = None
    say: str = ""
    assumed_share: Portion | None = None

    @model_validator(mode="before")
    @classmethod
    def _read_short_forms(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        if claimed := [key for key in CLAIMS if key in value]:
            raise ValueError(
                f"expected no effect typed in by hand, got {claimed[0]}:"
                f" {value[claimed[0]]}; a randomised campaign measures it, so remove the key, or"
                " write assumed_share, which is shown as an assumption"
            )
        short = {key: _list(value[key]) for key in ("themes", "tiers") if key in value}
        return value | short

    @model_validator(mode="after")
    def _arm_is_no_control(self):
        if self.arm == CONTROL:
            raise ValueError(
                f"expected an arm of its own, got '{CONTROL}', which is that of the holdout;"
                " choose another name"
            )
        return self

    def suits(self, theme: str, tier: str) -> bool:
        """Say whether the play is for a reason's theme and a tier."""
        return any(name in (theme, ANY) for name in self.themes) and any(
            name in (tier, ANY) for name in self.tiers
        )


class Playbook(Part):
    """All plays, in the order in which the first that suits is taken.

    ``holdout``: the share that isn't contacted. ``rest_days``: who was contacted so lately is
    spared.
    """

    plays: tuple[Play, ...]
    holdout: Holdout = Holdout()
    rest_days: Annotated[int, Field(ge=0, le=3650)] = 30

    @model_validator(mode="after")
    def _every_play_can_be_taken(self):
        if not self.plays:
            raise ValueError("expected at least one play, got none; write one, or remove the file")
        faults = [
            f"play {number}: expected a play that some reason and tier reach, got one behind plays"
            " that take all of them; remove it, or move it up"
            for number, play in enumerate(self.plays, 1)
            if not any(self.choose(theme, tier) is play for theme in THEMES for tier in TIERS)
        ]
        if faults:
            raise ValueError("\n".join(faults))
        return self

    @property
    def version(self) -> str:
        """Return a short digest of all plays, which history keeps beside each list."""
        text = json.dumps(self.model_dump(mode="json"), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    @property
    def arms(self) -> list[str]:
        """Return the arms of all plays, each once, in their order."""
        return [*dict.fromkeys(play.arm for play in self.plays)]

    def choose(self, theme: str, tier: str) -> Play | None:
        """Return the first play for a reason's theme and a tier; None where no play suits."""
        return next((play for play in self.plays if play.suits(theme, tier)), None)


def load_playbook(study: Study) -> Playbook | None:
    """Return the study's playbook; None where it has none.

    Raises
    ------
    StudyError
        One sentence for each fault of the file.
    """
    path = study.folder / PLAYBOOK
    if not path.exists():
        return None
    try:
        return Playbook.model_validate(read_yaml(path))
    except ValidationError as error:
        faults = describe_faults(show_path(path), Playbook, error)
        raise StudyError(*faults) from None
