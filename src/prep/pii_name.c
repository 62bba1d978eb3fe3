/* pii_name.c - names of persons and of places.
 * Main struct: Chain, the words from one place on that could make one name. A person is believed by what stands around the chain (a title, a
 * greeting, a farewell, "my name is") or by the tables (a given name, then a family name or any capital); a place by its table alone.
 * Invariant: a chain is read once: words inside a name already found are not looked at again (PiiText.name_end).
 * To add a language: phrases below, words in pii_words.c. */
#include "prep/pii_int.h"

#define CHAIN_MAX 6

/* What a farewell or an introduction ends with, in small letters; "\n" stands for a line break, behind which commas and blanks may follow. */
static const char *const farewells[] = {
    "freundlichen grüßen", "freundlichen grüssen", "freundliche grüße", "freundliche grüsse", "freundlichem gruß", "viele grüße", "viele grüsse",
    "beste grüße", "liebe grüße",
    "beste grüsse", "herzliche grüße", "schöne grüße", "mfg", "lg", "vg", "hochachtungsvoll", "best regards", "kind regards", "regards",
    "sincerely", "yours truly", "best wishes",
    "yours faithfully", "cheers", "many thanks", "thank you", "thanks", "best", "love", "cordialement", "bien à vous", "salutations distinguées",
    "salutations", "amicalement",
    "saludos", "un saludo", "atentamente", "cordialmente", "saludos cordiales", "cordiali saluti", "distinti saluti", "saluti",
    "met vriendelijke groet", "vriendelijke groeten",
    "groetjes", "groeten", "hartelijke groet", "z poważaniem", "pozdrawiam", "pozdrowienia", "med vänlig hälsning", "vänliga hälsningar",
    "hälsningar", "venlig hilsen",
    "med venlig hilsen", "vennlig hilsen", "mvh", "ystävällisin terveisin", "com os melhores cumprimentos", "atenciosamente",
};
static const char *const introductions[] = {
    "names are", "ich bin", "mein name:", "name:", "name =", "vorname:", "nachname:", "customer:", "kunde:", "kundin:", "customer", "kunde",
    "kundin", "kunden", "client",
    "kontakt:", "contact:", "ansprechpartner:", "ansprechpartnerin:", "attn:", "z. hd.", "z.hd.", "c/o", "from:", "to:", "cc:", "von:", "an:",
    "signed:", "gez.", "unterschrift:",
    "nom:", "nom :", "nombre:", "nome:", "ik ben", "naam:", 
    "i'm", "i am", "this is", "called", "named", "genannt", "patient:", "patientin:", "patient", "employee", "mitarbeiter", "mitarbeiterin",
    "kollege", "kollegin", "colleague", "witness", "author:", "autor:", "geb.", "geborene", "née", "spoke with", "spoke to", "contact",
    "met with", "account holder",
    "cardholder", "inhaber:", "kontoinhaber:", "kontoinhaber", "holder:", "brother", "sister", "friend", "wife", "husband", "son", "daughter",
    "frau", "mann",
};
/* Behind these any word with a capital is a name. */
static const char *const namings[] = {
    "name is", "name's", "heiße", "heisse", "mein name ist", "je m'appelle", "m'appelle", "me llamo", "mi chiamo", "mijn naam is", "nazywam się",
    "mam na imię", "jag heter", "jeg hedder",
    "jeg heter", "chamo-me", "nimeni on",
};
/* How people say who they are. Also behind such words stands much else: only names of the tables count. */
static const char *const selves[] = {
    "its", "it's", "it\xE2\x80\x99s", "it is", "i am", "i'm", "i\xE2\x80\x99m", "im", "this is", "that's me", "speaking with", "speaking to", "my name", "name",
    "ich bin", "bin der", "bin die", "bin", "hier ist", "hier spricht", "es spricht", "spricht", "hier", "heisst", "heißt", "name ist", "wir sind",
    "je suis", "c'est", ("c\xE2\x80\x99" "est"), "moi c'est", "ici", "mon nom est", "nom est",
    "soy", "habla", "le habla", "aquí", "aqui", "mi nombre es", "nombre es",
    "sono", "qui", "parla", "il mio nome è", "nome è",
    "ik ben", "spreekt met", "hier is", "ik heet", "naam is", "jestem", "mówi", "tu", "z tej strony",
    "jag är", "här är", "jeg er", "det er", "minä olen", "olen", "sou", "sou o", "sou a", "meu nome é", "aqui é", "fala",
};
/* Before the name of who signs a letter for another. */
static const char *const signed_for[] = {
    "i.a", "i. a", "i.v", "i. v", "ppa", "pp", "p.p", "p.o", "p. o", "per pro", "im auftrag", "in vertretung", "namens",
};
static const char *const hails[] = {
    "hi", "hello", "hey", "hiya", "hallo", "hej", "hei", "hoi", "hola", "ciao", "salut", "bonjour", "moin", "servus", "dear", "liebe", "lieber", "cześć", "czesc", "olá",
    "beste", "cher", "chère", "caro", "cara", "querido", "querida", "guten tag", "guten morgen", "guten abend", "schönen guten tag", "grüß gott", "grüezi", "sehr geehrte",
    "sehr geehrter", "werte", "werter", "good morning", "good afternoon", "good evening", "good day", "buongiorno", "buenos días", "buenas tardes", "goedemorgen", "goedemiddag",
    "dzień dobry",
};
static const char *const before_code[] = {
    "zip:", "zip code:", "zip code is", "zip is", "zip code", "postcode:", "postcode is", "postcode", "postal code:", "postal code is", "plz:",
    "plz", "postleitzahl:", "postleitzahl",
    "postleitzahl ist", "code postal:", "code postal", "código postal:", "código postal", "cap:", "kod pocztowy:", "postnummer:", "postcode:",
};
static const char *const before_box[] = {
    "p.o. box", "po box", "p. o. box", "box no.", "postfach", "postfach nr.", "postbus", "boîte postale", "b.p.", "casella postale", "c.p.", "apartado de correos", "apdo.",
    "apartado", "skrytka pocztowa", "skr. poczt.", "postboks", "caixa postal",
};
/* Titles in small letters, as Romance languages, Dutch and Polish write them inside a sentence. */
static const char *const small_titles[] = {
    "señora", "señor", "señorita", "sr.", "sra.", "don", "doña", "mevrouw", "meneer", "heer", "dhr.", "mevr.", "monsieur", "madame",
    "mademoiselle", "maître", "signora", "signor",
    "signorina", "dottor", "dottoressa", "sig.", "pani", "pan", "pana", "panem", "panią", "fru", "herr", "senhor", "senhora", "ms.", "mr.",
    "mrs.", "ms", "mr", "mrs", "dr.",
};
static const char *const place_before[] = { "in", "aus", "from", "nach", "bei", "à", "en", "near", "to", "city of", "stadt", "w", "z", "te",
    "uit", "naar", "i", "från", "till",
                                            "a", "da", "di", "live in", "lives in", "at", "born in", "visit", "visiting", "um", "around" };

