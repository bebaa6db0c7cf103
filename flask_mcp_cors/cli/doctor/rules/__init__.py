"""The table of findings: for each code when it applies, its sentence, and what to change.

The first row of ``failures`` that fits a failed request says why it failed. ``observations`` judge all of the evidence.
Each code is also in a table of ``docs/doctor.md``, which says what it means.
"""

from .admission import ADMISSION
from .answers import ANSWERS
from .answers import MESSAGES
from .answers import REFUSALS
from .conversations import ENDS
from .conversations import WAYS
from .login import LOGIN
from .network import NETWORK
from .preflights import PREFLIGHTS
from .rule import Case
from .rule import EVERYTHING
from .rule import Rule
from .rule import Table
from .rule import Values

TABLE = Table({**NETWORK, **PREFLIGHTS, **REFUSALS, **MESSAGES, **ANSWERS}, {**WAYS, **LOGIN, **ADMISSION, **ENDS})

__all__ = ["Case", "EVERYTHING", "Rule", "TABLE", "Table", "Values"]
