"""The table of findings: what was seen, under which code, in which words, and what to change.

``failures`` are read in order for every request that failed; the first row that fits says why. ``observations`` look
at the whole evidence. Both only read. The documentation's table of codes is made from these rows.
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
