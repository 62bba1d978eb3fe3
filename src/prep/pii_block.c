/* pii_block.c - postal addresses by the line of their town: a postcode with its town is a firm place to stand on, and the street is what stands before it,
 * whatever its words are: "Skolvägen 27\n705 56 Borås", "Canale Graziella, 7\n83030 San Barbato (AV)", "244 Jackson Key\nKevinburgh, LA 64578". So streets
 * are found that no table of street words has. pii_address.c begins at the street instead.
 * Main struct: Part, the words between two commas or line ends, read from behind. At most PARTS_UK parts of at most TOKENS words and PART_BYTES bytes are read.
 * A British code says by its form alone that an address ends there, so before it a street needs no number, a flat no street, and a house may have a name.
 * To add a country: a form of postcode in pii_address.c, or a row of `states` and the like here. */
#include "prep/pii_int.h"

#define TOKENS     8
#define PARTS      4
#define PARTS_UK   6 /* flat, house, street, village, town, county */
#define PART_BYTES 72

typedef enum { T_NUMBER, T_CAPITAL, T_LINK, T_FRONT, T_UNIT, T_SMALL } Kind;
typedef struct Part {
    size_t begin[TOKENS], end[TOKENS]; /* the last word of the part first */
    Kind   kind[TOKENS];
    size_t n, from;                    /* from: where the part begins */
    bool   whole;                      /* it was read to its beginning */
} Part;

/* Of rooms and doors within a house. */
static const char units[] =
    "|apt|apartment|suite|unit|flat|studio|floor|room|box|psc|piso|puerta|planta|piano|interno|appartamento|appartement|etage|étage|bâtiment|bât|scala|int|local|esc|app|m|lok|stock|og|";

static bool is_unit(const char *p, size_t n) { return pii_listed(units, p, n); }

/* 12, 12a, 12-14, 12/3, 3b/7; at most five digits at the front. */
static bool is_number(const char *p, size_t n)
{
    size_t digits = 0;
    while (digits < n && ch_digit(p[digits]))
        digits++;
    if (!digits || digits > 5 || n > 10)
        return false;
    for (size_t k = digits; k < n; k++)
        if (!ch_alnum(p[k]) && p[k] != '-' && p[k] != '/' && p[k] != '.')
            return false;
    return n - digits < 2 || !ch_alpha(p[digits]) || !ch_alpha(p[digits + 1]) || n - digits < 4; /* 12bis */
}

static Kind kind_of(const PiiText *t, size_t b, size_t e)
{
    const char *p = t->p;
    size_t stop = e;
    while (stop > b + 1 && p[stop - 1] == '.')
        stop--;
    if (is_number(p + b, stop - b))
        return T_NUMBER;
    const char *mark = memchr(p + b, '\'', stop - b);
    if (is_unit(p + b, stop - b))
        return T_UNIT;
    const unsigned w = pii_words_find(t->s->words, (Str){ p + b, stop - b });
    if (w & WORD_FRONT && (stop - b > 1 || stop < e))
        return T_FRONT;
    if (pii_upper_at(p, t->n, b) || (mark && pii_upper_at(p, t->n, (size_t)(mark - p) + 1)))
        return T_CAPITAL;
    return w & (WORD_LINK | WORD_PARTICLE) || (stop == e - 1 && e - b < 5) || e - b == 1 ? T_LINK : T_SMALL;
}

static bool ends_part(char c) { return c == ',' || c == ';' || c == '\n' || c == '\r' || c == ':' || c == '(' || c == ')' || c == '"' || c == '!' || c == '?' || c == '|'; }

