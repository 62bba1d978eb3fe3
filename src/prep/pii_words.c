/* pii_words.c - one open-addressing table of all names, keyed by the word in lower case; and lists to pick from.
 * Invariant: a word that stands in several tables has the bits of all of them. The rows of the tables are made by tools/make_names.py; words that
 * belong to no name stand here. */
#include "base/hash.h"
#include "base/mem.h"
#include "base/vec.h"
#include "prep/pii_int.h"

#include "prep/pii_family.inc"
#include "prep/pii_given.inc"
#include "prep/pii_places.inc"

/* Words with a capital that follow or precede names without being part of them. */
static const char *const stop_words[] = {
    "The|This|Edit|That|These|Those|And|But|For|With|From|Your|Our|His|Her|Its|Their|What|When|Where|Which|Who|Why|How|There|Here|Then|Please|"
    "Thanks|Thank",
    "World|Everyone|Everybody|Folks|Guys|There|Friends|Zusammen|Could|Would|Should|Can|Does|Did|Has|Have|Had|Was|Were|Are|Yes|Not|After|Before|"
    "Since|Until|If|In|On|At|To|Of|By|My|He|She|We|They|It|As|So|No|Or",
    "Der|Die|Das|Den|Dem|Des|Ein|Eine|Und|Oder|Mit|Von|Vom|Für|Auf|Aus|Bei|Bitte|Danke|Wir|Sie|Ich|Ihr|Ihre|Unser|Unsere|Wann|Wer|Wie|Was|Wo|Nach|Seit",
    "Le|La|Les|Un|Une|Et|Avec|Pour|Dans|Sur|Nous|Vous|Il|Elle|Je|Merci|El|Los|Las|Por|Con|Para|Una|Gracias|Gli|Dal|Della|Grazie|Het|Een|En|Voor|Bij",
    "Monday|Tuesday|Wednesday|Thursday|Friday|Saturday|Sunday|January|February|April|May|June|July|August|September|October|November|December",
    "Montag|Dienstag|Mittwoch|Donnerstag|Freitag|Samstag|Sonntag|Januar|Februar|März|Mai|Juni|Juli|Oktober|Dezember|Lundi|Mardi|Mercredi|Jeudi|"
    "Vendredi",
    "GmbH|AG|KG|OHG|SE|Inc|Ltd|LLC|LLP|Corp|Corporation|Company|Group|Bank|University|Universität|Institute|Institut|School|College|Hospital|Klinik|SA",
    "SARL|SAS|SpA|Srl|BV|NV|Oy|AB|AS|Team|Support|Service|Department|Abteilung|Sir|Madam|Customer|Kunde|Damen|Herren|Street|Road|Avenue|Email|"
    "Phone|Tel",
};

/* A title may end in a dot. */
static const char *const titles[] = {
    "Aunt|Avv|Capt|Captain|Dhr|Dipl|Direktor|Docteur|Doctor|Doktor|Don|Dott|Dottor|Dottoressa|Doña|Dr|Frau|Frk|Fru|Fräulein|Heer|Herr|Herrn|Hr",
    "Ing|Judge|Lady|Lord|Madame|Mademoiselle|Mag|Maître|Meneer|Mevr|Mevrouw|Miss|Mlle|Mme|Monsieur|Mr|Mrs|Ms|Mx|Onkel|Pan|Pana|Pani|Panie|Prof",
    "Professor|Rektor|Rev|Senator|Señor|Señora|Señorita|Sig|Signor|Signora|Signore|Sir|Sr|Sra|Srta|Tante|Uncle",
};

static const char *const greetings[] = {
    "Beste|Bonjour|Cara|Caro|Cher|Chère|Ciao|Cześć|Dag|Danke|Dear|Droga|Drogi|Estimada|Estimado|Geachte|Gentile|Gracias|Grazie|Hallo|Hei|Hej",
    "Hello|Hey|Hi|Hoi|Hola|Kjære|Kära|Kære|Liebe|Lieber|Merci|Moi|Moin|Olá|Querida|Querido|Salut|Servus|Szanowna|Szanowny|Thanks",
};

static const char *const particles[] = {
    "af|al|av|bin|da|das|de|del|della|dem|den|der|des|di|do|dos|du|e|el|i|ibn|la|le|ten|ter|van|vom|von|y|zu|zum|zur",
};

