"""grammar.py - a small seeded text grammar, shared by make_triage.py and make_base_corpus.py.

Duty: read a file of hand-written fragments and combine them the same way for the same seed on every machine.
Main class: Grammar (rules, each a list of Alternative). Invariant: all choices go through Rng, which uses nothing but
random.random(), the one generator whose sequence Python promises to keep.

The file:
  # a comment
  == rule                 starts a rule
  text                    one alternative per line; a line that starts with a blank continues the line above
  ! text                  a held-out alternative: used only when the caller allows it
  tag> text               an alternative with a tag that the caller may read
Inside an alternative:
  [a|b|]                  one of them; may nest; an empty one is allowed
  {rule}                  a fresh expansion of a rule
  {rule#key} ... {#key}   expanded at its first use, then repeated: that is how texts copy
  {rule#key!}             the same, but the first use prints nothing
  {12..99}                a whole number, both ends included; may be bound too: {2..9#count}
  {%HX-####}              a code: # is a digit, @ a capital letter; {%@@-##} ...
  {=value#key}            binds a value, prints nothing
  {#key.first}            .first/.last word, .lower, .upper, .cap (first letter) of a bound value
  \\n                      a new line
To extend: add lines to the fragment files; this file changes only when the notation does.
"""
import random
import re


class Rng:
    """Choices from random.random() alone."""

    def __init__(self, seed):
        self._random = random.Random(seed).random

    def below(self, n):
        return int(self._random() * n)

    def pick(self, items):
        return items[int(self._random() * len(items))]

    def chance(self, p):
        return self._random() < p

    def between(self, low, high):
        return low + int(self._random() * (high - low + 1))

    def weighted(self, pairs):
        """pairs: (value, weight)."""
        x = self._random() * sum(w for _, w in pairs)
        for value, w in pairs:
            x -= w
            if x < 0:
                return value
        return pairs[-1][0]

    def shuffle(self, items):
        for i in range(len(items) - 1, 0, -1):
            j = self.below(i + 1)
            items[i], items[j] = items[j], items[i]


ATTRIBUTES = {
    "first": lambda s: s.split()[0],
    "last": lambda s: s.split()[-1],
    "lower": str.lower,
    "upper": str.upper,
    "cap": lambda s: s[:1].upper() + s[1:],
}

SLOT = re.compile(r"\{(?:(?P<low>\d+)\.\.(?P<high>\d+)|%(?P<code>[^{}]+?)|(?P<rule>[\w.-]+))?"
                  r"(?:#(?P<key>\w+))?(?P<quiet>!)?(?:\.(?P<attr>[a-z]+))?\}")
CODE_KEY = re.compile(r"^(.*)#([A-Za-z_]\w*)$")


class Alternative:
    def __init__(self, rule, text, held, tag, where):
        self.rule, self.held, self.tag, self.where = rule, held, tag, where
        self.nodes, end = parse(text, 0, where, top=True)
        if end != len(text):
            raise SystemExit(f"{where}: unbalanced brackets near '{text[end:end + 30]}'")


def parse(text, i, where, top=False):
    """-> (nodes, next index); a node is a string, a list of node lists (a choice) or a slot tuple."""
    nodes, plain = [], []

    def flush():
        if plain:
            nodes.append("".join(plain))
            plain.clear()

    while i < len(text):
        c = text[i]
        if c == "\\" and text[i + 1:i + 2] == "n":
            plain.append("\n")
            i += 2
        elif c == "\\":
            plain.append(text[i + 1:i + 2])
            i += 2
        elif c == "[":
            flush()
            options = []
            while True:
                option, i = parse(text, i + 1, where)
                options.append(option)
                if i >= len(text):
                    raise SystemExit(f"{where}: a '[' is never closed")
                if text[i] == "]":
                    break
            nodes.append(options)
            i += 1
        elif c in "|]" and not top:
            break
        elif c == "{":
            flush()
            slot, i = parse_slot(text, i, where)
            nodes.append(slot)
        else:
            plain.append(c)
            i += 1
    flush()
    return nodes, i


