"""Who has an account in the demo world, and what the owners planted in its data."""

from typing import NamedTuple

PASSWORD = "demo"

# Every planted string begins so. Partners may see none; owners see theirs, but nobody sees those
# in rows that a guard withholds.
CANARY = "canary-"
CANARY_OF_ALL = "canary-held-"


class Persona(NamedTuple):
    """An account and the purpose that it states."""

    user: str
    purpose: str


HOSPITAL = Persona("nora", "operations")
INSURER = Persona("ivan", "fraud-analytics")
RESEARCHER = Persona("rhea", "research")
NOBODY = Persona("luca", "research")

EVERYBODY = [HOSPITAL, INSURER, RESEARCHER]