static const char *const things[] = {
    "AG|Airport|Allee|Ave|Avenue|Bank|Blvd|Boulevard|Company|Corp|Corporation|Court|Drive|Gasse|GmbH|Group|Gymnasium|Hospital|Hotel|Inc|Institut",
    "Institute|KG|LLC|LLP|Lane|Ltd|Museum|OHG|Park|Platz|Rd|Road|School|Schule|Square|St|Stadion|Str|Strasse|Straße|Street|University|Universität",
    "Way|Weg",
};

/* What is sold and used under a name: "Walker Card", "Emma Matratze". */
static const char *const wares[] = {
    "Account|Album|App|Bag|Bar|Bed|Bike|Bond|Boots|Box|Bundle|Cable|Camera|Cap|Capital|Card|Cards|Chair|Charger|Checking|Club|Coat|Collection|Credit|Debit|Deluxe",
    "Desk|Display|Dress|Edition|Effect|Engine|Fund|Game|Gift|Glasses|Headphones|Insurance|Jacket|Jeans|Keyboard|Lamp|Laptop|Line|Lite|Loan|Lounge|Machine|Mattress",
    "Max|Method|Mini|Model|Monitor|Mortgage|Mug|Original|Package|Pen|Phone|Pillow|Plan|Player|Plus|Policy|Portal|Premium|Printer|Pro|Program|Programme|Project",
    "Protocol|Range|Rewards|Router|Savings|Screen|Series|Shirt|Shoes|Sofa|Software|Speaker|Standard|Subscription|Suite|System|Table|Tablet|Theorem|Theme|Tool",
    "Toolkit|Ultra|Voucher|Wallet|Watch|Wear",
    "Angebot|Anhänger|Bett|Drucker|Formel|Gerät|Hose|Jacke|Kamera|Karte|Kaffeemaschine|Kleid|Kollektion|Konto|Lampe|Lautsprecher|Linie|Matratze|Modell|Paket|Produkt",
    "Programm|Reihe|Satz|Schrank|Schuhe|Serie|Sessel|Software|Stuhl|Tarif|Tasche|Tisch|Uhr|Verfahren|Vertrag|Waschmaschine",
    "Carte|Collection|Forfait|Gamme|Offre|Compte|Canapé|Lampe|Robe|Montre|Carta|Collezione|Conto|Divano|Linea|Piano|Offerta|Tarjeta|Cuenta|Colección|Oferta|Línea",
    "Kaart|Collectie|Rekening|Bank|Stoel|Lijn|Karta|Konto|Kolekcja|Oferta|Seria",
};

/* Makes and machines with the name of a person, and a few models that are read as one. */
static const char *const brands[] = {
    "Adidas|Alexa|Armani|Audi|Austin|Bentley|Bosch|Boss|Braun|Bugatti|Cadillac|Canon|Chanel|Chevrolet|Chrysler|Citroen|Citroën|Cortana|Dacia|Daimler|Dell|Dior|Dodge",
    "Dyson|Ferrari|Fiat|Ford|Garmin|Gillette|Grundig|Gucci|Haribo|Heinz|Honda|Hyundai|Jaguar|Jenkins|Kawasaki|Kellogg|Kia|Lamborghini|Lancia|Lenovo|Levi|Liebherr",
    "Lincoln|Lindt|Makita|Martini|Maserati|Maytag|Mazda|Mercedes|Michelin|Miele|Milka|Mitsubishi|Nestlé|Nikon|Nissan|Opel|Peugeot|Philips|Porsche|Prada|Pirelli|Puma",
    "Renault|Rover|Royce|Saab|Samsung|Seat|Siemens|Siri|Skoda|Subaru|Suzuki|Tesla|Toyota|Vespa|Volvo|Yamaha|Zara",
};

