"""base_texts.py - the generated part of the pre-training text, from examples/base/grammar.txt.

Duty: documents that teach a tiny model business English and, above all, copying: mails and notes that become records,
tables with questions, the same record in two formats. The records' fields, labels and formats differ from the demo's.
Main tables: FORMS (what a mail or a note becomes), FORMATS (how a record is written), KINDS (how often each document).
To extend: a new trade is a "mail.x" rule in the grammar and a row in FORMS; a new format is a function and a row in FORMATS.
"""
import json
import re

from grammar import Grammar

MAX_CHARS = 1500  # of one document

FORMS = {
    "mail.hotel":    ("topic", "name", "room", "ref", "from", "to", "object", "sum", "tone", "when"),
    "mail.library":  ("name", "card", "topic", "object", "author", "sum", "when"),
    "mail.clinic":   ("file", "name", "born", "doctor", "topic", "day", "drug", "tone"),
    "mail.staff":    ("topic", "asset", "tool", "dept", "room", "who", "day", "when", "name"),
    "mail.school":   ("child", "class", "topic", "day", "place", "object", "sum", "name", "tone"),
    "mail.flat":     ("topic", "street", "house", "flat", "day", "sum", "when", "tone", "name"),
    "mail.garage":   ("car", "plate", "km", "topic", "day", "sum", "when", "name"),
    "mail.shop":     ("topic", "object", "count", "day", "ref", "place", "sum", "tone", "name"),
    "mail.council":  ("file", "topic", "street", "house", "day", "sum", "name", "when", "tone"),
    "mail.kitchen":  ("count", "topic", "dish", "day", "hour", "sum", "tone", "name"),
    "mail.travel":   ("ref", "tag", "topic", "place", "day", "object", "count", "sum", "tone", "name"),
    "note.person":   ("name", "job", "employer", "city", "phone", "born"),
    "note.stock":    ("item", "code", "count", "price", "place"),
    "note.booking":  ("number", "guest", "seats", "day", "hour", "place", "paid"),
    "note.contract": ("number", "party", "other", "day", "end", "sum", "lawyer"),
    "note.reading":  ("device", "serial", "value", "day", "hour", "place", "by"),
    "note.event":    ("what", "place", "day", "hour", "host", "price", "contact"),
}
MAILS = [f for f in FORMS if f.startswith("mail.")]
NOTES = [f for f in FORMS if f.startswith("note.")]

# Words of offices and of programs that installed documentation rarely puts into quotes.
OFFICE_WORDS = """account action address amount angry answer apology article author available average balance bank battery bill billing
board bonus book booking branch brand budget building business buyer call calm cancel car card carrier case cash catalogue category
charge charger cheap claim class clerk client closed colour company complaint contact contract copy correct cost country credit currency
customer damage damaged date deadline debit defect delay delivered delivery department deposit desk device direct discount display document
dollar door draft driver due email employee empty engine entry error euro event exchange expensive express factory failed false family
feature fee female field file final firm first fixed folder form free fresh friend full garden glass goods grade green group guest half
happy hardware health heavy high holiday hotel house income insurance invoice issue item job journal key kind label language large late
lawyer letter level licence limit line list loan location lost low lunch machine mail manager manual market material medium meeting member
message middle minor missing mixed mobile model money month name network neutral new night none normal note number offer office old open
order other owner paid paper parcel part partner party pay payment person phone place plan pleased policy position post price print printer
priority problem product profit project public purchase quality quantity question quick quote rate reason receipt record red refund region
repair replacement reply report request research reserved result return review room route sales salary scale scanner school season seat
section seller send sender sentiment serial service setting shelf ship shipment shop short sign size small software sold sorry staff start
state station status stock store street subject sum supplier supply support table task tax team tech technical terminal test text thanks
ticket time title tool topic total tour trace trade train travel truck type unit unknown update urgent user value van version visit voucher
waiting warehouse warm warranty week weight wrong yellow zone""".split()

