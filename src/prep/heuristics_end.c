/* heuristics_end.c - whether an answer breaks off. What can be told: an open fence, bracket or mark, an item of a list without its text, a last word or sign
 * that something has to follow in the answer's language, a last sentence without a full stop among sentences that have one, a letter that has neither a full stop nor
 * a closing. What cannot: a cut at the end of a sentence or of an item, and a half word where nothing else in the answer ends with a full stop.
 * tools/judge_truncated.py measures both kinds of error.
 * Source code and commands may end on anything: only fences, items and rows of tables count there.
 * To add a language: a row of tails[]. */
#include "prep/heuristics_int.h"
#include "prep/language.h"

#include <strings.h>

/* Words of one language behind which more has to come, small letters, each between spaces. `always` end no sentence at all; `hardly` do now and then ("as soon as
 * you can", "Rufen Sie uns an"), so they count only in a text that is long enough to be a sentence. */
static const struct { const char *code, *always, *hardly; } tails[] = {
    { "en",
      " the a an and or but nor of into onto upon than because although whereas unless whether as my your our their its his every very if while during per via we they "
      "he she i am which whose when i'm i'll we'll you'll we're you're they're it's that's don't ",
      " to with for from at by that is are was were be been has had have will would can could may might must shall should this these those not in on between "
      "within without until so such where how you then each let please however therefore additionally " },
    { "de",
      " der den dem des eine einen einem einer eines und oder aber sondern denn weil dass da\xC3\x9F ob wenn f\xC3\xBCr ohne gegen zwischen w\xC3\xA4hrend wegen trotz sowie beziehungsweise sehr mein meine "
      "meinen ihre ihren ihrem ihrer unsere unseren unserem unserer im am zum zur beim vom ins wir ich damit indem sobald ",
      " die das von durch als wie in \xC3\xBC" "ber unter seit bis ist sind war wird werden kann k\xC3\xB6nnen muss m\xC3\xBCssen soll sollte sollten hat haben nicht auch "
      "bitte sich sie ihr er es man nur noch so diese dieser dieses dann da welche welcher " },
    { "fr",
      " le la les un une des du de et ou mais que qui dont \xC3\xA0 au aux par dans chez car parce lorsque quand si votre vos leur leurs mon ma mes ses son sa ce cet cette ces "
      "je il elle ils elles ne se tr\xC3\xA8s afin ",
      " avec pour sans sous sur entre vers comme notre nos nous vous on est sont \xC3\xA9tait sera peut peuvent doit doivent a ont avez avons plus pas en y o\xC3\xB9 avant apr\xC3\xA8s pendant depuis "
      "aussi tout tous toute toutes chaque soit " },
    { "es",
      " el la los las un una unos unas de del al y o pero sino que con por en sin desde hasta porque cuando si su sus mi tu nuestro nuestra nuestros nuestras muy se cuyo cuya ",
      " para sobre entre como este esta estos estas ese esa es son est\xC3\xA1 est\xC3\xA1n era ser\xC3\xA1 puede pueden debe deben ha han hay no nos le lo me te m\xC3\xA1s tambi\xC3\xA9n donde cada todo todos antes "
      "despu\xC3\xA9s a e u " },
    { "it",
      " il la gli un uno una di del dello della dei degli delle al allo alla ai agli alle dal dalla dai nel nella nei nelle con sul sulla sui e ed o ma che per tra fra quando se suo sua suoi "
      "vostro vostra nostro nostra molto si i affinch\xC3\xA9 poich\xC3\xA9 ",
      " lo le a da in su come perch\xC3\xA9 cui \xC3\xA8 sono era sar\xC3\xA0 pu\xC3\xB2 possono deve devono ha hanno non ci vi mi pi\xC3\xB9 anche dove questo questa questi queste ogni tutto tutti tutte prima dopo senza " },
    { "nl",
      " de het een en of maar want omdat van met te zonder tussen tijdens wegens uw mijn onze zeer indien zodat terwijl wanneer wij ik ",
      " dat die voor aan in op bij om door naar over uit tot als is zijn was wordt worden kan kunnen moet moeten zal zullen heeft hebben niet ook u je we ze zij hij er dan deze dit elke nog alleen "
      "onder na sinds waar wie hoe " },
    { "pt",
      " o os um uma de do da dos das ao \xC3\xA0 aos e ou mas que com por em no na nos nas sem porque quando se seu sua seus suas nosso nossa muito pelo pela ",
      " a as para sobre entre como este esta \xC3\xA9 s\xC3\xA3o est\xC3\xA1 pode podem deve devem tem n\xC3\xA3o mais tamb\xC3\xA9m onde cada " },
};

