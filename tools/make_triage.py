#!/usr/bin/env python3
"""make_triage.py - writes examples/triage/{train,valid,test}.jsonl from examples/triage/fragments.txt.

Duty: combine hand-written fragments into support mails with a known triage record. The labels are decided first and the
fragments chosen to fit them, so every label has its reason in the text. Same seed, same bytes.
Invariants: train and valid use no fragment marked "!"; no (core, hurry, ask) combination of test occurs in train or valid;
half of the test mails have a core sentence that train has never seen, a quarter a product that train has never seen.
To extend: a new situation is a row in SCENARIOS plus its core.*, subject.* and, for a new action, ask.* fragments.

usage: make_triage.py [--check]    --check writes nothing and fails when the committed files differ
"""
import collections
import json
import os
import re
import sys

from grammar import Grammar, Rng

FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "examples", "triage")
SEED = 20240611
CUE = "\n\nTriage:\n"
SIZES = (("train", 480), ("valid", 40), ("test", 100))

# category, situation, action, style of hurry, share of mails that name an order / a product, moods (angry, pleased)
SCENARIOS = (
    ("delivery",  "late",    "trace_shipment",   "ops",   0.85, 0.75, (0.40, 0.10)),
    ("delivery",  "ghost",   "trace_shipment",   "ops",   0.85, 0.75, (0.35, 0.10)),
    ("delivery",  "wrong",   "ship_replacement", "ops",   0.80, 0.80, (0.30, 0.20)),
    ("delivery",  "short",   "ship_replacement", "ops",   0.85, 0.75, (0.25, 0.20)),
    ("delivery",  "proof",   "send_document",    "paper", 0.75, 0.70, (0.10, 0.35)),
    ("defect",    "arrival", "ship_replacement", "ops",   0.75, 0.85, (0.40, 0.15)),
    ("defect",    "worn",    "book_repair",      "ops",   0.70, 0.85, (0.25, 0.25)),
    ("defect",    "flaky",   "book_repair",      "ops",   0.65, 0.85, (0.25, 0.25)),
    ("billing",   "wrong",   "correct_invoice",  "paper", 0.70, 0.65, (0.30, 0.15)),
    ("billing",   "twice",   "correct_invoice",  "paper", 0.70, 0.65, (0.45, 0.05)),
    ("billing",   "copy",    "send_document",    "paper", 0.60, 0.65, (0.10, 0.35)),
    ("return",    "toomany", "open_return",      "paper", 0.80, 0.80, (0.10, 0.35)),
    ("return",    "cancel",  "open_return",      "paper", 0.80, 0.80, (0.30, 0.20)),
    ("technical", "setup",   "tech_support",     "ops",   0.40, 0.85, (0.15, 0.30)),
    ("technical", "error",   "tech_support",     "ops",   0.40, 0.90, (0.35, 0.15)),
    ("technical", "paper",   "send_document",    "paper", 0.40, 0.85, (0.10, 0.35)),
    ("sales",     "quote",   "send_quote",       "paper", 0.50, 0.85, (0.10, 0.40)),
    ("sales",     "avail",   "send_quote",       "paper", 0.50, 0.85, (0.10, 0.40)),
)
CATEGORIES = ("delivery", "defect", "billing", "return", "technical", "sales")