# Columns of tables: title, then (column, grammar rule); the first column names the row.
TABLES = (
    ("People", (("name", "person"), ("city", "city"), ("job", "job"), ("phone", "phone"))),
    ("Stock", (("item", "model"), ("code", "code"), ("price", "money"), ("place", "city"))),
    ("Tours", (("code", "code"), ("town", "city"), ("day", "date"), ("guide", "person"))),
    ("Suppliers", (("company", "company"), ("city", "city"), ("contact", "person"), ("phone", "phone"))),
    ("Rooms", (("room", "code"), ("dept", "dept"), ("keeper", "given"), ("device", "model"))),
    ("Orders", (("number", "code"), ("article", "things"), ("date", "date"), ("total", "money"))),
    ("Courses", (("title", "title"), ("teacher", "person"), ("day", "weekday"), ("hour", "time"))),
)


def as_json(pairs):
    return json.dumps(dict(pairs), ensure_ascii=False, separators=(",", ":"))


def as_wide_json(pairs):
    return json.dumps(dict(pairs), ensure_ascii=False)


def as_tall_json(pairs):
    return json.dumps(dict(pairs), ensure_ascii=False, indent=2)


def as_lines(pairs):
    return "\n".join(f"{k}: {'-' if v is None else v}" for k, v in pairs)


def as_form(pairs):
    return "\n".join(f"{k.capitalize()}: {'none' if v is None else v}" for k, v in pairs)


def as_csv(pairs):
    def cell(v):
        return '"' + v + '"' if "," in v else v
    return ",".join(k for k, _ in pairs) + "\n" + ",".join(cell(v or "") for _, v in pairs)


def as_assignments(pairs):
    return "; ".join(f"{k}={'' if v is None else v}" for k, v in pairs)


def as_yaml(pairs):
    return "\n".join(f"{'- ' if i == 0 else '  '}{k}: {'null' if v is None else v}" for i, (k, v) in enumerate(pairs))


# writer, headings that announce it, weight
FORMATS = (
    (as_json, ("JSON:", "As JSON:", "Record:", "One line of JSON:", "Entry:", "Data:", "Output:"), 11),
    (as_wide_json, ("JSON:", "Object:", "As JSON:"), 3),
    (as_tall_json, ("JSON:", "Pretty:"), 1),
    (as_lines, ("Summary:", "Fields:", "In short:"), 2),
    (as_form, ("Form:", "Card:", "File card:"), 2),
    (as_csv, ("CSV:", "Row:", "Table:"), 1),
    (as_assignments, ("Values:", "Line:"), 1),
    (as_yaml, ("YAML:", "List:"), 1),
)


def tidy(text):
    """Optional parts leave double blanks behind, and slots leave "a engineer"."""
    text = re.sub(r" *\n *", "\n", re.sub(r"  +", " ", text)).strip()
    return re.sub(r"\ba (?=[aeiou])", "an ", text)