def parse_slot(text, i, where):
    end = text.find("}", i)
    body = text[i:end + 1]
    if body.startswith("{%"):  # '#' is both a digit and the binding mark: a binding is '#' and a letter
        code, key = body[2:-1], None
        bound = CODE_KEY.match(code)
        if bound:
            code, key = bound.group(1), bound.group(2)
        return ("code", code, key, False, None), end + 1
    if body.startswith("{="):
        value, _, key = body[2:-1].rpartition("#")
        return ("value", value, key, True, None), end + 1
    m = SLOT.fullmatch(body)
    if not m or (m["attr"] and m["attr"] not in ATTRIBUTES):
        raise SystemExit(f"{where}: '{body}' is not a slot")
    if m["low"]:
        return ("number", (int(m["low"]), int(m["high"])), m["key"], bool(m["quiet"]), m["attr"]), end + 1
    return ("rule", m["rule"], m["key"], bool(m["quiet"]), m["attr"]), end + 1


class Grammar:
    def __init__(self, *paths):
        self.rules = {}
        self.trace = []  # every alternative used since the caller last cleared it
        for path in paths:
            self._read(path)
        for rule in self.rules.values():
            for alt in rule:
                self._check(alt.nodes, alt.where)

    def _read(self, path):
        lines, rule = [], None
        with open(path, encoding="utf-8") as f:
            for number, line in enumerate(f, 1):
                line = line.rstrip("\n")
                if line[:1] in (" ", "\t") and line.strip() and lines:
                    lines[-1][2] += " " + line.strip()
                elif line.startswith("== "):
                    rule = line[3:].strip()
                    if rule in self.rules:
                        raise SystemExit(f"{path}, line {number}: the rule '{rule}' stands twice")
                    self.rules[rule] = []
                elif line.strip() and not line.startswith("#"):
                    lines.append([rule, f"{path}, line {number}", line])
        for rule, where, line in lines:
            held = line.startswith("! ")
            line = line[2:] if held else line
            tag = re.match(r"([\w./ -]+)> ", line)
            self.rules[rule].append(
                Alternative(rule, line[tag.end():] if tag else line, held, tag.group(1) if tag else None, where))

    def _check(self, nodes, where):
        for node in nodes:
            if isinstance(node, list):
                for option in node:
                    self._check(option, where)
            elif isinstance(node, tuple) and node[0] == "rule" and node[1] and node[1] not in self.rules:
                raise SystemExit(f"{where}: there is no rule '{node[1]}'")

    def choose(self, rule, rng, held="never"):
        """held: 'never', 'also' or 'only'."""
        alts = self.rules[rule]
        if held != "also":
            alts = [a for a in alts if a.held == (held == "only")]
        return rng.pick(alts)

    def expand(self, rule, rng, bound=None, held="never"):
        return self.expand_alt(self.choose(rule, rng, held), rng, {} if bound is None else bound, held)

    def expand_alt(self, alt, rng, bound, held="never"):
        out = []
        self.trace.append(alt)
        self._expand(alt.nodes, rng, bound, "never" if held == "only" else held, out, alt.where)
        return "".join(out)

    def _expand(self, nodes, rng, bound, held, out, where):
        for node in nodes:
            if isinstance(node, str):
                out.append(node)
            elif isinstance(node, list):
                self._expand(rng.pick(node), rng, bound, held, out, where)
            else:
                kind, what, key, quiet, attr = node
                if key and key in bound:
                    value = bound[key]
                elif kind == "value":
                    value = what
                elif kind == "number":
                    value = str(rng.between(*what))
                elif kind == "code":
                    value = "".join(rng.pick("0123456789") if c == "#" else rng.pick("ABCDEFGHKLMNPRSTUVWXZ") if c == "@" else c
                                    for c in what)
                elif what is None:
                    raise SystemExit(f"{where}: '#{key}' is used before anything is bound to it")
                else:
                    value = self.expand(what, rng, bound, held)
                if key:
                    bound[key] = value
                if not quiet:
                    out.append(ATTRIBUTES[attr](value) if attr else value)
