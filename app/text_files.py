"""Text files of unknown encoding: as editors, spreadsheets and shells of all systems write them."""

import codecs
import math
import re
import unicodedata
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path

_MARKS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
NAMES = {
    "cp1252": "Windows-1252",
    "cp1251": "Windows-1251",
    "gb18030": "GBK",
    "big5": "Big5",
    "cp932": "Shift-JIS",
    "cp949": "EUC-KR",
    "cp1250": "Windows-1250",
    "cp1253": "Windows-1253",
    "cp1255": "Windows-1255",
    "cp1256": "Windows-1256",
    "cp874": "Windows-874",
    "koi8_r": "KOI8-R",
}
"""Code pages that are told by what they make of a text, and what people call them."""
_OTHERS = ("cp1254", "cp1257", "euc_jp", "cp437", "cp850")
"""Those that only names known from elsewhere can tell."""
_SAMPLE = 20_000
_SURE = math.log(20)
"""How much likelier the best reading is than the next, where it is more than a guess."""
_USUAL, _SELDOM = ("cp1252", "cp1251", "gb18030", "big5", "cp932", "cp949"), -math.log(30)
"""The code pages that turn up most, and how much seldomer the others are."""
_POOR = -5.0
"""Logarithm of the likelihood for each byte that is not ASCII, below which a text is none in that encoding."""


@dataclass(frozen=True)
class Decoded:
    """`encoding` is empty for Unicode's own. `is_sure`: no other reading is nearly as likely."""

    text: str
    encoding: str = ""
    is_sure: bool = True


def decode(data: bytes) -> str:
    """The text of `data`: UTF-8, UTF-16 with a mark or without, else the likeliest code page. Never fails."""
    return find_encoding(data).text


def find_encoding(data: bytes, known: Collection[str] = ()) -> Decoded:
    """The text of `data` and how it was found. `known`: words that may be in it, which confirm a reading."""
    encoding = next((name for mark, name in _MARKS if data.startswith(mark)), "")
    if not encoding and data[:200].count(0) > len(data[:200]) // 4:
        # Of ASCII letters in UTF-16 every other byte is 0.
        encoding = "utf-16-le" if data[1:200:2].count(0) > data[0:200:2].count(0) else "utf-16-be"
    for candidate in (encoding, "utf-8"):
        text = _strictly(data, candidate) if candidate else None
        if text is not None:
            # Two letters of GBK may be one of UTF-8.
            return Decoded(text) if encoding or text.isascii() else _confirmed(data, known) or Decoded(text)
    return _confirmed(data, known) or _likeliest(data)


def _strictly(data: bytes, encoding: str) -> str | None:
    try:
        return data.decode(encoding)
    except UnicodeError:
        return None


def _confirmed(data: bytes, known: Collection[str]) -> Decoded | None:
    """The reading in which most of the `known` words that are not ASCII occur; None if none does."""
    words = {unicodedata.normalize("NFC", word) for word in known if not word.isascii()}
    best, most = None, 0
    for encoding in ("utf-8", *NAMES, *_OTHERS) if words else ():
        text = _strictly(data, encoding)
        count = sum(word in unicodedata.normalize("NFC", text) for word in words) if text else 0
        if text and count > most:
            best, most = Decoded(text, "" if encoding == "utf-8" else NAMES.get(encoding, encoding)), count
    return best


def _likeliest(data: bytes) -> Decoded:
    sample, size = [], 0
    for line in data.splitlines():
        if not line.isascii() and size < _SAMPLE:
            sample.append(line)
            size += len(line)
    readings = []
    for encoding, likelihood in _LIKELIHOODS.items():
        text = _strictly(b"\n".join(sample), encoding)
        if text is not None:
            prior = 0 if encoding in _USUAL else _SELDOM
            readings.append((prior + _log_likelihood(text, encoding, likelihood), encoding))
    readings.sort(reverse=True)
    high = sum(byte > 127 for line in sample for byte in line)
    for place, (score, encoding) in enumerate(readings):
        text = _strictly(data, encoding)
        if text is not None:
            others = readings[place + 1 :]
            of_ascii = _log_likelihood(b"\n".join(sample).decode("ascii", "ignore"), "ascii", None)
            is_sure = (not others or score - others[0][0] > _SURE) and score - of_ascii > _POOR * high
            return Decoded(text, NAMES[encoding], is_sure)
    text = _strictly(data, "cp1252")
    return Decoded(data.decode("latin-1") if text is None else text, NAMES["cp1252"], is_sure=False)


def _log_likelihood(text: str, encoding: str, likelihood: Callable[[str, bytes, str], float] | None) -> float:
    """Of a text in a language of its code page: a simple model, by letter, that tells page from page."""
    total, before = 0.0, " "
    for letter in text:
        if letter.isascii() or likelihood is None:
            total += math.log(1 / 60)
        else:
            total += math.log(likelihood(letter, letter.encode(encoding), before))
        before = letter
    return total


_RARE = 1e-7


def _chinese(letter: str, code: bytes, before: str) -> float:
    if len(code) != 2 or code[1] < 0xA1:
        return _RARE
    return 0.95 / 3755 if 0xB0 <= code[0] <= 0xD7 else 0.04 / 3008 if code[0] > 0xD7 else 0.01 / 282


def _traditional_chinese(letter: str, code: bytes, before: str) -> float:
    return 0.95 / 5401 if 0xA4 <= code[0] <= 0xC6 else 0.04 / 7652 if code[0] > 0xC6 else 0.01 / 408