#define SURE_WORDS  3 /* in an answer that ends on a word of `always` */
#define HARDLY_WORDS 6
#define TAIL_WORDS  4 /* of a last sentence without an end; a shorter one only behind two that have one */
#define FAREWELL_WORDS 8 /* a last sentence of so many words at most may be a farewell, which has no full stop */
#define LETTER_WORDS 8 /* of the only sentence of a letter; a shorter one may be a note: "Dear Ms Miller, the invoice is attached" */
#define WRAPPED_BYTES 40 /* a line of so many that ends no sentence goes on in the next one: mails are broken at 60 to 80 columns */
#define PARAGRAPH_WORDS 12 /* of a last paragraph that is one sentence without an end; shorter ones are headings, signatures and "Let me know if you need more" */
static const char *const thanks[] = { "thank", "regards", "wishes", "cheers", "bye", "sincerely", "yours", "danke", "gr\xC3\xBC\xC3\x9F", "gru\xC3\x9F", "mfg", "merci", "cordialement", "gracias", "saludo",
                                      "grazie", "saluti", "bedankt", "groet", "dank", "obrigad" };
static const char *const courtesies[] = { "hope", "welcome", "sorry", "please", "bitte", "team" };

static size_t line_start(Str s, size_t at) /* of the line that s.p[at - 1] is in */
{
    while (at > 0 && s.p[at - 1] != '\n')
        at--;
    return at;
}

/* An odd number of lines that begin with ``` */
static bool fence_open(Str s)
{
    bool open = false;
    for (size_t at = 0; at < s.n;) {
        const char *end = memchr(s.p + at, '\n', s.n - at);
        const size_t len = end ? (size_t)(end - (s.p + at)) : s.n - at;
        const Str line = text_trim((Str){ s.p + at, len });
        open = open != (line.n >= 3 && memcmp(line.p, "```", 3) == 0);
        at += len + 1;
    }
    return open;
}

/* ---- lists and tables -------------------------------------------------------------------------------------------------------------------------------- */

/* The mark that a line begins with ("-", "*", "12."), its length; 0: none. *number: of a numbered one, else -1. */
static size_t list_mark(Str line, long *number)
{
    size_t n = 0;
    *number = -1;
    while (n < line.n && n < 4 && line.p[n] >= '0' && line.p[n] <= '9')
        n++;
    if (n && n < line.n && (line.p[n] == '.' || line.p[n] == ')') && (n + 1 == line.n || line.p[n + 1] == ' ')) {
        *number = 0;
        for (size_t i = 0; i < n; i++)
            *number = *number * 10 + line.p[i] - '0';
        return n + 1;
    }
    if (line.n && strchr("-*+", *line.p) && (line.n == 1 || line.p[1] == ' '))
        return 1;
    return str_starts(line, "\xE2\x80\xA2") ? 3 : 0;
}

static Str line_before(Str s, size_t start) /* the last line with text before s.p[start] */
{
    Str line = { s.p, 0 };
    while (start > 0 && !line.n) {
        const size_t from = line_start(s, start - 1);
        line = text_trim((Str){ s.p + from, start - 1 - from });
        start = from;
    }
    return line;
}

/* The last line is nothing but the mark of a next item, or a table's row that does not reach its last cell. */
static bool item_open(Str s)
{
    const size_t start = line_start(s, s.n);
    const Str    line = text_trim((Str){ s.p + start, s.n - start }), before = line_before(s, start);
    long         number, earlier;
    if (!before.n)
        return false;
    const size_t mark = list_mark(line, &number);
    if (mark && mark == line.n && list_mark(before, &earlier)) /* a lone "42." below text is an answer */
        return number < 0 ? earlier < 0 : number == earlier + 1;
    return *line.p == '|' && line.p[line.n - 1] != '|' && *before.p == '|' && before.p[before.n - 1] == '|';
}

