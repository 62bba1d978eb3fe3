"""base_docs.py - English prose from the documentation that is installed on this machine.

Duty: walk the documentation folders, strip the markup, keep paragraphs that read like prose, drop everything seen before.
Main function: documents(). Invariants: files are visited in sorted order; no family of files (a package, or man pages with
the same first word) gives more than FAMILY_CAP characters, no file more than FILE_CAP; a document has at most MAX_CHARS.
To extend: a new kind of file is a row in SOURCES and, if its markup is new, a function that returns its paragraphs.
"""
import ast
import glob
import gzip
import os
import re

MAX_CHARS = 1400
FILE_CAP = 60_000
FAMILY_CAP = 400_000
READ_CAP = 2_000_000  # of one file, after decompression

FUNCTION_WORDS = frozenset("a an and are as at be been but by can do for from has have if in into is it its may more must not of on one only or "
                           "other should so some such than that the their then there these they this to use used was we were when which will "
                           "with would you your".split())
LICENCE = re.compile(r"copyright|warrant|licen[cs]e|redistribut|permission is|liabil|merchantab|all rights|GPL|free software foundation", re.I)
SENTENCE_END = (".", "!", "?", ":", ")", '"')

# Requests whose arguments are words of the running text, and escapes that stand for characters.
ROFF_WORDS = (".B", ".I", ".BR", ".IR", ".RB", ".RI", ".BI", ".IB", ".Nm", ".Fl", ".Ar", ".Xr", ".Em", ".Cm", ".Pa")
ROFF_ESCAPES = ((r"\-", "-"), (r"\(bu", ""), (r"\(em", " - "), (r"\(aq", "'"), (r"\(cq", "'"), (r"\(oq", "'"), (r"\(lq", '"'),
                (r"\(rq", '"'), (r"\(dq", '"'), (r"\e", "\\"), (r"\ ", " "), (r"\~", " "), (r"\'", "'"), (r"\`", "`"), (r"\.", "."))


def roff(text):
    """Paragraphs of a man page: requests become breaks or plain words, escapes become characters."""
    out, skipping = [], False
    for line in text.split("\n"):
        if line.startswith((".TS", ".EX", ".nf", ".de")):
            skipping = True
        elif line.startswith((".TE", ".EE", ".fi")) or line == "..":
            skipping = False
            out.append("")
        elif skipping:
            continue
        elif line.startswith((".", "'")):
            request = line.split(" ", 1)
            if request[0] in ROFF_WORDS and len(request) > 1:
                words = re.findall(r'"[^"]*"|\S+', request[1])
                glue = " " if len(request[0]) == 2 or request[0][1].isupper() and request[0][2:].islower() else ""
                out.append(glue.join(w.strip('"') for w in words))
            elif request[0] not in (r".\"", "'\\\""):
                out.append("")
        else:
            out.append(line)
    text = "\n".join(out)
    text = re.sub(r"\\f(?:\[[^\]]*\]|\(..|.)", "", text)
    text = re.sub(r"\\[mF]\[[^\]]*\]|\\s[-+]?\d+|\\[&%/,:)]|\\\"[^\n]*", "", text)
    for escape, char in ROFF_ESCAPES:
        text = text.replace(escape, char)
    return paragraphs(text)


def plain(text):
    return paragraphs(text)


def light_markup(text):
    """Markdown, reStructuredText, AsciiDoc, POD, vim help: inline marks go, code blocks are left to the prose test."""
    text = re.sub(r"```.*?```", "\n\n", text, flags=re.S)
    text = re.sub(r"!?\[([^\]\n]*)\]\([^)\n]*\)", r"\1", text)
    text = re.sub(r"[BCFILSX]<+ ?([^<>\n]*?) ?>+", r"\1", text)
    text = re.sub(r"``?([^`\n]*)``?(?:_)?|:\w+:`([^`\n]*)`", lambda m: m[1] or m[2] or "", text)
    text = re.sub(r"(?m)^(?:[#=*]+ .*|=\w+.*|\.\. .*|[-=~^*+]{3,})$", "", text)
    text = re.sub(r"[*|](\w[^*|\n]*)[*|]", r"\1", text)
    return paragraphs(text)


def html(text):
    text = re.sub(r"(?s)<(script|style|pre|table)\b.*?</\1>", "\n\n", text)
    text = re.sub(r"(?i)<(?:p|li|dd|dt|div|h\d|br|tr|td)\b[^>]*>", "\n\n", text)
    text = re.sub(r"<[^>]*>", "", text)
    for entity, char in (("&lt;", "<"), ("&gt;", ">"), ("&quot;", '"'), ("&nbsp;", " "), ("&#39;", "'"), ("&amp;", "&")):
        text = text.replace(entity, char)
    return paragraphs(text)


