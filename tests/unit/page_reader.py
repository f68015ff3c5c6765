"""A page as a browser sees it: its elements, their attributes, its tables and words."""

from html.parser import HTMLParser

VOID = {"meta", "img", "br"}


class PageReader(HTMLParser):
    """Reads a page; an AssertionError where its elements do not nest.

    `rows`: the cells of every table row as text. `fields`: the tiles of key figures. `spoken`: all words.
    """

    def __init__(self, text: str):
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.rows: list[list[str]] = []
        self.fields: dict[str, str] = {}
        self.spoken = ""
        self._term = ""
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in VOID:
            self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.spoken += data
        if {"td", "th"} & set(self.open):
            self.rows[-1][-1] += data
        elif self.open and self.open[-1] == "dt":
            self._term = data
        elif self.open and self.open[-1] == "dd":
            self.fields[self._term] = data

    def values(self, name: str) -> list[str | None]:
        """The values of every attribute of that name."""
        return [value for known, value in self.attributes if known == name]

    def row(self, first: str) -> list[str]:
        """The first table row that begins with that cell."""
        return next(row for row in self.rows if row and row[0] == first)