/* ---- the last paragraph ------------------------------------------------------------------------------------------------------------------------------- */

static Str last_paragraph(Str s)
{
    size_t from = s.n;
    while (from > 0 && !(from >= 2 && s.p[from - 1] == '\n' && s.p[from - 2] == '\n'))
        from--;
    return (Str){ s.p + from, s.n - from };
}

/* Brackets that stay open; one that closes nothing is none of ours ("a)" in lists and shell patterns), an emoticon neither; nor what stands in `code`. */
static bool bracket_open(Str s)
{
    int  depth[3] = { 0 };
    bool code = false;
    for (size_t i = 0; i < s.n; i++) {
        code = code != (s.p[i] == '`');
        if (code || (i && memchr("\\'\":;", s.p[i - 1], 5)))
            continue;
        switch (s.p[i]) {
        case '(': depth[0]++; break;
        case '[': depth[1]++; break;
        case '{': depth[2]++; break;
        case ')': depth[0] -= depth[0] > 0; break;
        case ']': depth[1] -= depth[1] > 0; break;
        case '}': depth[2] -= depth[2] > 0; break;
        default:  break;
        }
    }
    return depth[0] > 0 || depth[1] > 0 || depth[2] > 0;
}

/* `code or **bold that does not end. */
static bool mark_open(Str s)
{
    size_t ticks = 0, bold = 0;
    for (size_t i = 0; i < s.n; i++) {
        ticks += s.p[i] == '`';
        if (s.p[i] == '*' && i + 1 < s.n && s.p[i + 1] == '*') {
            bold += !(i + 2 < s.n && s.p[i + 2] == '*') && !(i && s.p[i - 1] == '*');
            i++;
        }
    }
    return (ticks & 1) || (bold & 1);
}

/* ---- the last sign and the last word -------------------------------------------------------------------------------------------------------------------- */

static uint32_t last_letter(Str s, size_t *len)
{
    uint32_t cp = 0;
    size_t   k = s.n ? 1 : 0;
    while (k && k < 4 && k < s.n && ((unsigned char)s.p[s.n - k] & 0xC0) == 0x80)
        k++;
    *len = k;
    return k && utf8_decode(s.p + s.n - k, k, &cp) > 0 ? cp : 0;
}

/* How sure a last sign alone makes it. */
static float sign_open(Str s)
{
    static const struct { const char *sign; float sure; bool spaced; } signs[] = { /* spaced: only where a space stands before it */
        { ",", 0.9f, false },  { ":", 0.85f, false }, { "(", 0.9f, false }, { "[", 0.9f, false }, { "{", 0.9f, false }, { ";", 0.8f, false }, { "...", 0.8f, false },
        { "\xE2\x80\xA6", 0.8f, false }, { "-", 0.85f, true }, { "\xE2\x80\x93", 0.85f, true }, { "\xE2\x80\x94", 0.85f, true }, { "=", 0.85f, true }, { "+", 0.85f, true },
        { "*", 0.85f, true },  { "/", 0.85f, true },  { "&", 0.85f, true }, { "$", 0.85f, true },  { "\xE2\x82\xAC", 0.8f, true }, { "\"", 0.8f, true }, { "#", 0.8f, true },
        { "\xE2\x80\x9E", 0.9f, false }, { "\xE2\x80\x9C", 0.8f, true }, { "\xC2\xAB", 0.8f, true },
    };
    for (size_t i = 0; i < ARRAY_LEN(signs); i++) {
        const size_t n = strlen(signs[i].sign);
        size_t       k = s.n - MIN(s.n, n);
        if (!str_ends(s, signs[i].sign))
            continue;
        while (signs[i].spaced && k && s.p[k - 1] == signs[i].sign[0] && n == 1) /* "####" */
            k--;
        if (k && (!signs[i].spaced || s.p[k - 1] == ' ' || s.p[k - 1] == '\n'))
            return signs[i].sure;
    }
    /* a word that is broken at the line's end */
    size_t len;
    return s.n > 2 && s.p[s.n - 1] == '-' && utf8_is_lower(last_letter((Str){ s.p, s.n - 1 }, &len)) ? 0.85f : 0;
}

