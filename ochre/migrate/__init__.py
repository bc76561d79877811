"""Moving in from elsewhere: `from_chroma` imports a folder of Chroma's, `examine` only says what is in it.

`chroma` reads such a folder and knows nothing of engines or clients; `transfer` writes through a client what it reads;
`report` is what they say about it.
"""

from __future__ import annotations

from ochre.migrate.report import CollectionReport, Finding, Report
from ochre.migrate.transfer import examine, from_chroma

__all__ = ["CollectionReport", "Finding", "Report", "examine", "from_chroma"]
