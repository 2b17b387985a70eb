"""Right manifests, and what people and programs make of them: written in another way, or broken.

A mutation keeps in mind what its author means. Where a file is broken at random nobody knows that any more: then what
stands in it by the letter counts (`manifest_reader`).
"""

import csv
import io
import json
import random
import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from tests.faults.manifest_reader import Row

Change = Callable[[random.Random, "Draft"], "Draft"]

STATUSES = ("PENDING", "PROCESSING", "READY", "FAILED")
_CATEGORIES = ("voice", "music", "custom", "field-recordings", "x_1", "0")
_FOLDERS = ("", "a/", "/data/set 1/", "C:\\new\\", "s3://bucket/", "#1/", "日本/", "it's/", "a, b/", '5" discs/')
_OTHERS = {"path": ("file", "audio_filepath", "Filename", "pth"), "category": ("label", "class", "categroy")}
_OPTIONAL = {"status": ("state", "Statuss", "stat us"), "duration_s": ("duration", "Duration (s)", "length", "dur")}
_UNKNOWN: Any = object()


@dataclass(frozen=True)
class Draft:
    """A manifest under way.

    Attributes:
        rows: What its author means; None where nobody knows.
        fields: Each row as names and values, as it is to be written.
        columns: Names in the order in which they are written.
        is_json: Whether it is JSON Lines, or CSV.
        text: What was written; empty before that.
        content: Its bytes.
        done: Names of what was changed.
        may_be_told: Whether a note will do where rows are not what was meant.
    """

    rows: list[Row] | None
    fields: list[dict[str, Any]]
    columns: list[str]
    is_json: bool
    text: str = ""
    content: bytes = b""
    done: list[str] = field(default_factory=list)
    may_be_told: bool = False


def right_draft(chance: random.Random) -> Draft:
    """Make a right manifest of a few rows."""
    rows = [_row(chance, number) for number in range(chance.randint(1, 8))]
    with_status, with_duration = chance.random() < 0.7, chance.random() < 0.7
    rows = [(p, c, s if with_status else "READY", d if with_duration else None) for p, c, s, d in rows]
    columns = ["path", "category", *["status"] * with_status, *["duration_s"] * with_duration]
    if chance.random() < 0.4:
        columns.append(chance.choice(["text", "speaker"]))
    chance.shuffle(columns)
    fields = []
    for path, category, status, duration_s in rows:
        text = chance.choice(["", "hello", "hello, world", 'he said "no"', "two\nlines", "x,y\nz"])
        values = {"path": path, "category": category, "status": status, "duration_s": duration_s}
        fields.append({name: values.get(name, text) for name in columns})
    return Draft(list(rows), fields, columns, is_json=chance.random() < 0.4)


def _row(chance: random.Random, number: int) -> Row:
    path = f"{chance.choice(_FOLDERS)}{number}{chance.choice(['', ' x', 'é', '.wav'])}.flac"
    duration_s = chance.choice([None, 0.0, 10.0, round(chance.uniform(0, 5000), 3)])
    return path, chance.choice(_CATEGORIES), chance.choice(STATUSES), duration_s


def written(chance: random.Random, draft: Draft) -> Draft:
    """Write a draft, in one of the ways that are right."""
    if draft.text:
        return draft
    if draft.is_json:
        ascii_only = chance.random() < 0.5
        lines = [json.dumps(fields, ensure_ascii=ascii_only) for fields in draft.fields]
        return replace(draft, text="".join(f"{line}\n" for line in lines))
    out = io.StringIO(newline="")
    end = chance.choice(["\n", "\r\n", "\r"])
    # A path that begins with # looks like a comment; and the module quotes no line ends but its own.
    quotes_all = chance.random() < 0.5 or end == "\r" or "#" in str(draft.fields)
    writer = csv.writer(out, lineterminator=end, quoting=csv.QUOTE_ALL if quotes_all else csv.QUOTE_MINIMAL)
    writer.writerow(draft.columns)
    writer.writerows(fields.values() for fields in draft.fields)
    return replace(draft, text=out.getvalue())


def _with_fields(draft: Draft, name: str, value: Callable[[Any], Any], chance: random.Random) -> Draft:
    """Change one value of one row."""
    fields = [dict(one) for one in draft.fields]
    one = chance.choice(fields)
    one[name] = value(one.get(name))
    columns = draft.columns if name in draft.columns else [*draft.columns, name]
    return replace(draft, fields=[{column: each.get(column) for column in columns} for each in fields], columns=columns)


def _never(draft: Draft) -> Draft:
    """Mark a draft: no reading of it can be what is meant."""
    return replace(draft, rows=_UNKNOWN)


