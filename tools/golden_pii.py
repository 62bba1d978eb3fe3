#!/usr/bin/env python3
"""Makes tests/prep/golden/pii_ids.txt with python-stdnum 2.2: numbers of authorities, valid ones and the same with a character changed.

  golden_pii.py FILE

A line is "rule valid number": the rule of src/prep/pii_id.c, 1 or 0 by python-stdnum, the number in its compact form.
"""
import importlib
import random
import string
import sys

# rule, module of stdnum, shape: 9 digit, A letter, other characters stand for themselves
RULES = [("de-tax-id", "de.idnr", "99999999999"), ("de-vat", "de.vat", "DE999999999"), ("at-social", "at.vnr", "9999999999"), ("ch-ahv", "ch.ssn", "756.9999.9999.99"),
         ("fr-nir", "fr.nir", "999999999999999"), ("fr-siren", "fr.siren", "999999999"), ("es-dni", "es.dni", "99999999A"), ("es-nie", "es.nie", "X9999999A"),
         ("it-code", "it.codicefiscale", "AAAAAA99A99A999A"), ("nl-bsn", "nl.bsn", "999999999"), ("be-national", "be.nn", "99999999999"),
         ("pl-pesel", "pl.pesel", "99999999999"), ("pl-nip", "pl.nip", "9999999999"), ("se-person", "se.personnummer", "999999-9999"), ("fi-hetu", "fi.hetu", "999999-999A"),
         ("no-person", "no.fodselsnummer", "99999999999"), ("uk-nhs", "gb.nhs", "9999999999"), ("us-ssn", "us.ssn", "999-99-9999"), ("us-itin", "us.itin", "999-99-9999"),
         ("pt-nif", "pt.nif", "999999999"), ("ie-pps", "ie.pps", "9999999AA"), ("cz-birth", "cz.rc", "999999/9999"), ("ro-cnp", "ro.cnp", "9999999999999"),
         ("bg-egn", "bg.egn", "9999999999"), ("hr-oib", "hr.oib", "99999999999"), ("ee-code", "ee.ik", "99999999999"), ("br-cpf", "br.cpf", "999.999.999-99"),
         ("ca-sin", "ca.sin", "999999999")]
# what the rules of hone leave out on purpose, or take in, where the package does not
SKIP = {"fr-nir": lambda s: s[0] not in "12", "it-code": lambda s: s[6:8].isalpha(), "ie-pps": lambda s: s[-1] not in "ABCDEFGHIW",
        "fi-hetu": lambda s: False}


def number(rng, shape, rule):
    s = "".join(rng.choice(string.digits) if c == "9" else rng.choice(string.ascii_uppercase) if c == "A" else c for c in shape)
    day, month, year = rng.randint(1, 28), rng.randint(1, 12), rng.randint(40, 99)
    date = {"pl-pesel": f"{year:02d}{month:02d}{day:02d}", "se-person": f"{year:02d}{month:02d}{day:02d}", "fi-hetu": f"{day:02d}{month:02d}{year:02d}",
            "no-person": f"{day:02d}{month:02d}{year:02d}", "cz-birth": f"{rng.randint(54, 99):02d}{month:02d}{day:02d}", "bg-egn": f"{year:02d}{month:02d}{day:02d}",
            "be-national": f"{year:02d}{month:02d}{day:02d}"}.get(rule)
    if date:
        s = date + s[6:]
    if rule in ("ro-cnp", "ee-code"):
        s = ("1" if rule == "ro-cnp" else "3") + f"{year:02d}{month:02d}{day:02d}" + s[7:]
        if rule == "ro-cnp":
            s = s[:7] + f"{rng.randint(1, 46):02d}" + s[9:]
    if rule == "at-social":
        s = s[:4] + f"{day:02d}{month:02d}{year:02d}"
    if rule == "fr-nir":
        s = rng.choice("12") + f"{year:02d}{month:02d}{rng.randint(1, 95):02d}" + s[7:]
    if rule == "it-code":
        s = s[:6] + f"{year:02d}" + rng.choice("ABCDEHLMPRST") + f"{day:02d}" + s[11:]
    return s


def main():
    lines = []
    for rule, module, shape in RULES:
        check = importlib.import_module("stdnum." + module).is_valid
        rng = random.Random(rule)
        want, tries = 25, 0
        while want and tries < 400000:
            s = number(rng, shape, rule)
            tries += 1
            if not check(s) or SKIP.get(rule, lambda _: False)(s):
                continue
            want -= 1
            lines.append(f"{rule} 1 {s}")
            for at in rng.sample([i for i, c in enumerate(s) if c.isdigit()], 3):
                near = s[:at] + str((int(s[at]) + 1) % 10) + s[at + 1:]
                if not SKIP.get(rule, lambda _: False)(near):
                    lines.append(f"{rule} {int(check(near))} {near}")
        print(rule, "missing" if want else "ok", want, file=sys.stderr)
    with open(sys.argv[1], "w", encoding="ascii") as f:
        f.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