static bool in_list(const char *list, const char *word)
{
    return strstr(list, word) != NULL; /* both with spaces around */
}

/* The last word, small, between spaces; false: longer than any of ours. */
static bool last_word(Str s, char out[32])
{
    size_t from = s.n;
    while (from > 0 && !memchr(" \n\t(\"", s.p[from - 1], 5))
        from--;
    const Str w = { s.p + from, s.n - from };
    if (!w.n || w.n > 28 || !utf8_valid(w, NULL))
        return false;
    StrBuf small = { 0 };
    utf8_lower(&small, w);
    const bool fits = small.n <= 28 && !memchr(small.p, 0, small.n);
    if (fits) {
        out[0] = ' ';
        memcpy(out + 1, small.p, small.n);
        memcpy(out + 1 + small.n, " ", 2);
    }
    strbuf_release(&small);
    return fits;
}

static float word_open(Str s, const char *code, size_t words)
{
    char word[32];
    if (words < SURE_WORDS || !last_word(s, word))
        return 0;
    const size_t n = strlen(word);
    if ((strcmp(code, "fr") == 0 || strcmp(code, "it") == 0) && n > 3 && (word[n - 2] == '\'' || (n > 5 && memcmp(word + n - 4, "\xE2\x80\x99", 3) == 0)))
        return 0.9f; /* l', dell' */
    for (size_t i = 0; i < ARRAY_LEN(tails); i++)
        if (strcmp(tails[i].code, code) == 0)
            return in_list(tails[i].always, word) ? 0.9f : words >= HARDLY_WORDS && in_list(tails[i].hardly, word) ? 0.8f : 0;
    return 0;
}

/* ---- a sentence without its end -------------------------------------------------------------------------------------------------------------------------- */

/* Sentences that end, and where the one behind them begins. */
static size_t sentence_ends(Str s, size_t *tail)
{
    size_t ends = 0;
    for (size_t i = 2; i < s.n; i++) {
        size_t k = i;
        if ((s.p[i] != ' ' && s.p[i] != '\n'))
            continue;
        while (k > 0 && memchr("\"')*", s.p[k - 1], 4)) /* the quotation that the sentence was in */
            k--;
        const bool letter = k > 1 && ((unsigned char)s.p[k - 2] >= 0x80 || (s.p[k - 2] | 0x20) >= 'a' || memchr(")0123456789%\"'", s.p[k - 2], 15));
        if (k > 2 && memchr(".!?", s.p[k - 1], 3) && letter && s.p[k - 3] != ' ' && s.p[k - 3] != '\n') { /* not an initial, nor the number of an item */
            ends++;
            *tail = i + 1;
        }
    }
    return ends;
}

/* Where the text begins that the last line ends: the line itself, and those before it that were broken to fit a width. */
static size_t flow_start(Str s)
{
    size_t start = line_start(s, s.n);
    while (start > 1) {
        const size_t from = line_start(s, start - 1);
        const Str    line = text_trim((Str){ s.p + from, start - 1 - from });
        if (line.n < WRAPPED_BYTES || memchr(".!?:|", line.p[line.n - 1], 5))
            break;
        start = from;
    }
    return start;
}

/* How many words begin with small letters; *words: all. */
static size_t small_words(Str s, size_t *words)
{
    size_t small = 0;
    *words = 0;
    for (size_t i = 0; i < s.n; i++) {
        uint32_t cp = 0;
        if ((i && !memchr(" \n", s.p[i - 1], 2)) || memchr(" \n", s.p[i], 2))
            continue;
        ++*words;
        small += utf8_decode(s.p + i, s.n - i, &cp) > 0 && utf8_is_lower(cp);
    }
    return small;
}

