/* pii_column.c - see pii_column.h. Names of columns are compared in small letters without umlauts, accents, blanks and signs ("Kunden-Name" is "kundenname").
 * To add a name: a word in one of the lists. */
#include "prep/pii_column.h"

#include "prep/pii_int.h"

#define NAME_MAX 64   /* bytes of a column's name without its signs; a longer one says something else */
#define VALUE_MAX 120 /* bytes, and */
#define WORDS_MAX 7   /* words of a name */

/* A person, in a word that may also say of what sort he is. Words of German stand as they do before "name" as well: Kundenname. */
static const char roles[] =
    "|kunde|kunden|kundin|besteller|bestellerin|auftraggeber|auftraggeberin|kaeufer|kaeuferin|ansprechpartner|ansprechpartnerin|ansprechperson|kontakt|kontaktperson|bearbeiter|"
    "bearbeiterin|sachbearbeiter|sachbearbeiterin|mitarbeiter|mitarbeiterin|betreuer|betreuerin|berater|beraterin|absender|absenderin|empfaenger|empfaengerin|"
    "rechnungsempfaenger|lieferempfaenger|versicherter|versicherungsnehmer|inhaber|kontoinhaber|karteninhaber|mieter|mieterin|vermieter|patient|patientin|autor|autorin|"
    "verfasser|verfasserin|nutzer|nutzerin|benutzer|teilnehmer|teilnehmerin|mitglied|schueler|student|studentin|lehrer|melder|meldende|melderin|person|"
    "customer|client|contact|contactperson|buyer|seller|purchaser|author|agent|assignee|assignedto|owner|requester|requestor|reporter|submitter|sender|recipient|from|to|user|"
    "username|employee|member|teacher|participant|patient|tenant|landlord|accountholder|cardholder|holder|createdby|updatedby|closedby|resolvedby|handledby|writtenby|"
    "signedby|approvedby|manager|operator|caller|"
    "auteur|destinataire|expediteur|utilisateur|cliente|clienta|titular|contacto|usuario|remitente|destinatario|mittente|utente|referente|intestatario|autore|klant|"
    "contactpersoon|afzender|ontvanger|gebruiker|klient|klientka|nadawca|odbiorca|kunder|kontaktpersoner|asiakas|";
/* A name, whatever it is the name of. */
static const char things[] = "|name|names|nom|nombre|nome|naam|navn|namn|nimi|nazwa|";
static const char firsts[] = "|vorname|vornamen|rufname|firstname|middlename|givenname|forename|prenom|prenoms|voornaam|imie|fornamn|fornavn|etunimi|";
static const char persons[] =
    "|nachname|nachnamen|zuname|familienname|geburtsname|vollername|vollstaendigername|vorundnachname|vorundzuname|namevorname|vornamename|"
    "lastname|surname|surnames|fullname|familyname|maidenname|realname|displayname|firstandlastname|personname|"
    "nomcomplet|nomdefamille|nometprenom|apellido|apellidos|nombrecompleto|nombreyapellidos|cognome|nomecognome|nomeecognome|nominativo|achternaam|"
    "volledigenaam|nazwisko|imieinazwisko|efternamn|efternavn|etternavn|sukunimi|apelido|nomecompleto|";
/* Who a value names that names nobody. In small letters. */
static const char nobody[] =
    "|unbekannt|unknown|anonym|anonymous|none|null|nan|keine|keiner|leer|test|tester|admin|administrator|root|system|support|service|dienst|kundendienst|kundenservice|team|guest|"
    "gast|bot|chatbot|assistant|user|nutzer|agent|kunde|kundin|customer|client|account|privat|private|privatkunde|geschäftskunde|neukunde|bestandskunde|stammkunde|new|neu|"
    "existing|regular|premium|standard|basic|business|enterprise|vip|level|key|sales|vertrieb|einkauf|marketing|technik|buchhaltung|human|resources|office|desk|help|"
    "helpdesk|hotline|shop|store|online|web|website|mail|email|phone|telefon|chat|intern|extern|internal|external|other|sonstige|yes|no|ja|nein|true|false|verein|"
    "gmbh|ag|kg|ug|ohg|ev|inc|llc|ltd|corp|company|firma|stadt|amt|gemeinde|";

/* Appends the letters of a column's name; false: it is too long. */
static bool squash(Str name, char to[NAME_MAX + 1], size_t *n)
{
    /* U+00C0..00FF, small: the letter without its sign */
    static const char *const latin[32] = { "a", "a", "a", "a", "ae", "a", "ae", "c", "e", "e", "e", "e", "i", "i", "i", "i", "d", "n", "o", "o", "o", "o", "oe", "", "o", "u", "u",
                                           "u", "ue", "y", "th", "ss" };
    for (size_t i = 0; i < name.n; i++) {
        const unsigned char c = (unsigned char)name.p[i], next = i + 1 < name.n ? (unsigned char)name.p[i + 1] : 0;
        char one[2] = { ch_low(name.p[i]), 0 };
        const char *add = ch_alpha(name.p[i]) ? one : "";
        if (c == 0xC3 && next >= 0x80 && next <= 0xBF) {
            add = next == 0xBF ? "y" : latin[next & 31]; /* ÿ has the place of ß */
            i++;
        }
        const size_t len = strlen(add);
        if (*n + len > NAME_MAX)
            return false;
        memcpy(to + *n, add, len);
        *n += len;
    }
    return true;
}

