"""The classes of records: which name a box's text and number stand for."""

from dataclasses import dataclass, field

from app.dataset import faults
from app.dataset.faults import FIXED, KEPT, Fault


@dataclass
class LabelResolver:
    """Names of classes by number. `closed`: a label map gave them; else the records' own are entered as met."""

    names: dict[int, str] = field(default_factory=dict)
    closed: bool = False

    def find(self, said: str, number: int | None, where: str) -> tuple[str, Fault | None]:
        """The class's name, empty if there is none, and what was wrong.

        The text is believed before the number, as by upstream's decoder.
        """
        if not self.closed and number is not None and number > 0:
            self.names.setdefault(number, said or str(number))
        mapped = self.names.get(number, "") if number is not None else ""
        known = said and (not self.closed or said in self.names.values())
        detail = " ".join(filter(None, (said, f"class {number}" if number is not None else "")))
        if known and (number is None or mapped == said):
            return said, None
        if known or (said and mapped):
            taken = said if known else mapped
            detail += f", which is {mapped or 'nothing'} there; taken: {taken}"
            return taken, Fault(faults.LABEL_CONTRADICTS, where, detail, FIXED)
        if mapped and not self.closed and mapped == str(number):
            return mapped, Fault(faults.LABEL_NAMELESS, where, detail, KEPT)
        return mapped, None if mapped else Fault(faults.LABEL_UNKNOWN, where, detail)