enum { TITLE = 1, GREETING = 2, INITIAL = 4, PARTICLE = 8, CAPITAL = 16, SHOUTED = 32 /* capitals only */ };

typedef struct Chain {
    size_t   begin[CHAIN_MAX], end[CHAIN_MAX];
    unsigned what[CHAIN_MAX], words[CHAIN_MAX];
    size_t   n;
} Chain;

static const struct { const char *const *row; size_t rows; const char *skip; } phrases[PII_PHRASES] = {
    [PII_FAREWELL]     = { farewells, ARRAY_LEN(farewells), " \t\r\n,.!-" },
    [PII_INTRODUCTION] = { introductions, ARRAY_LEN(introductions), " \t\"" },
    [PII_NAMING]       = { namings, ARRAY_LEN(namings), " \t\":" },
    [PII_SELF]         = { selves, ARRAY_LEN(selves), " \t\"" },
    [PII_HAIL]         = { hails, ARRAY_LEN(hails), " \t," },
    [PII_SIGNED]       = { signed_for, ARRAY_LEN(signed_for), " \t\r\n.:" },
    [PII_BEFORE_CODE]  = { before_code, ARRAY_LEN(before_code), " " },
    [PII_BEFORE_BOX]   = { before_box, ARRAY_LEN(before_box), " " },
    [PII_SMALL_TITLE]  = { small_titles, ARRAY_LEN(small_titles), " " },
    [PII_BEFORE_PLACE] = { place_before, ARRAY_LEN(place_before), " " },
};