/* The words before `at`, back to a comma, a line end or a bound. */
static void read_part(const PiiText *t, size_t at, Part *x)
{
    const char *p = t->p;
    size_t k = at;
    x->n = 0;
    x->whole = false;
    x->from = at;
    while (x->n < TOKENS && at - k < PART_BYTES) {
        while (k > 0 && at - k < PART_BYTES && (p[k - 1] == ' ' || p[k - 1] == '\t'))
            k--;
        if (!k || ends_part(p[k - 1])) {
            x->whole = true;
            return;
        }
        size_t b = k;
        while (b > 0 && at - b < PART_BYTES && !ch_is(p[b - 1], CH_SPACE) && !ends_part(p[b - 1]))
            b--;
        if (at - b == PART_BYTES || (x->n && p[k - 1] == '.' && k - b > 5 && !is_number(p + b, k - b)))
            return; /* longer than a word, or a sentence ends here */
        x->begin[x->n] = x->from = b;
        x->end[x->n] = k;
        x->kind[x->n] = kind_of(t, b, k);
        x->n++;
        k = b;
    }
}

/* What the street of a part has for itself. */
typedef enum { NO_STREET, A_UNIT, A_NUMBER, A_STREET, A_KNOWN_STREET } Street;

/* A street whose number stands behind it; `k` is the first word before the number. */
static Street number_behind(const PiiText *t, const Part *x, size_t k, size_t *begin)
{
    size_t last = TOKENS, first = k;
    for (; k < x->n && k < first + 6; k++) {
        if (x->kind[k] == T_NUMBER && last < TOKENS) { /* 244 Jackson Key Apt. 456 */
            last = k;
            break;
        }
        if (x->kind[k] == T_CAPITAL || x->kind[k] == T_FRONT)
            last = k;
        else if (x->kind[k] != T_LINK)
            break;
        if (x->kind[k] == T_FRONT)
            break;
    }
    if (last == TOKENS)
        return NO_STREET;
    *begin = x->begin[last];
    size_t stop = x->end[first];
    while (stop > x->begin[first] && t->p[stop - 1] == '.')
        stop--;
    return x->kind[last] == T_FRONT || pii_street_kind(t->p + x->begin[first], stop - x->begin[first]) == 2 ? A_KNOWN_STREET : A_STREET;
}

/* A street whose number stands before it, or that has none but a word for streets. */
static Street number_before(const PiiText *t, const Part *x, size_t k, size_t *begin)
{
    size_t first = k, front = TOKENS, capitals = 0, small = 0;
    for (; k < x->n; k++) {
        if (x->kind[k] == T_NUMBER)
            break;
        capitals += x->kind[k] == T_CAPITAL;
        if (x->kind[k] == T_UNIT && k > first) /* but "5274 Rachel Flat" */
            break;
        if (x->kind[k] == T_FRONT)
            front = k;
        if (x->kind[k] == T_SMALL && (++small > 1 || k > first))
            break;
    }
    if (!capitals)
        return NO_STREET;
    const unsigned w = pii_words_find(t->s->words, (Str){ t->p + x->begin[first], x->end[first] - x->begin[first] });
    if (k < x->n && x->kind[k] == T_NUMBER && (!small || (x->whole && k + 1 == x->n))) {
        *begin = x->begin[k];
        return front < TOKENS || (w & WORD_BEHIND && k > first + 1) ? A_KNOWN_STREET : A_STREET;
    }
    if (front == TOKENS || small)
        return NO_STREET;
    *begin = x->begin[front];
    return A_KNOWN_STREET;
}

static Street street_in(const PiiText *t, const Part *x, size_t *begin)
{
    size_t k = 0;
    if (!x->n)
        return NO_STREET;
    while (k + 1 < x->n && x->kind[k] == T_NUMBER && x->kind[k + 1] == T_UNIT)
        k += 2;
    *begin = x->from;
    if (k && (k == x->n ? x->whole : x->kind[k] == T_SMALL || x->kind[k] == T_LINK)) {
        *begin = x->begin[k - 1];
        return A_UNIT;
    }
    if (k == x->n)
        return NO_STREET;
    if (k + 1 == x->n && x->kind[k] == T_NUMBER && x->whole)
        return A_NUMBER;
    return x->kind[k] == T_NUMBER ? number_behind(t, x, k + 1, begin) : number_before(t, x, k, begin);
}