/* Names that are words of the languages, too, beside those that the tables mark themselves. Gathered by their use in small letters in translated programs. */
static const char *const ordinary[] = {
    "Alfa|Alpha|Alta|Andra|Ange|Ante|Antal|Arch|Art|Aura|Avril|Abril|Azul|Bail|Bara|Barre|Basa|Beste|Bent|Beta|Blank|Block|Branch|Brett|Buena|Canal|Cap|Cara|Card|Case",
    "Cases|Char|Cherry|Cross|Cure|Dalla|Dash|Dass|Deb|Deja|Del|Delle|Dell|Dessa|Día|Doc|Dock|Door|Edit|Edita|Ela|Elif|Elige|Ella|Eller|Emit|Enda|English|Era|Esa|Esta",
    "Este|Estes|Ether|Evita|Fair|Fem|Felder|Fields|Focus|Font|Fresh|Fuente|Fügen|Geo|Grab|Grund|Handler|Handy|Harte|Haven|Hay|Held|Hence|Holder|Hook|Hung|Inta",
    "Isla|Junk|Justo|Kader|Keer|Kinder|Korte|Kroon|Langer|Leone|Leta|Letta|Leva|Levar|Lies|Lijn|Link|Linke|Lone|Lundi|Magic|Malen|Manca|Manda|Manus|Marks|Marshal|Master",
    "Math|Máximo|Máxima|Mayo|Mesa|Meta|Minor|Mist|Misti|Moet|Moon|Mörk|Munda|Nell|Nella|Nelle|Nello|Neo|Nya|Oddly|Office|Om|Org|Oude|Over|Över|Pages|Parts|Pass",
    "Peer|Pop|Powers|Press|Reader|Rein|Reiter|Repo|Roll|Roma|Roots|Rossa|Ruta|Sai|Said|Salud|Sane|Sauber|Segundo|Segura|Sep|Sim|Sina|Skip|Skugga|Solo|Stack|Steuer",
    "Watt|Kelvin|Pascal|Newton|Joule|Hertz|Ohm|Tesla|Celsius|Volt|Ampere|Lumen|Lux|Linde",
    "Styr|Sunder|Sunny|Tal|Tecla|Tera|Tierra|Tilde|Till|Tiny|Toma|Tone|Toner|Tract|Uma|Unknown|Vara|Velden|Vere|Vero|Versa|Versie|Vid|Vida|Visar|Weeks|Wel|Werd|Worth|Zwart",
};

/* Streets: Via Roma 12, Calle de Alcalá 5; 12 Baker Street. */
static const char *const fronts[] = {
    "barrio|bulwar|campo|canale|carretera|cité|contrà|corte|ctra|esplanade|faubourg|fondamenta|frazione|galleria|hameau|incrocio|località|lotissement|lungarno",
    "lungomare|os|osiedle|parque|partida|passage|polígono|praceta|promenade|résidence|rondo|sector|sentier|skwer|square|stretto|travesía|traversa|vereda|vicoletto|villa",
    "borgo|strada|contrada|piazzetta|rotonda|salita|cañada|acceso|alameda|rambla|urbanización|callejón|vial|pasadizo|cuesta|pasaje|camino|c|avda|av|lungo",
    "al|aleja|allée|avda|avenida|avenue|boulevard|bulevardul|calle|carrera|chemin|corso|cours|glorieta|impasse|largo|paseo|piazza|pl|plac|place",
    "plaza|praça|quai|ronda|route|rua|rue|straat|strada|travessa|ul|ulica|via|viale|vicolo",
};

static const char *const links[] = {
    "de|del|della|dei|di|da|do|du|des|la|las|los|le|les|san|l|d|à|aux|au|saint|sainte|bis|ter|rue|avenue|boulevard",
};

static const char *const behind[] = {
    "alley|ave|avenue|blvd|boulevard|cir|circle|close|court|crescent|ct|dr|drive|expressway|freeway|gardens|grove|highway|hill|hwy|lane|ln|loop",
    "mews|parkway|pkwy|pl|place|plaza|rd|road|row|sq|square|st|street|terrace|throughway|trail|turnpike|walk|way",
};

static const char *const behind_rare[] = {
    "annex|arcade|bayou|beach|bend|bluff|branch|bridge|brook|brooks|burg|bypass|camp|canyon|cape|causeway|center|cliff|club|common|corner|corners",
    "course|cove|creek|crest|crossing|curve|dale|dam|divide|drives|estate|estates|extension|fall|falls|ferry|field|fields|flat|flats|ford|forest",
    "forge|fork|fort|garden|gateway|glen|green|harbor|haven|heights|hills|hollow|inlet|island|isle|junction|key|knoll|lake|land|lights|lodge|mall",
    "manor|meadow|mill|mission|motorway|mount|neck|orchard|oval|overpass|park|pass|passage|path|pike|pine|plain|point|port|ports|prairie|radial",
    "ranch|rapid|rest|ridge|run|shoal|shore|spring|spur|squares|stravenue|stream|summit|ter|trace|track|union|valley|viaduct|view|village",
    "villages|ville|vista|well|wells",
};

typedef struct Entry { const char *p; uint32_t n, flags; } Entry;
typedef VEC(Str) Names;