void pii_phrases_index(PiiPhrases *x)
{
    for (int set = 0; set < PII_PHRASES; set++) {
        BUG_ON(phrases[set].rows >= ARRAY_LEN(x->next[set]));
        for (size_t a = 0; a < phrases[set].rows; a++) {
            const char *s = phrases[set].row[a];
            uint8_t *head = &x->head[set][(unsigned char)s[strlen(s) - 1]];
            x->next[set][a + 1] = *head;
            *head = (uint8_t)(a + 1);
            pii_small_index(x, set, s);
        }
    }
}

/* The text before i, blanks and what else the set skips left out, ends with one of its phrases. */
bool pii_preceded(const PiiText *t, size_t i, int set)
{
    const char *p = t->p, *skip = phrases[set].skip;
    const PiiPhrases *x = &t->s->phrases;
    size_t k = i, limit = i > 40 ? i - 40 : 0;
    while (k > limit && p[k - 1] != 0 && strchr(skip, p[k - 1]))
        k--;
    for (size_t a = k ? x->head[set][(unsigned char)ch_low(p[k - 1])] : 0; a; a = x->next[set][a]) {
        const char *s = phrases[set].row[a - 1];
        const size_t len = strlen(s);
        size_t m = 0;
        while (m < len && m < k && ch_low(p[k - 1 - m]) == s[len - 1 - m])
            m++;
        if (m == len && !pii_word_before(p, k - len) && !(k > len && p[k - len - 1] == '-'))
            return true;
    }
    return false;
}

/* "McGrane", "MacLeod": the form says that it is a family name. */
static bool is_clan(const PiiText *t, size_t i, size_t end)
{
    const char *p = t->p;
    const size_t at = end - i > 4 && p[i] == 'M' && p[i + 1] == 'c' ? i + 2 : end - i > 5 && memcmp(p + i, "Mac", 3) == 0 ? i + 3 : 0;
    return at && ch_is(p[at], CH_UPPER) && ch_is(p[at + 1], CH_LOWER);
}

/* Reads the word at i as an element; false when it can be none. */
static bool element(const PiiText *t, Chain *c, size_t i)
{
    const char *p = t->p;
    size_t end = pii_word_end(p, t->n, i), n = end - i, k = c->n;
    if (end == i || n > PII_WORD_MAX || k == CHAIN_MAX)
        return false;
    unsigned what = 0;
    if (!pii_upper_at(p, t->n, i)) {
        if (n > 5 || !(pii_words_find(t->s->words, (Str){ p + i, n }) & WORD_PARTICLE))
            return false;
        what = PARTICLE;
    } else {
        bool small = false;
        for (size_t b = i; b < end; b++) {
            if (ch_digit(p[b]))
                return false;
            small |= ch_is(p[b], CH_LOWER) || (unsigned char)p[b] >= 0x80;
        }
        what = CAPITAL | (small || n < 2 ? 0 : SHOUTED);
        if (n == pii_word_char(p, t->n, i) && end < t->n && p[end] == '.')
            what |= INITIAL;
        /* O'Connor, D'Angelo, Anna-Maria, Müller-Lüdenscheidt */
        const size_t mark = n == 1 ? pii_apostrophe(p, t->n, end) : 0;
        bool clan = is_clan(t, i, end);
        if (mark && pii_upper_at(p, t->n, end + mark)) {
            const size_t from = end + mark;
            end = pii_word_end(p, t->n, from);
            clan = p[i] == 'O' && end - from > 2;
        }
        c->words[k] = pii_words_find(t->s->words, (Str){ p + i, end - i }) | (clan ? WORD_FAMILY : 0);
        if (n > 1 && c->words[k] & WORD_TITLE)
            what |= TITLE;
        if (n > 1 && c->words[k] & WORD_GREETING)
            what |= GREETING;
        bool given = c->words[k] & WORD_GIVEN;
        int  hyphens = 0;
        for (; hyphens < 2 && end + 1 < t->n && p[end] == '-' && pii_upper_at(p, t->n, end + 1); hyphens++) {
            const size_t next = pii_word_end(p, t->n, end + 1);
            if (next - end < 3)
                break;
            const unsigned w = pii_words_find(t->s->words, (Str){ p + end + 1, next - end - 1 });
            given &= (w & WORD_GIVEN) != 0;
            c->words[k] |= w & ~(unsigned)WORD_PLAIN;
            end = next;
        }
        if (hyphens && given) /* "Karl-Heinz", "Anna-May": two given names are one, whatever each may be alone */
            c->words[k] &= WORD_GIVEN | WORD_FAMILY;
    }
    if (what & PARTICLE)
        c->words[k] = 0;
    c->begin[k] = i;
    c->end[k] = end;
    c->what[k] = what;
    c->n++;
    return true;
}