/* Inside of British names of places: Newton under Lyle, Stow on the Wold. */
static bool joins_place(const PiiText *t, const Part *x, size_t k)
{
    return k > 0 && k + 1 < x->n && pii_listed("|under|upon|on|in|by|next|the|le|of|with|cum|super|near|and|", t->p + x->begin[k], x->end[k] - x->begin[k]);
}

/* A town or its quarter: up to four words without a number, all of the part. */
static bool town_in(const PiiText *t, const Part *x)
{
    bool capital = false;
    for (size_t k = 0; k < x->n; k++) {
        if (x->kind[k] == T_NUMBER || (x->kind[k] == T_SMALL && !joins_place(t, x, k)))
            return false;
        capital |= x->kind[k] == T_CAPITAL;
    }
    return capital && x->whole && x->n <= 4;
}

/* "Church Lane", without a number: what a British code stands behind. */
static bool named_street(const PiiText *t, const Part *x)
{
    for (size_t k = 0; k < x->n; k++)
        if (x->kind[k] != T_CAPITAL && x->kind[k] != T_UNIT && x->kind[k] != T_FRONT && !(x->kind[k] == T_LINK && k))
            return false;
    return x->whole && x->n > 1 && x->n < 5 &&
           pii_words_find(t->s->words, (Str){ t->p + x->begin[0], x->end[0] - x->begin[0] }) & (WORD_BEHIND | WORD_BEHIND_RARE);
}

/* "Rose Cottage", "Write to Rose Cottage", "Sunnyside": the name of a house before its street. */
static bool house_in(const PiiText *t, const Part *x, size_t *begin)
{
    static const char words[] = "|cottage|cottages|house|farm|farmhouse|barn|hall|lodge|manor|rectory|vicarage|villa|mill|croft|grange|bungalow|court|stables|chapel|gatehouse|"
                                "orchard|cabin|tower|towers|buildings|mansions|priory|forge|nook|";
    size_t       n = 0;
    while (n < x->n && x->kind[n] == T_CAPITAL)
        n++;
    if (!n || n > 4)
        return false;
    const bool   house = n > 1 && pii_listed(words, t->p + x->begin[0], x->end[0] - x->begin[0]), all = x->whole && n == x->n;
    const size_t first = x->begin[n - 1];
    if (!house && !(all && n == 1 && !pii_words_find(t->s->words, (Str){ t->p + first, x->end[0] - first })))
        return false; /* a lone word of the tables is a person, or a place */
    *begin = first;
    return true;
}

/* Behind a part: the place before the comma or line end that parts it from the next; `line`: it was a line end. */
static size_t step_back(const PiiText *t, size_t at, bool *line)
{
    const char *p = t->p;
    size_t k = at;
    while (k > 0 && at - k < 4 && (p[k - 1] == ' ' || p[k - 1] == ',' || p[k - 1] == '\n' || p[k - 1] == '\r')) {
        *line |= p[k - 1] == '\n';
        k--;
    }
    return k;
}

/* From the town line that begins at `at` back to where the street begins; `towns`: parts that may be towns before it. */
static Street find_street(const PiiText *t, size_t at, int towns, bool british, bool *line, size_t *begin)
{
    Street best = NO_STREET;
    bool   number = false, named = false; /* named: the street has no number, so its house may have a name */
    for (int part = 0; part < (british ? PARTS_UK : PARTS); part++) {
        Part   x;
        size_t b = 0;
        const size_t end = step_back(t, at, line);
        if (end == at || !end)
            return best;
        read_part(t, end, &x);
        Street s;
        if (number) { /* the street of a number that stands alone: "Canale Graziella, 7" */
            s = town_in(t, &x) || (x.n && x.kind[0] == T_CAPITAL) ? number_behind(t, &x, 0, &b) : NO_STREET;
            number = false;
            if (s == NO_STREET)
                return best;
        } else
            s = street_in(t, &x, &b);
        if (british && s == NO_STREET && best < A_STREET && named_street(t, &x)) {
            named = true;
            s = A_STREET;
            b = x.from;
        }
        if (best >= A_STREET && s != A_UNIT) {
            if (named && s == NO_STREET && house_in(t, &x, &b))
                *begin = b;
            return best;
        }
        if (s == A_NUMBER) {
            number = true;
        } else if (s == A_UNIT) { /* a flat before or behind the street */
            *begin = b;
            if (best >= A_STREET)
                return best;
            best = A_UNIT;
        } else if (s >= A_STREET) {
            *begin = b;
            best = s;
            if (!x.whole || b != x.from)
                return best;
        } else if (towns-- <= 0 || !town_in(t, &x))
            return best;
        at = x.n ? x.begin[x.n - 1] : end;
    }
    return best;
}