struct PiiWords {
    Entry   *slot;          /* 1 << bits, n == 0: free */
    int      bits;
    char    *folded;        /* the keys */
    uint8_t  given[16384];   /* a set of bits by given_bit */
    Names    female, male, both, family, city, country;
};

/* Lower case of a word by the letters that occur in names of Latin script: ASCII, U+00C0..00DE, U+0100..017F. Same length. Returns its hash. */
static uint64_t fold(char *to, Str s)
{
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i], before = i ? (unsigned char)s.p[i - 1] : 0;
        if (c >= 'A' && c <= 'Z')
            c = (unsigned char)(c + 32);
        else if (before == 0xC3 && c >= 0x80 && c <= 0x9E && c != 0x97)
            c = (unsigned char)(c + 32);
        else if ((before == 0xC4 && c >= 0x80) || (before == 0xC5 && c >= 0x80)) {
            const unsigned cp = (before & 31u) << 6 | (c & 63u);
            const bool odd_is_upper = (cp >= 0x139 && cp <= 0x148) || (cp >= 0x179 && cp <= 0x17E);
            /* U+0130, the dotted capital I, U+0138 and U+0149 have no lower-case partner of the same length, U+0178 none near by */
            if (cp != 0x130 && cp != 0x138 && cp != 0x149 && cp != 0x178 && cp < 0x17F && (cp & 1) == (odd_is_upper ? 1u : 0u) && (c & 63) != 63)
                c = (unsigned char)(c + 1);
        }
        to[i] = (char)c;
    }
    return hash64(to, s.n);
}

static size_t given_bit(const char *p, size_t n)
{
    const uint32_t three = (uint32_t)(unsigned char)p[0] | (uint32_t)(unsigned char)p[1] << 8 | (uint32_t)(unsigned char)p[2] << 16;
    const uint32_t rest = (uint32_t)(unsigned char)p[n - 1] | (uint32_t)n << 8;
    return (three * 2654435761u + rest * 2246822519u) >> 15; /* multiplicative hashes (Knuth, TAOCP 3, 6.4); 17 bits */
}

bool pii_words_may_be_given(const PiiWords *w, const char *p, size_t n)
{
    const size_t bit = given_bit(p, n);
    return w->given[bit / 8] >> bit % 8 & 1;
}

static Entry *place_of(const PiiWords *w, const char *key, size_t n, uint64_t hash)
{
    const size_t mask = ((size_t)1 << w->bits) - 1;
    size_t at = (size_t)(hash ^ hash >> 32) & mask;
    while (w->slot[at].n && (w->slot[at].n != n || memcmp(w->slot[at].p, key, n) != 0))
        at = (at + 1) & mask;
    return &w->slot[at];
}

static void put(PiiWords *w, char **room, Str word, unsigned flags)
{
    if (!word.n || word.n > PII_WORD_MAX)
        return;
    Entry *x = place_of(w, *room, word.n, fold(*room, word));
    if (flags & WORD_GIVEN && word.n > 2) {
        const size_t bit = given_bit(*room, word.n);
        w->given[bit / 8] = (uint8_t)(w->given[bit / 8] | 1u << bit % 8);
    }
    if (!x->n) {
        *x = (Entry){ *room, (uint32_t)word.n, 0 };
        *room += word.n;
    }
    x->flags |= flags;
}

static const struct { const char *const *row; size_t rows; unsigned flags; size_t list; } tables[] = {
    { given_female,  ARRAY_LEN(given_female),  WORD_FEMALE,  offsetof(PiiWords, female) },
    { given_male,    ARRAY_LEN(given_male),    WORD_MALE,    offsetof(PiiWords, male) },
    { given_both,    ARRAY_LEN(given_both),    WORD_GIVEN,   offsetof(PiiWords, both) },
    { family_names,  ARRAY_LEN(family_names),  WORD_FAMILY,  offsetof(PiiWords, family) },
    { city_names,    ARRAY_LEN(city_names),    WORD_CITY,    offsetof(PiiWords, city) },
    { country_names, ARRAY_LEN(country_names), WORD_COUNTRY, offsetof(PiiWords, country) },
    { stop_words,    ARRAY_LEN(stop_words),    WORD_STOP,    0 },
    { titles,        ARRAY_LEN(titles),        WORD_TITLE,   0 },
    { greetings,     ARRAY_LEN(greetings),     WORD_GREETING, 0 },
    { particles,     ARRAY_LEN(particles),     WORD_PARTICLE, 0 },
    { things,        ARRAY_LEN(things),        WORD_THING,   0 },
    { wares,         ARRAY_LEN(wares),         WORD_WARE,    0 },
    { brands,        ARRAY_LEN(brands),        WORD_BRAND,   0 },
    { ordinary,      ARRAY_LEN(ordinary),      WORD_PLAIN,   0 },
    { fronts,        ARRAY_LEN(fronts),        WORD_FRONT,   0 },
    { links,         ARRAY_LEN(links),         WORD_LINK,    0 },
    { behind,        ARRAY_LEN(behind),        WORD_BEHIND,  0 },
    { behind_rare,   ARRAY_LEN(behind_rare),   WORD_BEHIND_RARE, 0 },
};