/* Where the next element begins: behind one blank, behind the dot of a title or an initial; 0 when the chain ends. */
static size_t after(const PiiText *t, const Chain *c)
{
    const size_t k = c->n - 1;
    size_t at = c->end[k];
    if (at < t->n && t->p[at] == '.') {
        if (!(c->what[k] & (TITLE | INITIAL)))
            return 0;
        at++;
        if (c->what[k] & INITIAL && at < t->n && pii_upper_at(t->p, t->n, at))
            return at;      /* J.R. */
    }
    const size_t blank = pii_space(t->p, t->n, at), more = blank ? pii_space(t->p, t->n, at + blank) : 0;
    return blank ? at + blank + more : 0;
}

static void read_chain(const PiiText *t, Chain *c, size_t i)
{
    c->n = 0;
    for (size_t at = i; element(t, c, at) && (at = after(t, c)) != 0; )
        ;
    while (c->n && c->what[c->n - 1] & PARTICLE)
        c->n--;
}

static bool is_family(unsigned w) { return (w & WORD_FAMILY) && !(w & WORD_STOP); }

/* How many elements from `from` on make a name: initials, particles and names of the tables, and `unknown` words that only have a capital. Behind a family
 * name such a word belongs to it where the clause ends ("Anna Schmidt Ibarretxe,"), and else is the next word of the sentence ("Anna Schmidt Rechnung 5"). */
static size_t name_length(const PiiText *t, const Chain *c, size_t from, size_t unknown)
{
    size_t k = from, last = from;
    bool family = false;
    for (; k < c->n && k < from + 5; k++) {
        const unsigned w = c->words[k], what = c->what[k];
        if (what & PARTICLE || what & INITIAL)
            ;
        else if (w & WORD_STOP || (k > from && w & WORD_WARE) || (what & TITLE && !(w & (WORD_GIVEN | WORD_FAMILY))))
            break;
        else if (!(w & (WORD_GIVEN | WORD_FAMILY)) && (!unknown-- || (family && !pii_closed(t, c->end[k]))))
            break;
        family |= is_family(w) && (k > from || !(w & WORD_GIVEN));
        if (!(what & PARTICLE))
            last = k + 1;
    }
    return last - from;
}

static void add_name(PiiText *t, const Chain *c, size_t from, size_t n, int confidence, const char *rule)
{
    size_t end = c->end[from + n - 1];
    if (c->what[from + n - 1] & INITIAL && end < t->n)
        end++;
    pii_add(t, c->begin[from], end, PII_PERSON, confidence, rule);
    if (confidence < 60)
        return;
    t->name_end = MAX(t->name_end, end);
    for (size_t k = from; k < from + n; k++)
        if (!(c->what[k] & (PARTICLE | INITIAL)) && c->end[k] - c->begin[k] > 2) {
            const size_t at = t->n_recent++ % ARRAY_LEN(t->recent);
            t->recent[at].begin = c->begin[k];
            t->recent[at].end = c->end[k];
        }
}

/* The word stood in one of the last names of this text: "Frau Xylander ... Xylander kam". */
static bool heard(const PiiText *t, size_t begin, size_t end)
{
    for (size_t k = 0; k < MIN(t->n_recent, ARRAY_LEN(t->recent)); k++)
        if (t->recent[k].end - t->recent[k].begin == end - begin && memcmp(t->p + t->recent[k].begin, t->p + begin, end - begin) == 0)
            return true;
    return false;
}

/* Small words that stand before a noun. Before a name they hardly stand, so "der Kessel" is no Herr Kessel. */
static const char articles[] =
    "|der|die|das|dem|den|des|ein|eine|einen|einem|einer|eines|kein|keine|keinen|keinem|mein|meine|meinen|meinem|dein|deine|sein|seine|seinen|ihr|ihre|ihren|ihrem|unser|"
    "unsere|unseren|unserem|euer|eure|dieser|diese|dieses|diesen|diesem|jeder|jede|jedes|jeden|welcher|welche|welches|am|im|vom|beim|zum|zur|ins|ans|aufs|"
    "the|a|an|this|that|these|those|my|your|his|our|their|its|each|every|le|la|les|un|une|du|ce|cet|cette|mon|ma|votre|notre|el|los|las|una|il|lo|gli|uno|het|een|";