static const char states[] = "ALAKAZARCACOCTDEDCFLGAHIIDILINIAKSKYLAMEMDMAMIMNMSMOMTNENVNHNJNMNYNCNDOHOKORPARISCSDTNTXUTVTVAWAWVWIWYPRVIGUASMPFMMHPWAAAEAP";

static bool is_state(const char *p)
{
    for (size_t k = 0; states[k]; k += 2)
        if (memcmp(states + k, p, 2) == 0)
            return true;
    return false;
}

/* "LA 64578", "DPO AP 12345", "SW1A 1AA": the length of the code behind i, and where it begins; 0: none. */
static size_t code_behind_town(const PiiText *t, size_t i, size_t *begin, const char **rule)
{
    static const char *const british[] = { "UU9U 9UU", "U9U 9UU", "UU99 9UU", "UU9 9UU", "U99 9UU", "U9 9UU" };
    const char *p = t->p;
    char buf[PII_SHAPE_MAX + 1];
    size_t n;
    *begin = i;
    if (ch_is(p[i], CH_UPPER)) {
        for (size_t f = 0; f < ARRAY_LEN(british); f++) {
            const size_t len = pii_shape(british[f], p + i, t->n - i, buf, &n);
            if (len && pii_alone(t, i, i + len) && !strchr("QVX", buf[0]) && !strchr("CIKMOV", buf[n - 1]) && !strchr("CIKMOV", buf[n - 2])) {
                *rule = "address-uk";
                return len;
            }
        }
        return 0;
    }
    size_t len = pii_shape("99999=-9999", p + i, t->n - i, buf, &n);
    len = len ? len : pii_shape("99999", p + i, t->n - i, buf, &n);
    if (!len || i < 4 || p[i - 1] != ' ' || pii_word_char(p, t->n, i + len) || !is_state(p + i - 3) || pii_word_before(p, i - 3))
        return 0;
    *begin = i - 3;
    *rule = "address-us";
    return len + 3;
}

/* The town behind a postcode, its province in brackets too; the end, or `at` when none stands there. */
static size_t town_behind(const PiiText *t, size_t at, bool *line)
{
    const char *p = t->p;
    size_t k = at;
    k += k < t->n && p[k] == ',';
    if (k < t->n && p[k] == '\n') {
        *line = true;
        k++;
    } else {
        const size_t blank = pii_space(p, t->n, k);
        if (!blank)
            return at;
        k += blank;
    }
    const size_t end = pii_capital_words(t, k, 4);
    if (end == k)
        return at;
    if (end + 5 <= t->n && p[end] == ' ' && p[end + 1] == '(' && ch_is(p[end + 2], CH_UPPER) && ch_is(p[end + 3], CH_UPPER) && p[end + 4] == ')')
        return end + 5;
    return end;
}

static bool known_town(const PiiText *t, size_t at)
{
    size_t k = at, len = 0;
    unsigned flags = 0;
    while (k < t->n && k - at < 3 && (t->p[k] == ' ' || t->p[k] == ',' || t->p[k] == '\n'))
        k++;
    return k < t->n && pii_upper_at(t->p, t->n, k) && pii_words_place(t->s->words, t->p + k, t->n - k, &len, &flags) && flags & WORD_CITY;
}