/* Running text: most of its words begin with small letters, as those of headings, signatures and addresses do not. */
static bool is_running(Str s)
{
    size_t       words;
    const size_t small = small_words(s, &words);
    return words >= PARAGRAPH_WORDS && small * 2 > words;
}

static bool sentence_open(Str s)
{
    size_t       tail = 0, spaces = 0, len;
    const size_t ends = sentence_ends(s, &tail);
    long         number;
    if (!ends || !utf8_is_alpha(last_letter(s, &len)))
        return false;
    for (size_t i = tail; i < s.n; i++)
        spaces += s.p[i] == ' ';
    const Str end = { s.p + tail, s.n - tail };
    size_t    words;
    if ((spaces + 1 < TAIL_WORDS && (ends < 2 || (tail == line_start(s, s.n) && !small_words(end, &words)))) || /* a name below the last sentence is a signature */
        (spaces < FAREWELL_WORDS && (text_has_any(end, thanks, ARRAY_LEN(thanks)) || text_has_any(end, courtesies, ARRAY_LEN(courtesies)))))
        return false;
    const size_t start = flow_start(s);
    const Str    line = text_trim((Str){ s.p + start, s.n - start });
    if (tail < start && !is_running(line)) /* no sentence of a paragraph: a heading, an item, a signature */
        return false;
    return !list_mark(line, &number) && *line.p != '|' && *line.p != '#';
}

/* A letter begins with a formal salutation in a line of its own, and goes on to a full stop and a closing. One that has a single sentence, and that without an end,
 * is cut. (Those to friends often have no full stop.) */
static bool letter_open(Str s)
{
    static const char *const salutations[] = {
        "dear ", "good morning ", "good afternoon ", "good day ", "sehr geehrte", "guten tag", "guten morgen", "guten abend", "gr\xC3\xBC\xC3\x9F gott", "bonjour ", "madame", "monsieur",
        "ch\xC3\xA8re madame", "cher monsieur", "estimad", "buenos d\xC3\xAD" "as", "buenas tardes", "gentile ", "gentili ", "egregi", "buongiorno ", "geachte ", "prezad",
    };
    const char *lf = memchr(s.p, '\n', s.n);
    const Str   first = text_trim((Str){ s.p, lf ? (size_t)(lf - s.p) : 0 });
    size_t      tail = 0, len, words;
    bool        formal = false;
    for (size_t i = 0; i < ARRAY_LEN(salutations) && first.n <= 80; i++)
        formal = formal || (first.n >= strlen(salutations[i]) && strncasecmp(first.p, salutations[i], strlen(salutations[i])) == 0);
    if (!formal || !memchr(",!:", first.p[first.n - 1], 3) || !utf8_is_alpha(last_letter(s, &len)))
        return false;
    const Str  body = text_trim((Str){ lf, s.n - (size_t)(lf - s.p) });
    const bool running = small_words(body, &words) * 3 > words && words >= LETTER_WORDS; /* a third: German nouns have capitals */
    return running && !memchr(body.p, '\n', body.n) && !sentence_ends(body, &tail) && !text_has_any(body, thanks, ARRAY_LEN(thanks));
}

float ends_truncated(Str s, const TextCounts *c)
{
    if (fence_open(s))
        return 1;
    if (s.n && item_open(s))
        return 0.95f;
    if (!s.n || str_ends(s, "```") || c->letters * 2 < c->solid)
        return 0;
    LanguageGuess g;
    language_guess(s, &g);
    if (strcmp(g.code, "code") == 0)
        return 0;
    const Str  paragraph = last_paragraph(s);
    const bool prose = c->words >= 8 && c->letters * 10 >= c->solid * 6;
    float      sure = c->words >= SURE_WORDS ? sign_open(s) : 0;
    sure = MAX(sure, word_open(s, strcmp(g.code, "und") ? g.code : "en", c->words));
    const bool ended = strchr(".!?", s.p[s.n - 1]) && s.p[s.n - 1]; /* a sentence that ends with its bracket still open was written so */
    if (prose && !ended && (bracket_open(paragraph) || mark_open(paragraph) || sentence_open(s) || letter_open(s)))
        sure = MAX(sure, 0.8f);
    return sure;
}