/* The word of small letters (its first may be a capital) that ends one blank before `at`, and where it begins; its length, 0: none. */
static size_t small_before(const PiiText *t, size_t at, size_t *begin)
{
    size_t b = at - (at > 0 && t->p[at - 1] == ' ');
    const size_t end = b;
    while (b > 0 && end - b < 24 && (ch_is(t->p[b - 1], CH_LOWER) || (unsigned char)t->p[b - 1] >= 0x80))
        b--;
    b -= b > 0 && ch_is(t->p[b - 1], CH_UPPER);
    *begin = b;
    return end == at || pii_word_before(t->p, b) ? 0 : end - b;
}

bool pii_behind_article(const PiiText *t, size_t i)
{
    size_t b, n = small_before(t, i, &b);
    if (pii_listed(articles, t->p + b, n))
        return true;
    if (!n || !ch_is(t->p[b], CH_LOWER))
        return false;
    n = small_before(t, b, &b);
    return pii_listed(articles, t->p + b, n);
}

/* "Toaster Oskar": what is sold has a name of its own. */
static bool behind_ware(const PiiText *t, size_t i)
{
    static const char *const ends[] = { "maschine", "gerät", "lampe", "leuchte", "tisch", "stuhl", "sessel", "schrank", "sofa", "bett", "regal", "matratze", "tasche", "kocher",
                                        "sauger", "automat", "ofen", "mixer", "toaster", "kühler", "spüler", "trockner", "rasierer", "drucker", "föhn", "grill", "fahrrad", "roller",
                                        "kettle", "blender", "fridge", "oven", "heater", "vacuum", "dishwasher", "dryer", "couch", "mattress", "backpack", "stroller" };
    size_t b = i - (i > 0 && t->p[i - 1] == ' ');
    const size_t end = b;
    while (b > 0 && end - b < 40 && (ch_alpha(t->p[b - 1]) || (unsigned char)t->p[b - 1] >= 0x80))
        b--;
    if (end == i || b == end || !pii_upper_at(t->p, t->n, b))
        return false;
    if (pii_words_find(t->s->words, (Str){ t->p + b, end - b }) & WORD_WARE)
        return true;
    for (size_t k = 0; k < ARRAY_LEN(ends); k++) {
        const size_t n = strlen(ends[k]);
        size_t       m = 0;
        while (n <= end - b && m < n && ch_low(t->p[end - n + m]) == ends[k][m])
            m++;
        if (m == n)
            return true;
    }
    return false;
}

/* Behind the name stands what makes it a street or a company. */
static bool names_a_thing(const PiiText *t, size_t end)
{
    const size_t at = end < t->n && (t->p[end] == '-' || t->p[end] == ' ') ? end + 1 : end, stop = pii_word_end(t->p, t->n, at);
    return at > end && stop > at && pii_upper_at(t->p, t->n, at) && pii_words_find(t->s->words, (Str){ t->p + at, stop - at }) & (WORD_THING | WORD_WARE);
}

/* In a heading of Markdown a given name alone is a word more often. */
static bool in_heading(const PiiText *t, size_t i)
{
    size_t b = i;
    while (b > 0 && i - b < 60 && t->p[b - 1] != '\n' && t->p[b - 1] != '#')
        b--;
    return b > 0 && t->p[b - 1] == '#' && (b == 1 || t->p[b - 2] == '#' || t->p[b - 2] == '\n');
}

/* Where the name begins whose first word with a capital stands at i: up to three particles before it. */
static size_t particles_before(const PiiText *t, size_t i)
{
    for (int back = 0; back < 3 && i > 1 && t->p[i - 1] == ' '; back++) {
        size_t b = i - 1;
        while (b > 0 && i - b < 8 && ch_is(t->p[b - 1], CH_LOWER))
            b--;
        if (b == i - 1 || pii_word_before(t->p, b) || !(pii_words_find(t->s->words, (Str){ t->p + b, i - 1 - b }) & WORD_PARTICLE))
            break;
        i = b;
    }
    return i;
}