/* How sure an address is whose postcode has few forms beside it (sure), whose town the tables know, that is laid out in lines. */
static int believed(Street s, bool sure, bool known, bool line, bool year)
{
    if (s < A_STREET)
        return 0;
    if (sure)
        return 92;
    if (known)
        return year && s != A_KNOWN_STREET ? 60 : 90;
    if (year)
        return line && s == A_KNOWN_STREET ? 60 : 30;
    return s == A_KNOWN_STREET ? 88 : line ? 72 : 40;
}

static void add_block(PiiText *t, size_t begin, size_t end, int confidence, const char *rule)
{
    if (confidence && begin < end)
        pii_add(t, begin, end, PII_ADDRESS, confidence, rule);
}

/* Most numbers of a text are none: the first digits, and what stands behind them. */
static bool may_be_code(const char *p, size_t n, size_t i)
{
    size_t d = 0;
    while (d < 6 && i + d < n && ch_digit(p[i + d]))
        d++;
    if (!d)
        return i + 5 < n && (ch_digit(p[i + 1]) || ch_digit(p[i + 2]));
    return d == 4 || d == 5 || (i + d + 1 < n && ch_digit(p[i + d + 1]) && (d == 2 ? p[i + d] == '-' : d == 3 && p[i + d] == ' '));
}

void pii_match_block(PiiText *t, size_t i)
{
    const char *rule = NULL, *form = NULL;
    size_t begin = i, start = 0;
    bool line = false;
    if (!may_be_code(t->p, t->n, i))
        return;
    const size_t lettered = code_behind_town(t, i, &begin, &rule);
    if (lettered) {
        const bool   british = rule[8] == 'u' && rule[9] == 'k';
        const Street s = find_street(t, begin, 3, british, &line, &start);
        /* "PSC 8526, Box 4482, APO AA 36246": the post of the forces, which knows no streets */
        const bool forces = begin > 4 && t->p[begin - 2] == 'O' && t->p[begin - 3] == 'P' && strchr("AFD", t->p[begin - 4]);
        add_block(t, start, begin + lettered, believed((forces || british) && s == A_UNIT ? A_STREET : s, true, false, line, false), rule);
        return;
    }
    if (!ch_digit(t->p[i]) || i < 2 || !strchr(" \n,-", t->p[i - 1]))
        return;
    if (i > 1 && t->p[i - 1] == '-' && ch_is(t->p[i - 2], CH_UPPER) && !(i > 2 && pii_word_before(t->p, i - 2)))
        begin = i - 2;
    const size_t n = pii_postcode(t, begin, &form);
    if (!n || begin < 2 || pii_word_before(t->p, begin) || !strchr(" \n,", t->p[begin - 1]))
        return;
    const size_t end = begin + n, town = town_behind(t, end, &line);
    const bool sure = begin < i || strcmp(form, "postcode-nl") == 0 || strcmp(form, "postcode-pl") == 0 || strcmp(form, "postcode-pt") == 0;
    if (town > end) {
        const bool year = n == 4 && (t->p[begin] == '1' || t->p[begin] == '2');
        const Street s = find_street(t, begin, 0, false, &line, &start);
        const int sureness = believed(s, sure, known_town(t, end), line, year);
        add_block(t, start, town, n == 4 && sureness > 70 && !sure ? sureness - 12 : sureness, "address-block");
    } else if (n == 5 && pii_closed(t, end)) { /* "Avenida Nieves 91\nVizcaya, 32182": the town stands before */
        const Street s = find_street(t, begin, 1, false, &line, &start);
        if (s == A_KNOWN_STREET || (s == A_STREET && line))
            add_block(t, start, end, 70, "address-block");
    }
}

void pii_match_box(PiiText *t, size_t i)
{
    const char *p = t->p;
    size_t k = i;
    if (!pii_preceded(t, i, PII_BEFORE_BOX))
        return;
    for (size_t digits = 0; k < t->n && digits < 8; digits++) {
        const size_t blank = k > i ? pii_space(p, t->n, k) : 0;
        if (k + blank >= t->n || !ch_digit(p[k + blank]))
            break;
        k += blank + 1;
    }
    if (!pii_word_char(p, t->n, k))
        pii_add(t, i, k, PII_ADDRESS, 75, "address-box");
}