# kind -> what it is called without a name (singular, plural), names used everywhere, names kept for the test
KINDS = {
    "printer":  (("label printer", "label printers"), ("Tarn 400", "Tarn 650", "Tarn Mini", "Orla P2", "Orla P4", "Vika 80", "Vika 110"),
                 ("Orla P7", "Vesta 305")),
    "scanner":  (("hand scanner", "hand scanners"), ("Skerry 2D", "Skerry X8", "Skerry Ring", "Pika 11", "Pika 20", "Lumo Scan"),
                 ("Skerry 3D", "Ibis 40")),
    "terminal": (("mobile terminal", "mobile terminals"), ("Fjell T7", "Fjell T9", "Fjell Go", "Rondo 5", "Rondo 8"), ("Fjell T12", "Kestrel 6")),
    "scale":    (("parcel scale", "parcel scales"), ("Moraine 60", "Moraine 150", "Gram 30", "Gram 75"), ("Moraine 300",)),
    "charger":  (("charging station", "charging stations"), ("Dock 4", "Dock 8", "Volta 16"), ("Volta 24",)),
    "software": (("your software", "your software"), ("LabelDesk", "StockFlow", "PackRoute"), ("ShelfWise", "BinPilot")),
}
HARDWARE = ("printer", "printer", "scanner", "scanner", "terminal", "terminal", "scale", "charger")
COUNTRIES = ("de", "nl", "fr", "es", "it", "pl", "se", "uk", "us", "in", "jp", "ke", "tr", "br")

TYPOS = (("received", "recieved"), ("delivery", "delivry"), ("because", "becuase"), ("which", "wich"), ("address", "adress"),
         ("tomorrow", "tommorow"), ("shipment", "shippment"), ("their", "thier"), ("warehouse", "warehose"), ("would like", "woud like"),
         ("different", "diffrent"), ("without", "whitout"), ("there", "ther"), ("payment", "paymant"), ("company", "compnay"),
         ("still", "stil"), ("nothing", "nothign"), ("could you", "coud you"), ("please", "plese"), ("customer", "costumer"),
         ("invoice", "invoce"), ("the", "teh"), ("and", "adn"), ("weeks", "weaks"), ("of the", "fo the"), ("send", "sned"))
SENTENCE_STARTS = "The|We|Our|Please|It|Could|This|There|Since|You|After|Can|One|Your|Is|For|How|From|What|My|A"


def choose_product(kind, named, held, rng):
    """-> (label or None, words bound for the fragments)."""
    (one, many), known, kept = KINDS[kind]
    noun = one.split()[-1]
    if not named:
        return None, {"p": rng.pick((one, one, noun)) if kind != "software" else one, "ps": many, "n": noun}
    name = rng.pick(kept if held else known)
    if kind == "software":
        return name, {"p": name, "ps": name, "n": noun}
    p = name if rng.chance(0.6) else f"{name} {noun}"
    return name, {"p": p, "ps": f"{name} {many.split()[-1]}", "n": noun}