class Texts:
    def __init__(self, path, rng, vocabulary):
        """vocabulary: ordinary words, lower case, for the exercises in words()."""
        self.g, self.rng, self.vocabulary = Grammar(path), rng, vocabulary

    def format(self):
        return self.rng.weighted([(f, f[2]) for f in FORMATS])

    def example(self, form, fmt, fields=None):
        """One mail or note and its record; `fields` narrows and reorders it."""
        bound = {}
        text = tidy(self.g.expand(form, self.rng, bound))
        values = [(k, bound.get(k)) for k in fields or FORMS[form]]
        return text, fmt[0](values)

    def records(self, forms):
        """One to three examples of a form in one format; sometimes only some fields, then named in the heading."""
        rng, form, fmt = self.rng, self.rng.pick(forms), self.format()
        heading, fields = rng.pick(fmt[1]), None
        if rng.chance(0.35):
            fields = list(FORMS[form])
            rng.shuffle(fields)
            fields = fields[:rng.between(2, 5)]
            heading = rng.pick(("{0} {1}", "Fields: {1}\n{0}", "Write {1}.\n{0}")).format(heading, ", ".join(fields))
        gap = rng.pick(("\n\n", "\n\n", "\n"))
        count = rng.pick((1, 1, 2, 3)) if forms is MAILS else rng.pick((2, 3, 4))
        parts = []
        for _ in range(count):
            text, record = self.example(form, fmt, fields)
            parts.append(f"{text}{gap}{heading}\n{record}")
        return ("\n\n" if gap == "\n" else "\n\n\n").join(parts)

    def table(self):
        """A table, then questions about its cells, or the same rows in another format."""
        rng = self.rng
        title, columns = rng.pick(TABLES)
        names = [c for c, _ in columns]
        rows = [[self.g.expand(rule, rng).replace(",", "") for _, rule in columns] for _ in range(rng.between(3, 6))]
        mark = rng.pick((",", ";", " | ", "\t"))
        lines = [mark.join(names)] + [mark.join(r) for r in rows]
        asked = []
        if rng.chance(0.4):
            writer = rng.pick((as_json, as_json, as_wide_json, as_lines, as_assignments))
            order = list(range(len(rows)))
            if rng.chance(0.5):
                rng.shuffle(order)
            asked = [writer(list(zip(names, rows[i]))) for i in order[:4]]
        else:
            ask = rng.pick(("{1} of {0}?\n{2}", "{0}, {1}: {2}", "Q: What is the {1} of {0}?\nA: {2}", "{1} -> {0} -> {2}"))
            for _ in range(rng.between(3, 6)):
                row, column = rng.pick(rows), rng.between(1, len(names) - 1)
                asked.append(ask.format(row[0], names[column], row[column]))
        return f"{title}\n" + "\n".join(lines) + "\n\n" + "\n".join(asked)

    def convert(self):
        """The same notes' records in two formats, without the notes."""
        rng, form = self.rng, self.rng.pick(list(FORMS))
        one, two = self.format(), self.format()
        while two is one:
            two = self.format()
        parts = []
        for _ in range(rng.between(1, 3)):
            bound = {}
            self.g.expand(form, rng, bound)
            pairs = [(k, bound.get(k)) for k in FORMS[form] if bound.get(k) or rng.chance(0.5)][:6]
            parts.append(f"{one[0](pairs)}\n{rng.pick(two[1])}\n{two[0](pairs)}")
        return "\n\n".join(parts)

    def words(self):
        """Ordinary words in and out of quotes, as keys and as values. A word after a blank and the same word after a quote are
        different tokens; from these exercises the model learns that they belong together."""
        rng, lists, parts = self.rng, (OFFICE_WORDS, OFFICE_WORDS, OFFICE_WORDS, self.vocabulary), []
        for _ in range(rng.between(3, 5)):
            some = [rng.pick(rng.pick(lists)) for _ in range(rng.between(4, 7))]
            pairs = [(a, rng.pick(rng.pick(lists))) for a in some]
            spoken = ", ".join(f"{a} {b}" for a, b in pairs)
            parts.append(rng.pick((
                " ".join(some) + "\n" + json.dumps(some, separators=(",", ":")),
                spoken + "\n" + as_json(pairs),
                "The words are " + ", ".join(some[:-1]) + " and " + some[-1] + ".\n" + "\n".join(f'"{w}"' for w in some),
                spoken + "\n" + json.dumps([f"{a}_{b}" for a, b in pairs], separators=(",", ":")),
                as_json(pairs) + "\n" + as_lines(pairs))))
        return "\n\n".join(parts)

    def several(self, rule, low, high):
        return "\n\n".join(tidy(self.g.expand(rule, self.rng)) for _ in range(self.rng.between(low, high)))

    def document(self):
        kind = self.rng.weighted(KINDS)
        return kind(self).strip()[:MAX_CHARS]


KINDS = (
    (lambda t: t.records(MAILS), 40),
    (lambda t: t.records(NOTES), 12),
    (Texts.table, 7),
    (Texts.convert, 6),
    (Texts.words, 10),
    (lambda t: t.several("doc.trade", 1, 1), 12),
    (lambda t: t.several("doc.lookup", 2, 4), 8),
    (lambda t: t.several("doc.qa", 1, 3), 9),
    (lambda t: t.several("doc.chat", 1, 3), 4),
    (lambda t: t.several("doc.review", 1, 2), 4),
    (lambda t: t.several("doc.story", 1, 1), 16),
    (lambda t: t.several("doc.letter", 1, 1), 10),
    (lambda t: t.several("doc.minutes", 1, 1), 5),
    (lambda t: t.several("doc.howto", 1, 1), 5),
)