/* Behind a salutation: its end. */
static bool addresses(const PiiText *t, size_t end)
{
    return end >= t->n || (t->p[end] != 0 && strchr(",!\n\r", t->p[end]) != NULL);
}

/* Endings that hardly another word has behind a given name. */
static bool ends_as_family(const PiiText *t, size_t b, size_t e)
{
    static const char *const ends[] = { "mann", "meier", "meyer", "maier", "mayer", "berger", "ski", "sky", "cki", "wicz", "czyk", "sson", "escu", "enko", "poulos", "oğlu", "ović" };
    for (size_t k = 0; k < ARRAY_LEN(ends); k++) {
        const size_t n = strlen(ends[k]);
        if (e - b > n + 2 && memcmp(t->p + e - n, ends[k], n) == 0)
            return true;
    }
    return false;
}

/* The line is nothing but [begin, end), and a street with its number or a line with a postcode and a town follows: who lives there. */
static bool above_street(const PiiText *t, size_t begin, size_t end)
{
    const char *p = t->p;
    if ((begin && p[begin - 1] != '\n') || end >= t->n)
        return false;
    size_t at = end + (p[end] == '\r');
    if (at + 1 >= t->n || p[at] != '\n')
        return false;
    const size_t line = at + 1, limit = MIN(t->n, line + 60);
    for (at = line; at < limit && p[at] != '\n' && p[at] != '\r'; )
        at++;
    while (at > line && p[at - 1] == ' ')
        at--;
    size_t number = at;
    while (number > line && at - number < 5 && ch_alnum(p[number - 1]))
        number--;
    if (number < line + 4 || number == at || !ch_digit(p[number]) || p[number - 1] != ' ' || !pii_upper_at(p, t->n, line))
        return false;
    size_t word = number - 1 - (p[number - 2] == '.');
    const size_t stop = word;
    while (word > line && p[word - 1] != ' ')
        word--;
    return pii_street_kind(p + word, stop - word) > 0;
}