def rename_column(chance: random.Random, draft: Draft) -> Draft:
    """Name a column as others do."""
    names = {**_OTHERS, **_OPTIONAL}
    name = chance.choice([column for column in draft.columns if column in names])
    other = chance.choice(names[name])
    fields = [{other if key == name else key: value for key, value in one.items()} for one in draft.fields]
    return replace(draft, fields=fields, columns=[other if column == name else column for column in draft.columns])


def wrong_status(chance: random.Random, draft: Draft) -> Draft:
    """Give a chunk a status that does not exist, to mean that it is not READY."""
    values = [False, 0, [], {}, "ready?", "no", 0.0, "failed"] if draft.is_json else ["False", "0", "no", "failed", "-"]
    wrong = chance.choice(values)
    return _never(_with_fields(draft, "status", lambda _: wrong, chance))


def wrong_value(chance: random.Random, draft: Draft) -> Draft:
    """Put into a row what is no path or no category."""
    in_json = [None, True, 5, ["a"], {"a": 1}, "", "nan", "C:\new\track.wav", "a\tb", "'a.wav'", "\0"]
    wrong = chance.choice(in_json if draft.is_json else ["", "nan", "None", "a\nb", "a\tb", "'a.wav'", "\0", " "])
    return _never(_with_fields(draft, chance.choice(["path", "category"]), lambda _: wrong, chance))


def wrong_category(chance: random.Random, draft: Draft) -> Draft:
    """Write a category as people do."""
    wrong = chance.choice(["Voice", "conference calls", "R&B", "Müsik", "voice/female", "x" * 65])
    return _never(_with_fields(draft, "category", lambda _: wrong, chance))


def wrong_duration(chance: random.Random, draft: Draft) -> Draft:
    """Write a duration as people do."""
    wrong = chance.choice(["00:03:20", "3,5", "-1", "1_000", "10 s", "nan", "inf", "1e999", "ten"])
    return _never(_with_fields(draft, "duration_s", lambda _: wrong, chance))


def backslashes(chance: random.Random, draft: Draft) -> Draft:
    """Write a path of Windows into JSON as it is."""
    written_draft = written(chance, draft)
    if not draft.is_json or "\\\\" not in written_draft.text:
        return written_draft
    return replace(written_draft, text=written_draft.text.replace("\\\\", "\\"))


def repeat_name(chance: random.Random, draft: Draft) -> Draft:
    """Repeat a name in a JSON object, or in a header."""
    draft, name = written(chance, draft), json.dumps(draft.columns[0])
    if draft.is_json:
        return _never(replace(draft, text=draft.text.replace("{", f'{{{name}: "x", ', 1)))
    return _never(replace(draft, text=f"{name},{draft.text}"))


def other_separator(chance: random.Random, draft: Draft) -> Draft:
    """Separate columns by something else."""
    if draft.is_json:
        return draft
    out = io.StringIO(newline="")
    writer = csv.writer(out, delimiter=chance.choice(";\t|"))
    writer.writerow(draft.columns)
    writer.writerows(fields.values() for fields in draft.fields)
    return replace(draft, text=chance.choice(["", "sep=;\r\n"]) + out.getvalue())


def blanks(chance: random.Random, draft: Draft) -> Draft:
    """Put blanks around the cells."""
    if draft.is_json:
        return draft
    left, right = chance.choice([" ", "\t", "\u00a0", ""]), chance.choice(["", " ", "  "])
    quote = chance.random() < 0.5

    def cell(value: object) -> str:
        text = "" if value is None else str(value)
        needs = quote or set(text) & set(',"#\n')
        return f'{left}"{text.replace(chr(34), chr(34) * 2)}"{right}' if needs else f"{left}{text}{right}"

    lines = [draft.columns, *(list(fields.values()) for fields in draft.fields)]
    return replace(draft, text="".join(",".join(map(cell, line)) + "\n" for line in lines))


def second_file(chance: random.Random, draft: Draft) -> Draft:
    """Put another manifest behind it, whose columns may have another order."""
    columns = chance.sample(draft.columns, len(draft.columns))
    rows = [_row(chance, number) for number in range(100, 103)]
    values = [dict(zip(("path", "category", "status", "duration_s"), row, strict=True)) for row in rows]
    more = [{name: one.get(name, "") for name in columns} for one in values]
    meant = [
        (p, c, s if "status" in columns else "READY", d if "duration_s" in columns else None) for p, c, s, d in rows
    ]
    first = written(chance, draft)
    is_json = draft.is_json if chance.random() < 0.8 else not draft.is_json
    second = written(chance, Draft(meant, more, columns, is_json))
    known = None if draft.rows is None or draft.rows is _UNKNOWN else [*draft.rows, *meant]
    text = (first.text if chance.random() < 0.8 else first.text.rstrip("\r\n")) + chance.choice(["", "\ufeff"])
    return replace(first, rows=known or draft.rows, text=text + second.text)