class Mail:
    """One mail with its labels; the steps of make() are the order of the text."""

    def __init__(self, grammar, rng, scenario, fresh_core, fresh_product, held):
        self.g, self.rng, self.held, self.words = grammar, rng, held, {}
        self.category, self.situation, self.action, self.style, p_order, p_product, (angry, pleased) = scenario
        self.g.trace.clear()
        self.core = self.g.choose(f"core.{self.category}.{self.situation}", rng, "only" if fresh_core else "never")
        kind = self.core.tag or rng.pick(HARDWARE)
        self.product, words = choose_product(kind, fresh_product or rng.chance(p_product), fresh_product, rng)
        self.words.update(words)
        self.order = self.g.expand("order", rng) if "ref" in slots(self.core.nodes) and rng.chance(p_order) else None
        self.words["o"] = self.order or ""
        self.mood = rng.weighted((("angry", angry), ("pleased", pleased), ("neutral", 1 - angry - pleased)))
        low = 0.06 if self.mood == "angry" else 0.36
        self.priority = rng.weighted((("high", 0.32), ("low", low), ("normal", 0.68 - low)))
        self.country = rng.pick(COUNTRIES)
        self.words["phone"] = self.say(f"phone.{self.country}")
        self.words["cur"] = "£" if self.country == "uk" else "$" if self.country in ("us", "in", "br") else rng.pick(("EUR ", "€", "€ "))
        self.words["given"] = self.say(f"given.{self.country}")

    def say(self, rule, tagged=False):
        """One expansion of a rule; with `tagged`, alternatives tagged for another category are passed over."""
        alt = self.g.choose(rule, self.rng, self.held)
        while tagged and alt.tag not in (None, self.category):
            alt = self.g.choose(rule, self.rng, self.held)
        return self.g.expand_alt(alt, self.rng, self.words, self.held)

    def hurry(self):
        if self.priority == "normal":
            return self.say("normal") if self.rng.chance(0.25) else ""
        return self.say(f"{self.priority}.{self.style}", tagged=True)

    def place_order(self):
        """Where the order number stands: subject, ref (inside the core), open (a sentence before it) or end."""
        if not self.order:
            return None
        return self.rng.weighted((("subject", 0.3), ("ref", 0.35), ("open", 0.2), ("end", 0.15)))

    def make(self):
        rng, place = self.rng, self.place_order()
        again = place not in (None, "subject") and rng.chance(0.15)
        self.words["sref"] = rng.pick((" {}", ", order {}", " - {}", " ({})")).format(self.order) if place == "subject" or again else ""
        self.words["ref"] = " " + self.say("order.ref") if place == "ref" else ""

        mood_at = rng.pick(("open", "open", "close", "both")) if self.mood != "neutral" else ""
        opener = self.say(f"{self.mood}.open") if mood_at in ("open", "both") else ""
        if not opener and place != "open" and rng.chance(0.2):
            opener = self.say("open.neutral")
        about = self.say("order.open") if place == "open" else ""
        core = self.g.expand_alt(self.core, rng, self.words, self.held)
        core = core[:1].upper() + core[1:]
        detail = [self.say(f"detail.{self.category}")] if rng.chance(0.35) else []
        if self.order and rng.chance(0.04):
            detail.append(self.say("other.order"))
        hurry = self.hurry()
        ask = self.say(f"ask.{self.action}", tagged=True) if rng.chance(0.85) else ""
        closer = self.say(f"{self.mood}.close") if mood_at in ("close", "both") else ""
        end = self.say("order.end") if place == "end" else ""

        first, second = [opener, about, core], [hurry, ask]
        (first if rng.chance(0.6) else second).extend(detail)
        second += [closer, end]
        body = [" ".join(x for x in part if x) for part in (first, second)]
        text = rng.pick(("\n", "\n\n", " ")).join(x for x in body if x)

        subject = self.say(f"subject.{self.category}.{self.situation}")
        head = f"Subject: {subject}\n" if place == "subject" or again or rng.chance(0.45) else ""
        greeting = self.say("greeting.angry" if self.mood == "angry" else "greeting") if rng.chance(0.85) else ""
        mail = head + (greeting + rng.pick(("\n", "\n\n")) if greeting else "") + text + "\n" + self.signature()
        if rng.chance(0.05):
            mail += "\n" + self.say("ps")
        if rng.chance(0.05):
            mail += f"\n\n{self.say('quote.head')}\n{self.say('quote')}"
        mail = self.careless(mail)
        if self.product and self.product not in mail:  # not every core and subject names it
            self.product = None
        return mail

    def signature(self):
        rng = self.rng
        name, company = self.say(f"sender.{self.country}").split("\n")
        bye = self.say(f"bye.{self.country}") if rng.chance(0.5) else rng.pick(("Regards", "Best regards", "Kind regards", "Thanks"))
        lines = [name if rng.chance(0.8) else name.split()[0]]
        if rng.chance(0.35):
            lines[0] += ", " + self.say("role")
        if rng.chance(0.5):
            lines.append(company)
        if rng.chance(0.15):
            lines.append(rng.pick(("Tel. ", "Phone ", "")) + self.words["phone"])
        return (f"{bye}{rng.pick((',', ''))}\n" if rng.chance(0.85) else "") + "\n".join(lines)

    def careless(self, mail):
        """Some people make mistakes, some write without capitals; names and numbers are left alone, for they are the labels."""
        kept = {x for x in (self.product, self.order) if x}
        if self.rng.chance(0.15):
            for _ in range(self.rng.between(1, 3)):
                right, wrong = self.rng.pick(TYPOS)
                changed = re.sub(rf"\b{right}\b", wrong, mail, count=1)
                if all(k in changed for k in kept):
                    mail = changed
        if self.rng.chance(0.07):
            mail = re.sub(rf"(?<=[.!?\n] )(?:{SENTENCE_STARTS})\b|(?<=\n)(?:{SENTENCE_STARTS})\b", lambda m: m[0].lower(), mail)
            mail = mail.replace(" I ", " i ").replace("I'm", "im")
        return mail

    def record(self):
        return {"category": self.category, "priority": self.priority, "product": self.product, "order": self.order,
                "sentiment": self.mood, "action": self.action}

    def key(self):
        """What must not be shared between train and test: the core, how it is urged and what is asked."""
        return tuple(a.where for a in self.g.trace if a.rule.startswith(("high.", "low.", "normal", "ask."))) + (self.core.where,)


