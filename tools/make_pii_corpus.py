#!/usr/bin/env python3
"""Plants personal data in running text of eight languages and counts what the scan misses.

  make_pii_corpus.py PROGRAM [ROWS]      (pip install faker==40.63.0; PROGRAM is build/tests/pii_driver)

Valid IBANs, card numbers and e-mail addresses must all be found, with their kind and their exact place; the others are told as a share. Exits with 1
when one of the three is missed. Rows come from a fixed seed.
"""
import collections
import json
import random
import subprocess
import sys
import tempfile

from faker import Faker

LOCALES = ["de_DE", "en_US", "fr_FR", "es_ES", "it_IT", "nl_NL", "pl_PL", "sv_SE"]
FRAMES = {
    "de_DE": ["Bitte überweisen Sie den Betrag auf {iban}, nicht auf das alte Konto.", "Meine Karte {card} wurde gestohlen!", "Schreiben Sie mir an {email}.", "Sie erreichen mich unter {phone}.",
              "Sehr geehrte Frau {last}, anbei die Unterlagen.", "Mit freundlichen Grüßen\n{name}", "Ich wohne in {address}"],
    "en_US": ["Please pay to {iban} by Friday.", "My card ({card}) was declined twice.", "Contact: {email}; thanks", "Call me at {phone} tonight.", "Dear Ms {last}, thank you.",
              "Best regards,\n{name}", "I live at {address}"],
    "fr_FR": ["Merci de virer la somme sur {iban} avant lundi.", "Ma carte {card} a été volée.", "Mon adresse est {email}, merci.", "Appelez-moi au {phone}.", "Chère Madame {last},\nvoici",
              "Cordialement,\n{name}", "J'habite au {address}"],
    "es_ES": ["Haga la transferencia a {iban}, por favor.", "He perdido mi tarjeta {card}.", "Escríbame a <{email}>", "Mi móvil es {phone}.", "Estimada señora {last}:\n",
              "Un saludo,\n{name}", "Vivo en {address}"],
    "it_IT": ["Bonifico su {iban} entro domani.", "La mia carta {card} non funziona.", "Scrivete a {email}!", "Il mio cellulare è {phone}.", "Gentile Signora {last}, grazie.",
              "Cordiali saluti\n{name}", "Abito in {address}"],
    "nl_NL": ["Maak het over naar {iban}.", "Mijn kaart {card} is kwijt.", "Mail naar {email} graag.", "Bel mij op {phone}.", "Geachte mevrouw {last}, bedankt.", "Met vriendelijke groet,\n{name}",
              "Ik woon op {address}"],
    "pl_PL": ["Proszę o przelew na {iban}.", "Zgubiłem kartę {card}.", "Mój adres: {email}", "Mój numer telefonu to {phone}.", "Szanowna Pani {last}, dziękuję.", "Z poważaniem,\n{name}",
              "Mieszkam przy {address}"],
    "sv_SE": ["Betala till {iban} senast fredag.", "Mitt kort {card} fungerar inte.", "Skriv till {email}.", "Ring mig på telefon {phone}.", "Hej {last}, tack!", "Vänliga hälsningar\n{name}",
              "Jag bor på {address}"],
}
KINDS = {"iban": "iban", "card": "card", "email": "email", "phone": "phone", "last": "person", "name": "person", "address": "address"}
MUST = {"iban", "card", "email"}


def spaced(rng, s, sep):
    return sep.join(s[i:i + 4] for i in range(0, len(s), 4)) if rng.random() < 0.6 else s


def value(rng, fake, field):
    if field == "iban":
        return spaced(rng, fake.iban(), rng.choice([" ", " ", "\u00a0", "-"]))
    if field == "card":
        s = fake.credit_card_number()
        return spaced(rng, s, rng.choice([" ", "-"])) if len(s) == 16 else s
    if field == "email":
        return rng.choice([fake.email, fake.company_email, fake.free_email])()
    if field == "phone":
        return fake.phone_number()
    if field == "last":
        return fake.last_name()
    if field == "name":
        return f"{fake.first_name()} {fake.last_name()}"
    return fake.address()


def main():
    program, rows = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 24000
    rng = random.Random(7)
    fakes = {locale: Faker(locale) for locale in LOCALES}
    Faker.seed(7)
    texts, planted = [], []
    for k in range(rows):
        locale = LOCALES[k % len(LOCALES)]
        frame = FRAMES[locale][k // len(LOCALES) % 7]
        field = frame[frame.index("{") + 1:frame.index("}")]
        v = value(rng, fakes[locale], field)
        begin = frame.index("{")
        texts.append(frame.replace("{" + field + "}", v))
        planted.append((field, locale, begin, begin + len(v), v))
    with tempfile.NamedTemporaryFile("w", suffix=".jsonl", encoding="utf-8") as f:
        for t in texts:
            f.write(json.dumps({"text": t}) + "\n")
        f.flush()
        found = [json.loads(x) for x in subprocess.run([program, "spans", f.name], check=True, capture_output=True, text=True).stdout.splitlines()]
    total, missed, example = collections.Counter(), collections.Counter(), {}
    for spans, (field, locale, b, e, v), text in zip(found, planted, texts):
        total[field, locale] += 1
        kinds = [s for s in spans if s[2] == KINDS[field]]
        hit = any(s[0] == b and s[1] == e for s in kinds) if field in MUST else any(s[0] < e and s[1] > b and min(s[1], e) - max(s[0], b) >= (e - b) / 2 for s in kinds)
        if not hit:
            missed[field, locale] += 1
            example[field, locale] = v
    for field in KINDS:
        line = [f"{locale} {missed[field, locale]}/{total[field, locale]}" for locale in LOCALES]
        print(f"{field:8} missed {sum(missed[field, x] for x in LOCALES)} of {sum(total[field, x] for x in LOCALES)}:  " + "  ".join(line))
        for locale in LOCALES:
            if (field, locale) in example:
                print(f"         {locale}: {example[field, locale]!r}")
    return any(missed[f, x] for f in MUST for x in LOCALES)


if __name__ == "__main__":
    sys.exit(main())