/* "kundenname", "customername": someone's name. */
static bool is_name_of(const char *p, size_t n)
{
    static const char *const tails[] = { "fullname", "name", "naam", "namn", "navn" };
    for (size_t k = 0; k < ARRAY_LEN(tails); k++) {
        const size_t len = strlen(tails[k]);
        if (n > len && memcmp(p + n - len, tails[k], len) == 0 && !(n - len == 4 && memcmp(p, "user", 4) == 0) && pii_listed(roles, p, n - len))
            return true;
    }
    return false;
}

PiiColumn pii_column_of(Str above, Str name)
{
    char both[NAME_MAX + 1];
    size_t front = 0, n = 0;
    if (!squash(above, both, &front))
        front = 0;
    n = front;
    if (!squash(name, both, &n))
        return PII_COLUMN_OTHER;
    const char *own = both + front;
    const size_t len = n - front;
    if (pii_listed(firsts, own, len))
        return PII_COLUMN_GIVEN;
    if (pii_listed(persons, own, len) || is_name_of(own, len) || (front && (pii_listed(persons, both, n) || is_name_of(both, n))))
        return PII_COLUMN_PERSON;
    return pii_listed(roles, own, len) ? PII_COLUMN_ROLE : pii_listed(things, own, len) ? PII_COLUMN_THING : PII_COLUMN_OTHER;
}

/* What the words of a value are. */
typedef struct Shape { size_t names, known, capitals, commas; bool given, family; } Shape;

/* False: the value has the form of no name. */
static bool read_shape(const PiiScanner *s, Str v, Shape *x)
{
    size_t words = 0;
    *x = (Shape){0};
    if (!v.n || v.n > VALUE_MAX)
        return false;
    for (size_t i = 0, end; i < v.n; i = end) {
        end = pii_word_end(v.p, v.n, i);
        if (end == i) { /* between the words of a name stands little */
            const size_t step = MAX(pii_space(v.p, v.n, i), pii_apostrophe(v.p, v.n, i));
            if (!step && !strchr("-.,", v.p[i]))
                return false;
            x->commas += v.p[i] == ',';
            end = i + MAX(step, (size_t)1);
            continue;
        }
        char low[NAME_MAX];
        for (size_t k = i; k < end; k++) {
            if (ch_digit(v.p[k]) || end - i > NAME_MAX)
                return false;
            low[k - i] = ch_low(v.p[k]);
        }
        const unsigned w = pii_words_find(s->words, (Str){ v.p + i, end - i });
        const bool capital = pii_upper_at(v.p, v.n, i);
        if (++words > WORDS_MAX || pii_listed(nobody, low, end - i))
            return false;
        if (w & WORD_TITLE && !(w & (WORD_GIVEN | WORD_FAMILY)))
            continue;
        if (!capital && w & WORD_PARTICLE)
            continue;
        if (w & (WORD_STOP | WORD_THING | WORD_WARE) && !(w & (WORD_GIVEN | WORD_FAMILY)))
            return false;
        if (end - i == pii_word_char(v.p, v.n, i))
            continue; /* an initial */
        x->given |= !x->names && w & WORD_GIVEN;
        x->family = (w & (WORD_FAMILY | WORD_PLAIN)) == WORD_FAMILY;
        x->known += w & (WORD_GIVEN | WORD_FAMILY) && !(w & (WORD_PLAIN | WORD_BRAND));
        x->capitals += capital;
        x->names++;
    }
    return x->names > 0 && x->commas < 2;
}

bool pii_column_holds(const PiiScanner *s, PiiColumn column, Str value, bool heard, const char **rule)
{
    Shape x;
    if (column == PII_COLUMN_OTHER || (s->off >> PII_PERSON & 1) || !read_shape(s, value, &x))
        return false;
    *rule = x.commas ? "person-turned" : column == PII_COLUMN_GIVEN ? "person-given" : x.names == 1 && x.family ? "person-title" :
            column == PII_COLUMN_ROLE && !x.known && !x.given && !heard ? "person-words" : "person-column";
    switch (column) {
    case PII_COLUMN_PERSON:
    case PII_COLUMN_GIVEN:  return true;
    case PII_COLUMN_ROLE:   return heard || (x.names > 1 ? x.capitals == x.names : x.known > 0);
    default:                return x.names > 1 && x.capitals == x.names && (x.given || x.family);
    }
}