static void by_surroundings(PiiText *t, const Chain *c, size_t i)
{
    size_t first = 0;
    while (first < c->n && c->what[first] & TITLE)
        first++;
    if (first && first < c->n) {
        /* behind "Frau" and "Herr" stands German, in which the next noun has a capital as well */
        const char *t0 = t->p + c->begin[0];
        const bool german = memcmp(t0, "Frau", MIN(c->end[0] - c->begin[0], (size_t)4)) == 0 || memcmp(t0, "Herr", MIN(c->end[0] - c->begin[0], (size_t)4)) == 0;
        size_t n = name_length(t, c, first, german ? 1 : 2);
        const size_t title = c->end[0] - c->begin[0], both = german && n == 1 && !(c->words[first] & WORD_FAMILY) ? name_length(t, c, first, 2) : n;
        if (both > n && addresses(t, c->end[first + both - 1])) /* "Sehr geehrte Frau Xenilda Quorst," */
            n = both;
        if (n)
            add_name(t, c, first, n, c->words[first] & (WORD_GIVEN | WORD_FAMILY) ? 95 : title > 2
                    || t->p[c->begin[0]] != 'M' ? 88 : 70, "person-title");
        return;
    }
    if (c->what[0] & GREETING && c->n > 1) {
        size_t from = 1;
        while (from < c->n && c->what[from] & (TITLE | GREETING) && !(c->words[from] & WORD_GIVEN))
            from++;
        const size_t n = from < c->n ? name_length(t, c, from, from == 1) : 0;
        if (!n)
            return;
        const size_t end = c->end[from + n - 1];
        const bool closed = end >= t->n || strchr(",!\n\r.:;-", t->p[end]) != NULL;
        if (names_a_thing(t, end))
            return;
        const bool known = c->words[from] & WORD_GIVEN || (is_family(c->words[from]) && closed);
        if (known || closed)
            add_name(t, c, from, n, known ? 90 : 65, "person-greeting");
        return;
    }
    const size_t n = name_length(t, c, 0, 2);
    if (!n || c->words[0] & WORD_STOP)
        return;
    const size_t whole = particles_before(t, i);
    if (pii_preceded(t, whole, PII_SMALL_TITLE)) {
        Chain from = *c;
        from.begin[0] = whole; /* "mevrouw van der Berg": the particles belong to the name */
        add_name(t, &from, 0, n, 85, "person-title");
    } else if (pii_preceded(t, i, PII_NAMING)) {
        const bool known = c->words[0] & (WORD_GIVEN | WORD_FAMILY);
        add_name(t, c, 0, n, c->what[0] & SHOUTED && !known ? 40 : known || n > 1 ? 88 : 65, "person-naming");
    } else if (pii_preceded(t, i, PII_FAREWELL) && n <= 4) {
        const size_t end = c->end[n - 1];
        const bool closed = end >= t->n || strchr("\n\r,.", t->p[end]) != NULL;
        if (closed || c->words[0] & WORD_GIVEN)
            add_name(t, c, 0, n, c->words[0] & (WORD_GIVEN | WORD_FAMILY) ? 90 : 70, "person-farewell");
    } else if (pii_preceded(t, i, PII_HAIL) && addresses(t, c->end[n - 1]) && (c->words[0] & WORD_GIVEN || is_family(c->words[0])) &&
               (n > 1 || !(c->words[0] & WORD_PLACE)) && !names_a_thing(t, c->end[n - 1])) {
        add_name(t, c, 0, n, 90, "person-greeting"); /* "Guten Tag Petra Baumgärtner," */
    } else if (pii_preceded(t, i, PII_SIGNED) && n <= 4) {
        const bool known = c->words[0] & (WORD_GIVEN | WORD_FAMILY), place = c->words[0] & WORD_PLACE;
        if (n > 1 ? !place || known : !place && pii_closed(t, c->end[n - 1]))
            add_name(t, c, 0, n, n > 1 ? 88 : 62, "person-signed");
    } else if (c->words[0] & WORD_GIVEN && (n > 1 || !(c->words[0] & WORD_PLAIN)) && pii_preceded(t, i, PII_SELF)) {
        add_name(t, c, 0, n, n > 1 || !(c->words[0] & WORD_PLACE) ? 82 : 55, "person-self");
    } else if (pii_preceded(t, i, PII_INTRODUCTION)) {
        const bool known = c->words[0] & (WORD_GIVEN | WORD_FAMILY);
        if (known || (n > 1 && !(c->words[0] & WORD_PLACE) && !(c->what[0] & SHOUTED)))
            add_name(t, c, 0, n, known && (n > 1 || !(c->words[0] & WORD_PLAIN)) ? 85 : known ? 60 : 52, "person-introduction");
    }
}

/* "Schmidt, Anna": a family name, a comma, a given name, nothing more. */
static bool turned_round(PiiText *t, const Chain *c)
{
    const char *p = t->p;
    const size_t end = c->end[0];
    Chain next;
    if (c->n != 1 || !is_family(c->words[0]) || end + 2 >= t->n || p[end] != ',' || p[end + 1] != ' ')
        return false;
    read_chain(t, &next, end + 2);
    if (next.n != 1 || !(next.words[0] & WORD_GIVEN) || next.words[0] & WORD_PLAIN || c->words[0] & (WORD_PLAIN | WORD_GIVEN))
        return false;
    const size_t stop = next.end[0];
    if (stop < t->n && p[stop] == ',' && stop + 1 < t->n && p[stop + 1] == ' ')
        return false;   /* a list of names: each stands for itself */
    pii_add(t, c->begin[0], stop, PII_PERSON, 72, "person-turned");
    t->name_end = stop;
    return true;
}

