"""The CSV grammar once more, as plain as possible and without any code of the feed: what the feed must agree with."""

from __future__ import annotations

from dataclasses import dataclass

INT64 = range(-(1 << 63), 1 << 63)


@dataclass(frozen=True)
class Expected:
    """One record: fields, or the code of what is wrong with it."""

    offset: int
    raw: bytes
    fields: tuple[str, ...] | None = None
    code: str = ""


def records(
    data: bytes, width: int, *, quote: bytes = b'"', comment: bytes = b"", limit: int = 1 << 20
) -> list[Expected]:
    """Every record of `data`, in order."""
    found = []
    position = 0
    while position < len(data):
        line_end, following = _line(data, position)
        raw = data[position:line_end]
        if comment and raw.startswith(comment):
            position = following
            continue
        if not raw and following == len(data):
            break
        split = _quoted_record(data, position, quote, limit) if quote and quote in raw else None
        if split is not None:
            line_end, fields = split
            raw = data[position:line_end]
            following = _line(data, line_end)[1]
            wrong_quote = False
        else:
            fields = raw.split(b",")
            wrong_quote = bool(quote) and quote in raw  # a quote may stand anywhere but at the start of such a field
        found.append(_judged(position, raw, fields, width, limit, wrong_quote=wrong_quote))
        position = following
    return found


def _line(data: bytes, position: int) -> tuple[int, int]:
    end = position
    while end < len(data) and data[end] not in b"\r\n":
        end += 1
    if data[end : end + 2] == b"\r\n":
        return end, end + 2
    return end, min(end + 1, len(data))


def _quoted_record(data: bytes, start: int, quote: bytes, limit: int) -> tuple[int, list[bytes]] | None:
    fields = []
    position = start
    while True:
        if data[position : position + 1] == quote:
            field = b""
            position += 1
            while True:
                close = data.find(quote, position)
                if close < 0 or close - start > limit:
                    return None
                field += data[position:close]
                if data[close + 1 : close + 2] == quote and close + 1 - start <= limit:
                    field += quote
                    position = close + 2
                    continue
                position = close + 1
                break
        else:
            end = position
            while end < len(data) and data[end] not in b",\r\n":
                end += 1
            field = data[position:end]
            position = end
        fields.append(field)
        following = data[position : position + 1]
        if following == b",":
            position += 1
        elif following in (b"", b"\r", b"\n"):
            return position, fields
        else:
            return None


def _judged(position: int, raw: bytes, fields: list[bytes], width: int, limit: int, *, wrong_quote: bool) -> Expected:
    code = ""
    try:
        raw.decode()
    except UnicodeDecodeError:
        code = "malformed_encoding"
    if len(raw) > limit:
        code = "malformed_length"
    elif b"\0" in raw:
        code = "malformed_nul"
    elif code:
        pass
    elif wrong_quote:
        code = "malformed_quote"
    elif len(fields) != width:
        code = "malformed_columns"
    if code:
        return Expected(position, raw, code=code)
    return Expected(position, raw, tuple(field.decode() for field in fields))


def whole_number(text: str) -> int | None:
    """An optional sign and ASCII digits within int64, or None."""
    digits = text[1:] if text[:1] in ("+", "-") else text
    if not digits or any(letter not in "0123456789" for letter in digits):
        return None
    return int(text) if int(text) in INT64 else None