def _japanese(letter: str, code: bytes, before: str) -> float:
    if len(code) == 1:
        return 0.002 / 63  # Katakana of half width.
    number = code[0] << 8 | code[1]
    if 0x829F <= number <= 0x82F1 or 0x8340 <= number <= 0x8396 or letter == "ー":
        return 0.5 / 170
    if number >= 0x889F:
        return 0.45 / 2965 if number <= 0x9872 else 0.02 / 3390 if number <= 0xEAA4 else _RARE
    return 0.02 / 250


_INITIALS = dict(zip("ㄱㄴㄷㄹㅁㅂㅅㅇㅈㅊㅋㅌㅍㅎ", (12, 8, 8, 7, 6, 6, 9, 22, 9, 3, 2, 2, 2, 7), strict=True))
_VOWELS = dict(
    zip("ㅏㅐㅑㅓㅔㅕㅗㅘㅚㅛㅜㅝㅟㅠㅡㅢㅣ", (22, 6, 1, 10, 5, 4, 12, 2, 1, 1, 9, 1, 1, 1, 11, 1, 17), strict=True)
)
_FINALS = {0: 55, 1: 6, 4: 14, 8: 8, 16: 4, 17: 2, 19: 2, 20: 1, 21: 10}
_INITIAL_ORDER, _VOWEL_ORDER = "ㄱㄲㄴㄷㄸㄹㅁㅂㅃㅅㅆㅇㅈㅉㅊㅋㅌㅍㅎ", "ㅏㅐㅑㅒㅓㅔㅕㅖㅗㅘㅙㅚㅛㅜㅝㅞㅟㅠㅡㅢㅣ"
"""How many of a hundred syllables have them, roughly; others are as rare as one in five hundred."""


def _korean(letter: str, code: bytes, before: str) -> float:
    if not "가" <= letter <= "힣":
        return 0.01 / 4888
    initial, rest = divmod(ord(letter) - ord("가"), 588)
    vowel, final = divmod(rest, 28)
    shares = (
        _INITIALS.get(_INITIAL_ORDER[initial], 0.8), _VOWELS.get(_VOWEL_ORDER[vowel], 0.2), _FINALS.get(final, 0.2)
    )  # fmt: skip
    return math.prod(share / 100 for share in shares) * (1 if min(code) >= 0xA1 else 0.002)


def _alphabet(letter: str, before: str) -> float:
    """A factor for a letter after the one before it: capitals do not come within words, but in words of capitals."""
    if letter.isupper() and before.isalpha():
        return 0.7 if before.isupper() else 0.001
    return 0.1 if letter.isupper() else 1


def _script(usual: str) -> Callable[[str, bytes, str], float]:
    """Of a language whose letters are `usual`, the frequent ones several times."""

    def likelihood(letter: str, code: bytes, before: str) -> float:
        if not letter.isalpha() and letter not in usual:
            return 0.3 / 20 if letter in "“”„‘’–—…€°²³µ©®«»" else 0.002 / 60
        often = usual.count(letter.lower()) / len(usual) if letter.lower() in usual else 0.001
        near = 1.0
        if before.isalpha() and usual in (_LATIN, _LATIN_EAST):
            near = 1 if before.isascii() else 0.1 if usual == _LATIN else 0.5  # Letters with an accent come one by one.
        elif before.isalpha() and before.isascii():
            near = 0.0005  # Words are of one script.
        return often * _alphabet(letter, before) * near

    return likelihood


_LATIN = "àâäáãåçèéêëìíîïñòóôõöøùúûüßæœ"
_LATIN_EAST = "áąćčďéęěíłňńóřšśťúůýžźżöüäőű"
_RUSSIAN = "".join(
    letter * often
    for letter, often in zip(
        "оеаинтсрвлкмдпуяыьгзбчйхжшюцщэфёіїєўґъ",
        (110, 85, 80, 73, 67, 63, 55, 47, 45, 44, 35, 32, 30, 28, 26, 20, 19, 17, 17, 16, 16, 14, 12, 10, 9, 7, 6, 5,
         4, 3, 3, 1, 1, 1, 1, 1, 1, 1),
        strict=True,
    )
)  # fmt: skip
_LIKELIHOODS = {
    "cp1252": _script(_LATIN), "cp1251": _script(_RUSSIAN), "gb18030": _chinese, "big5": _traditional_chinese,
    "cp932": _japanese, "cp949": _korean, "cp1250": _script(_LATIN_EAST), "koi8_r": _script(_RUSSIAN),
    "cp1253": _script("αβγδεζηθικλμνξοπρσςτυφχψωάέήίόύώ"),
    "cp1255": _script("אבגדהוזחטיךכלםמןנסעףפץצקרשת"),
    "cp1256": _script("ءآأؤإئابةتثجحخدذرزسشصضطظعغفقكلمنهوىي"),
    "cp874": _script("กขคงจชซญดตถทธนบปผพฟมยรลวศสหอะัาำิีึืุูเแโใไ็่้์"),
}  # fmt: skip


def read_start(path: Path, size: int) -> bytes:
    """The first `size` bytes of a file; none where it can't be read."""
    try:
        with open(path, "rb") as file:
            return file.read(size)
    except OSError:
        return b""


def read(path: Path) -> str:
    """The text of a file; an empty string where it can't be read."""
    try:
        return decode(path.read_bytes())
    except OSError:
        return ""


def lines(path: Path) -> list[str]:
    """The lines of a file that are not empty, without blanks at their ends; none where it can't be read."""
    return lines_of(read(path))


def lines_of(text: str) -> list[str]:
    """The lines of a text that are not empty, without blanks at their ends."""
    return [line.strip() for line in split_lines(text) if line.strip()]


def split_lines(text: str) -> list[str]:
    """The lines of a text, as systems of all kinds end them."""
    # Not at what Unicode calls a line's end as well: names of files and classes may have U+2028 or U+0085 in them.
    lines = re.split(r"\r\n|\r|\n", text)
    return lines if lines[-1] else lines[:-1]