static void by_tables(PiiText *t, const Chain *c)
{
    const unsigned w = c->words[0];
    const bool shouted = c->what[0] & SHOUTED, initial = c->what[0] & INITIAL;
    if (w & WORD_STOP || c->what[0] & PARTICLE)
        return;
    size_t n = name_length(t, c, 0, 1);
    if (names_a_thing(t, c->end[n ? n - 1 : 0]))
        return;
    bool family = false, second = false;
    for (size_t k = 1; k < n; k++) {
        family |= is_family(c->words[k]);
        second |= (c->what[k] & CAPITAL) != 0;
    }
    if (w & WORD_BRAND && !family && !(n > 1 && above_street(t, c->begin[0], c->end[n - 1])))
        return;     /* "Ford Focus" */
    if (initial) {
        if (n > 1 && second)
            add_name(t, c, 0, n, family ? 72 : 48, "person-initial");
    } else if (w & WORD_GIVEN) {
        if (w & WORD_PLAIN) {
            const unsigned next = n > 1 ? c->words[1] : 0;
            if (shouted && next & WORD_PLAIN)
                return; /* "PER DAY": among capitals two words of the language are words */
            if (family || (next & WORD_GIVEN && n > 2))
                add_name(t, c, 0, n, next & WORD_PLAIN ? 58 : 78, "person-names");
            else if (n > 1 && above_street(t, c->begin[0], c->end[n - 1]))
                add_name(t, c, 0, n, 70, "person-line");
            else if (n == 2 && !(next & (WORD_PLAIN | WORD_PLACE)) && !pii_behind_article(t, c->begin[0]) && ends_as_family(t, c->begin[1], c->end[1]))
                add_name(t, c, 0, n, 60, "person-names");
            else
                pii_add(t, c->begin[0], c->end[0], PII_PERSON, 20, "person-word");
        } else if (!second && behind_ware(t, c->begin[0]))
            pii_add(t, c->begin[0], c->end[0], PII_PERSON, 30, "person-ware");
        else if (second && !(shouted && !family))
            add_name(t, c, 0, n, family ? 92 : 74, family ? "person-names" : "person-given");
        else
            add_name(t, c, 0, 1, shouted ? 35 : c->end[0] - c->begin[0] < 3 || in_heading(t, c->begin[0]) ? 40 : w & WORD_PLACE ? 45 : 62, "person-given");
    } else if (is_family(w)) {
        if (n == 2 && c->words[1] & WORD_GIVEN && !(c->words[1] & WORD_PLAIN) && !(w & WORD_PLAIN))
            add_name(t, c, 0, n, 70, "person-turned");
        else if (heard(t, c->begin[0], c->end[0]) && !(w & WORD_PLAIN && pii_behind_article(t, c->begin[0])))
            add_name(t, c, 0, 1, 75, "person-again");
        else if (!turned_round(t, c))
            pii_add(t, c->begin[0], c->end[0], PII_PERSON, w & WORD_PLAIN ? 10 : 25, "person-family");
    } else if (family && n > 1 && above_street(t, c->begin[0], c->end[n - 1]))
        add_name(t, c, 0, n, 66, "person-line");
    else if (heard(t, c->begin[0], c->end[0]) && !pii_behind_article(t, c->begin[0]))
        add_name(t, c, 0, 1, 70, "person-again");
}

static void match_place(PiiText *t, size_t i)
{
    size_t len = 0;
    unsigned flags = 0;
    const size_t words = pii_words_place(t->s->words, t->p + i, t->n - i, &len, &flags);
    if (!words || (len < 4 && flags & WORD_PLAIN))
        return;
    const bool before = pii_preceded(t, i, PII_BEFORE_PLACE);
    const bool shouted = len > 1 && len < 7 && ch_is(t->p[i + 1], CH_UPPER); /* MOGA: an abbreviation more often */
    const bool plain = words == 1 && (flags & WORD_PLAIN || shouted);
    const int c = flags & WORD_COUNTRY ? 60 : words > 1 ? 66 : 57;
    pii_add(t, i, i + len, PII_PLACE, plain ? (before ? 52 : 22) : c + (before ? 14 : 0), flags & WORD_COUNTRY ? "country" : "city");
}

void pii_match_name(PiiText *t, size_t i, size_t end)
{
    Chain c;
    (void)end;
    if (pii_wants(t, PII_PLACE))
        match_place(t, i);
    if (i < t->name_end || !pii_wants(t, PII_PERSON))
        return;
    if (i && (strchr("_/\\@#$.-", t->p[i - 1]) != NULL))
        return; /* a piece of a path, of code, of a longer word */
    for (size_t mark = 1; mark <= MIN(i, (size_t)3); mark++) /* the rest of O'Connor: it is a name as a whole, or none */
        if (i > mark && pii_apostrophe(t->p, t->n, i - mark) == mark && (t->p[i - mark - 1] == 'O' || t->p[i - mark - 1] == 'D') && !pii_word_before(t->p, i - mark - 1))
            return;
    read_chain(t, &c, i);
    if (!c.n || (c.end[0] < t->n && strchr("_/\\@(=", t->p[c.end[0]]) != NULL && t->p[c.end[0]] != 0))
        return;
    by_surroundings(t, &c, i);
    if (i >= t->name_end)
        by_tables(t, &c);
}
