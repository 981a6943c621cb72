"""Reference data resolved as of an event (I7): symbol tables with validity dates, and trading calendars.

Loads small files and builds lookup structures over them; each carries a version for the record of the run.
"""

from tapehouse.reference.calendars import Sessions, sessions
from tapehouse.reference.tables import References, Table

__all__ = ["References", "Sessions", "Table", "sessions"]