def comment(chance: random.Random, draft: Draft) -> Draft:
    """Put in a comment, or comment a row out."""
    draft = written(chance, draft)
    lines = re.split(r"(?<=\n)|(?<=\r)(?!\n)", draft.text)
    if any("\n" in str(fields.get("text", "")) for fields in draft.fields):
        return draft
    comments = ["# a comment\n", "#a/1.wav,voice\n", "# a, voice, READY\n"]
    lines.insert(chance.randrange(len(lines)), chance.choice(comments))
    return replace(draft, text="".join(lines))


def empty_rows(chance: random.Random, draft: Draft) -> Draft:
    """Put rows without anything in them."""
    draft = written(chance, draft)
    return replace(draft, text=draft.text + chance.choice(["\n", ",\n", " , ,\n", "\r\n\r\n", "  \n", "\x1a"]))


def open_quote(chance: random.Random, draft: Draft) -> Draft:
    """Take a quote away, or put one in."""
    draft = written(chance, draft)
    places = [found.start() for found in re.finditer('"', draft.text)]
    if draft.is_json or (not places and "," not in draft.text):
        return draft
    if places and chance.random() < 0.5:
        place = chance.choice(places)
        return replace(draft, text=draft.text[:place] + draft.text[place + 1 :], may_be_told=True)
    place = chance.choice([found.end() for found in re.finditer(",", draft.text)])
    return replace(draft, text=f'{draft.text[:place]}"{draft.text[place:]}', may_be_told=True)


def as_array(chance: random.Random, draft: Draft) -> Draft:
    """Write JSON in another form than a line an object."""
    fields = draft.fields
    forms = [
        json.dumps(fields),
        json.dumps(fields, indent=2),
        "".join(json.dumps(one, indent=1) for one in fields),
        json.dumps({"audio": fields}),
        "\n".join(str(one) for one in fields),
        ",\n".join(json.dumps(one) for one in fields),
        "".join(json.dumps(one) for one in fields[:2]) if len(fields) > 1 else "[]",
    ]
    return replace(draft, is_json=True, text=chance.choice(forms) + "\n")


def other_encoding(chance: random.Random, draft: Draft) -> Draft:
    """Write it in another encoding, or in UTF-8 where that one lacks a character."""
    text = written(chance, draft).text
    names = ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-8-sig", "latin-1", "cp1252", "shift-jis"]
    try:
        return replace(draft, text=text, content=text.encode(chance.choice(names)))
    except UnicodeEncodeError:
        return replace(draft, text=text, content=text.encode("utf-8", "replace"))


def broken(chance: random.Random, draft: Draft) -> Draft:
    """Change bytes at random; nobody knows what is meant any more."""
    content = bytearray(encoded(chance, draft).content)
    for _ in range(chance.randint(1, 3)):
        place = chance.randrange(len(content) + 1)
        kind = chance.randrange(4)
        some = bytes([chance.choice(b',"\n\r{}:\\ #\0\xffx1')])
        if kind == 0:
            content[place:place] = some
        elif kind == 1:
            content[place : place + 1] = some
        elif kind == 2:
            del content[place : place + chance.randint(1, 5)]
        else:
            del content[max(1, place) :]
    return replace(draft, rows=None, content=bytes(content))


def encoded(chance: random.Random, draft: Draft) -> Draft:
    """Write a draft as bytes, if that was not done."""
    draft = written(chance, draft)
    mark = "\ufeff" if chance.random() < 0.1 and not draft.text.startswith("\ufeff") else ""
    return draft if draft.content else replace(draft, content=(mark + draft.text).encode("utf-8", "replace"))


MEANINGS: tuple[Change, ...] = (rename_column, wrong_status, wrong_value, wrong_category, wrong_duration)
WRITINGS: tuple[Change, ...] = (
    backslashes,
    repeat_name,
    other_separator,
    blanks,
    second_file,
    comment,
    empty_rows,
    open_quote,
    as_array,
)
"""What changes the fields, and what changes the text; then come the bytes."""


def mutated(seed: int) -> Draft:
    """Make the manifest of a number: right in one of eight, changed once or twice, or broken."""
    chance = random.Random(seed)
    draft = right_draft(chance)
    changes: list[Change] = []
    if chance.random() < 0.4:
        changes.append(chance.choice(MEANINGS))
    if chance.random() < 0.6:
        changes.append(chance.choice(WRITINGS))
    changes += [other_encoding] if chance.random() < 0.1 else []
    changes += [broken] if chance.random() < 0.3 else []
    for change in changes:
        draft = change(chance, draft)
    return replace(encoded(chance, draft), done=[change.__name__ for change in changes])


def is_never(draft: Draft) -> bool:
    """Check whether no reading of a draft can be what is meant."""
    return draft.rows is _UNKNOWN