def slots(nodes):
    """Names of the bound values that a text uses."""
    found = set()
    for node in nodes:
        if isinstance(node, list):
            for option in node:
                found |= slots(option)
        elif isinstance(node, tuple):
            found.add(node[2])
    return found


def make_part(part, size, grammar, rng, taken):
    """-> rows, and how many of them have any held-out fragment, a held-out core, a held-out product."""
    rows, fresh, seen = [], [0, 0, 0], set()
    test = part == "test"
    while len(rows) < size:
        category = CATEGORIES[len(rows) % len(CATEGORIES)]
        situations = [s for s in SCENARIOS if s[0] == category]
        turn = len(rows) // len(CATEGORIES)
        mail = Mail(grammar, rng, situations[turn % len(situations)], test and turn // len(situations) % 2 == 0,
                    test and rng.chance(0.25), "also" if test else "never")
        prompt = mail.make()
        fingerprint = re.sub(r"[\W\d_]+", " ", prompt)
        if fingerprint in seen or (test and mail.key() in taken) or not 25 <= len(prompt.split()) <= 150:
            continue
        seen.add(fingerprint)
        if not test:
            taken.add(mail.key())
        kept_product = any(mail.product in kept for _, _, kept in KINDS.values())
        for i, is_fresh in enumerate((any(a.held for a in grammar.trace) or kept_product, mail.core.held, kept_product)):
            fresh[i] += is_fresh
        rows.append({"prompt": prompt + CUE, "completion": json.dumps(mail.record(), ensure_ascii=False, separators=(",", ":"))})
    rng.shuffle(rows)
    return rows, fresh


def main():
    check = sys.argv[1:] == ["--check"]
    if sys.argv[1:] and not check:
        raise SystemExit(__doc__)
    grammar, rng, taken, differ = Grammar(os.path.join(FOLDER, "fragments.txt")), Rng(SEED), set(), []
    for part, size in SIZES:
        rows, fresh = make_part(part, size, grammar, rng, taken)
        text = "".join(json.dumps(r, ensure_ascii=False) + "\n" for r in rows)
        path = os.path.join(FOLDER, part + ".jsonl")
        if check:
            with open(path, encoding="utf-8") as f:
                differ += [path] if f.read() != text else []
        else:
            with open(path, "w", encoding="utf-8", newline="\n") as f:
                f.write(text)
        print(f"{part}: {len(rows)} rows, {len(text.encode())} bytes, {fresh[0]} with something held out: "
              f"{fresh[1]} a core, {fresh[2]} a product")
        for field in ("category", "priority", "sentiment", "action"):
            counts = collections.Counter(json.loads(r["completion"])[field] for r in rows)
            print(f"  {field}: " + ", ".join(f"{k} {n}" for k, n in counts.most_common()))
        for field in ("product", "order"):
            print(f"  {field}: {sum(json.loads(r['completion'])[field] is None for r in rows)} null")
    if differ:
        raise SystemExit("not as this program writes them: " + ", ".join(differ))


if __name__ == "__main__":
    main()