/* One name of a row; false at its end. */
static bool next_name(const char **row, Str *name, bool *plain)
{
    if (!**row)
        return false;
    *plain = **row == '~';
    const char *begin = *row + *plain, *bar = strchr(begin, '|');
    *name = bar ? (Str){ begin, (size_t)(bar - begin) } : str_of(begin);
    *row = bar ? bar + 1 : begin + name->n;
    return true;
}

PiiWords *pii_words_new(void)
{
    PiiWords *w = mem_zalloc(1, sizeof *w);
    size_t bytes = 0, count = 0;
    for (size_t t = 0; t < ARRAY_LEN(tables); t++)
        for (size_t r = 0; r < tables[t].rows; r++)
            for (const char *c = tables[t].row[r]; bytes++, *c; c++)
                count += *c == '|' || c[1] == 0 || *c == ' ';
    for (w->bits = 10; (size_t)1 << w->bits < 2 * count; )
        w->bits++;
    w->slot = mem_zalloc((size_t)1 << w->bits, sizeof *w->slot);
    w->folded = mem_alloc(2 * bytes + PII_WORD_MAX); /* twice: the first words of places are keys too */
    char *room = w->folded;
    for (size_t t = 0; t < ARRAY_LEN(tables); t++)
        for (size_t r = 0; r < tables[t].rows; r++) {
            const char *row = tables[t].row[r];
            Str name;
            for (bool plain; next_name(&row, &name, &plain); ) {
                put(w, &room, name, tables[t].flags | (plain ? WORD_PLAIN : 0));
                const char *blank = memchr(name.p, ' ', name.n);
                const char *dash = memchr(name.p, '-', name.n), *cut = blank && (!dash || blank < dash) ? blank : dash;
                if (cut && tables[t].flags & WORD_PLACE)
                    put(w, &room, (Str){ name.p, (size_t)(cut - name.p) }, WORD_PART);
                if (tables[t].list && !plain)
                    *vec_push((Names *)(void *)((char *)w + tables[t].list)) = name;
            }
        }
    return w;
}

void pii_words_free(PiiWords *w)
{
    if (!w)
        return;
    free(w->slot);
    free(w->folded);
    for (size_t t = 0; t < ARRAY_LEN(tables); t++)
        if (tables[t].list)
            vec_release((Names *)(void *)((char *)w + tables[t].list));
    free(w);
}

unsigned pii_words_find(const PiiWords *w, Str word)
{
    char key[PII_WORD_MAX];
    if (!word.n || word.n > sizeof key)
        return 0;
    const uint64_t hash = fold(key, word);
    return place_of(w, key, word.n, hash)->flags;
}

size_t pii_words_place(const PiiWords *w, const char *p, size_t n, size_t *len, unsigned *flags)
{
    size_t end = pii_word_end(p, n, 0), best = 0;
    for (size_t words = 1; words <= 5 && end <= PII_WORD_MAX; words++) {
        const unsigned f = pii_words_find(w, (Str){ p, end });
        if (f & WORD_PLACE) {
            best = words;
            *len = end;
            *flags = f;
        }
        if (words == 1 && !(f & WORD_PART))
            break;
        if (end + 1 >= n || !(p[end] == ' ' || p[end] == '-' || p[end] == '\'') || !pii_word_char(p, n, end + 1))
            break;
        end = pii_word_end(p, n, end + 1);
    }
    return best;
}

Str pii_words_pick(const PiiWords *w, unsigned kind, uint64_t number)
{
    const Names *l = kind == WORD_FEMALE ? &w->female : kind == WORD_MALE ? &w->male : kind == WORD_GIVEN ? &w->both : kind == WORD_CITY ? &w->city :
                     kind == WORD_COUNTRY ? &w->country : &w->family;
    return l->p[number % l->n];
}