def python_docs(text):
    """Docstrings of a module, its classes and its functions."""
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError):
        return []
    out = []
    for node in ast.walk(tree):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            out += light_markup(ast.get_docstring(node) or "")
    return out


def pod_in_perl(text):
    return light_markup("\n".join(re.findall(r"(?ms)^=(?:head|pod|over|item)[^\n]*\n(.*?)^=(?:cut|head|back|item)", text)))


def paragraphs(text):
    return re.split(r"\n[ \t]*\n", text)


# folders, endings of names (before .gz) or, without a dot, beginnings; reader
NAMES = ("README", "NEWS", "FAQ", "HOWTO", "TODO", "INTRO", "HISTORY", "CHANGES", "NOTES")
SOURCES = (
    ("/usr/share/man/man1", (".1",), roff), ("/usr/share/man/man2", (".2",), roff), ("/usr/share/man/man3", (".3", ".3p"), roff),
    ("/usr/share/man/man4", (".4",), roff), ("/usr/share/man/man5", (".5",), roff), ("/usr/share/man/man7", (".7",), roff),
    ("/usr/share/man/man8", (".8",), roff),
    ("/usr/share/info", (".info",), plain),
    ("/usr/share/perl", (".pod",), light_markup), ("/usr/share/perl", (".pm",), pod_in_perl),
    ("/usr/share/vim", (".txt",), light_markup), ("/usr/share/doc", (".txt", ".md", ".rst"), light_markup),
    ("/usr/share/doc", (".html", ".htm"), html), ("/usr/share/doc", NAMES, plain),
    ("/usr/lib/python3*", (".py",), python_docs), ("/usr/share/cmake-*/Help", (".rst",), light_markup),
)


def files(pattern, marks):
    for folder in sorted(glob.glob(pattern)):
        for where, folders, names in os.walk(folder):
            folders.sort()
            for name in sorted(names):
                bare = name[:-3] if name.endswith(".gz") else name
                if bare.endswith(marks) if marks[0].startswith(".") else bare.startswith(marks):
                    yield os.path.join(where, name)


def family(path):
    """Files that are likely to repeat each other: a package's documentation, or man pages with the same first word."""
    parts = path.split("/")
    if parts[3] == "man":
        return parts[4] + "/" + re.split(r"[-_.:]", parts[-1])[0]
    return "/".join(parts[:6 if parts[2] == "share" else 5])


def read(path):
    try:
        with (gzip.open if path.endswith(".gz") else open)(path, "rb") as f:
            return f.read(READ_CAP).decode("utf-8")
    except (OSError, EOFError, UnicodeDecodeError):
        return ""


def prose(paragraph):
    """The paragraph on one line, or "" when it is not English prose."""
    p = re.sub(r"-\n\s*(?=[a-z])", "", paragraph) if "-\n" in paragraph else paragraph
    p = re.sub(r"\s+", " ", p).strip(" *-+o\t")
    if not 70 <= len(p) <= 2500 or not p[0].isalpha() or p[-1] not in SENTENCE_END or LICENCE.search(p):
        return ""
    words = p.split()
    plain_letters = sum(c.isascii() and (c.isalpha() or c in " ,.'") for c in p)
    function_words = sum(w.lower().strip(".,;:()'\"") in FUNCTION_WORDS for w in words)
    if plain_letters < 0.93 * len(p) or function_words < 0.27 * len(words) or max(map(len, words)) > 30:
        return ""
    if sum(w.isupper() and len(w) > 1 for w in words) > 0.06 * len(words) or re.search(r"[{}\\<>|@]|--\w+ --|https?:", p):
        return ""
    return p


def documents():
    """Yields documents: neighbouring paragraphs of one file, joined up to MAX_CHARS."""
    seen, given = set(), {}
    for pattern, marks, reader in SOURCES:
        for path in files(pattern, marks):
            group = family(path)
            room = min(FILE_CAP, FAMILY_CAP - given.get(group, 0))
            document = []
            size = 0
            for paragraph in reader(read(path)) if room > 0 else []:
                p = prose(paragraph)
                key = re.sub(r"[\W\d]+", "", p.lower())[:90]
                if not p or key in seen:
                    continue
                seen.add(key)
                if len(p) > MAX_CHARS:
                    p = p[:p.rfind(". ", 0, MAX_CHARS) + 1]
                    if not p:
                        continue
                if size + len(p) > MAX_CHARS:
                    yield "\n\n".join(document)
                    document, size = [], 0
                document.append(p)
                size += len(p) + 2
                room -= len(p)
                given[group] = given.get(group, 0) + len(p)
                if room <= 0:
                    break
            if size > 150:
                yield "\n\n".join(document)
