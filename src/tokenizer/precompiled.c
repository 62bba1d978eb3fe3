/* precompiled.c - the character map of a SentencePiece model, as the Precompiled normaliser of tokenizer.json carries it.
 *
 * The map is base64 of: the size of a trie in bytes (32 bits, little-endian), the trie (a double array of 32-bit units in the layout of darts-clone),
 * then the texts that its values point at, each ended by a NUL. The library applies it in a way that is odd but is what models were trained
 * with, so it is done to the letter: a grapheme cluster shorter than six bytes is replaced whole by the text of the SHORTEST key that begins it,
 * marks behind it are lost; longer clusters, and those that no key begins, go character by character.
 *
 * Invariants: charsmap_parse walks all that any text could reach, so later no index leaves the trie and each value begins a text in valid UTF-8. */
#include <stdlib.h>

#include "base/base64.h"
#include "base/utf8.h"
#include "tokenizer/tok_int.h"

#define CHARSMAP_MAX ((size_t)16 << 20) /* bytes of base64; the largest in use has 0.4 MB */
#define KEY_MAX   256u                   /* bytes: a damaged trie may go in circles */
#define WHOLE_MAX    6u                 /* bytes: shorter clusters are looked up whole */

struct Charsmap {
    uint32_t *units;
    size_t    n;
    char     *texts; /* ends with a NUL */
    size_t    ntexts;
    bool      longest; /* as SentencePiece itself does it, for its own files: see source.h */
};

/* What a unit says: the label that leads to it, where its children lie, whether a key ends at it, and (in a leaf) the value. */
static uint32_t unit_label(uint32_t u)  { return u & 0x800000FFu; }
static uint32_t unit_offset(uint32_t u) { return (u >> 10) << ((u >> 6) & 8u); }
static bool     unit_ends(uint32_t u)   { return u >> 8 & 1u; }
static uint32_t unit_value(uint32_t u)  { return u & 0x7FFFFFFFu; }

/* Visits every unit that a lookup can reach; false when one of them points outside. */
static bool reach_all(const Charsmap *m)
{
    VEC(uint32_t) queue = { 0 };
    bool *seen = mem_zalloc(m->n, sizeof *seen), good = m->n > 0;
    *vec_push(&queue) = 0;
    for (size_t k = 0; k < queue.n && good; k++) {
        uint32_t node = queue.p[k], unit = m->units[node], base = node ^ unit_offset(unit);
        good = base < m->n;
        if (good && k && unit_ends(unit)) {
            uint32_t value = unit_value(m->units[base]);
            good = value < m->ntexts && ((unsigned char)m->texts[value] & 0xC0) != 0x80;
        }
        for (uint32_t c = 1; good && c < 256; c++) {
            uint32_t child = base ^ c;
            if (child >= m->n || unit_label(m->units[child]) != c || seen[child])
                continue;
            seen[child] = true;
            *vec_push(&queue) = child;
        }
    }
    free(seen);
    vec_release(&queue);
    return good;
}

int charsmap_parse(Charsmap **out, Str base64, bool longest, const char *where, Err *e)
{
    StrBuf raw = { 0 };
    Charsmap *m = *out = mem_zalloc(1, sizeof *m);
    int rc = 0;
    size_t size = 0;
    m->longest = longest;
    if (base64.n > CHARSMAP_MAX)
        rc = err_set(e, ERR_INPUT, "%s: a character map of %zu bytes is longer than the %zu that hone accepts", where, base64.n, CHARSMAP_MAX);
    else if (!base64_read(&raw, base64) || raw.n < 4)
        rc = err_set(e, ERR_INPUT, "%s: \"precompiled_charsmap\" should be base64 of a character map", where);
    if (rc)
        goto done;
    const unsigned char *b = (const unsigned char *)raw.p;
    size = (size_t)b[0] | (size_t)b[1] << 8 | (size_t)b[2] << 16 | (size_t)b[3] << 24;
    if (size % 4 || !size || size > raw.n - 4 || !utf8_valid((Str){ raw.p + 4 + size, raw.n - 4 - size }, NULL)) {
        rc = err_set(e, ERR_INPUT, "%s: the character map is damaged: it should hold a trie of %zu bytes and texts in UTF-8, it has %zu bytes", where, size, raw.n - 4);
        goto done;
    }
    m->n = size / 4;
    m->units = mem_alloc(size);
    for (size_t i = 0; i < m->n; i++)
        m->units[i] = (uint32_t)b[4 + 4 * i] | (uint32_t)b[5 + 4 * i] << 8 | (uint32_t)b[6 + 4 * i] << 16 | (uint32_t)b[7 + 4 * i] << 24;
    m->ntexts = raw.n - 4 - size;
    m->texts = mem_alloc(m->ntexts + 1);
    memcpy(m->texts, raw.p + 4 + size, m->ntexts);
    m->texts[m->ntexts] = '\0';
    if (!reach_all(m))
        rc = err_set(e, ERR_INPUT, "%s: the character map is damaged: its trie points outside of itself or of its texts", where);
done:
    strbuf_release(&raw);
    return rc;
}

void charsmap_free(Charsmap *m)
{
    if (!m)
        return;
    free(m->units);
    free(m->texts);
    free(m);
}

/* The text of the shortest key that begins s; {NULL, 0}: none does. */
static Str find(const Charsmap *m, const char *p, size_t n)
{
    uint32_t node = unit_offset(m->units[0]);
    for (size_t i = 0; i < n && p[i]; i++) {
        uint32_t c = (unsigned char)p[i];
        node ^= c;
        if (node >= m->n || unit_label(m->units[node]) != c)
            break;
        uint32_t unit = m->units[node];
        node ^= unit_offset(unit);
        if (unit_ends(unit))
            return str_of(m->texts + unit_value(m->units[node]));
    }
    return (Str){ NULL, 0 };
}

/* The text of the longest key that begins s, and where it ends (between characters; a key that does not is none). */
static Str find_longest(const Charsmap *m, const char *p, size_t n, size_t *end)
{
    uint32_t node = unit_offset(m->units[0]);
    Str found = { NULL, 0 };
    for (size_t i = 0; i < n && i < KEY_MAX && p[i]; i++) {
        uint32_t c = (unsigned char)p[i];
        node ^= c;
        if (node >= m->n || unit_label(m->units[node]) != c)
            break;
        uint32_t unit = m->units[node];
        node ^= unit_offset(unit);
        if (unit_ends(unit) && (i + 1 == n || ((unsigned char)p[i + 1] & 0xC0) != 0x80)) {
            found = str_of(m->texts + unit_value(m->units[node]));
            *end = i + 1;
        }
    }
    return found;
}

static void write_longest(Work *w, const Charsmap *m, Piece p)
{
    Str s = { w->text.p + p.begin, p.end - p.begin };
    for (size_t i = 0, n; i < s.n; i += n) {
        uint32_t cp;
        Str to = find_longest(m, s.p + i, s.n - i, &n);
        if (to.p) {
            work_put(w, to.p, to.n, work_align(w, p.begin + i, p.begin + i + n));
        } else {
            n = (size_t)utf8_decode(s.p + i, s.n - i, &cp);
            work_copy(w, p.begin + i, p.begin + i + n);
        }
    }
}

static int count_chars(Str s)
{
    int n = 0;
    for (size_t i = 0; i < s.n; i++)
        n += ((unsigned char)s.p[i] & 0xC0) != 0x80;
    return n;
}

/* The library counts characters that go to the one written last (see work_origins). With none before, they are not counted, and all that
 * follows seems to begin too early. */
static void replace(Work *w, size_t begin, size_t end, Str to)
{
    work_put(w, to.p, to.n, work_align(w, begin, end));
    if (!w->aligned)
        return;
    int old = count_chars((Str){ w->text.p + begin, end - begin }), now = count_chars(to);
    for (int k = 0; k < now; k++)
        *vec_push(&w->changes) = k >= old;
    if (now < old && w->changes.n)
        w->changes.p[w->changes.n - 1] -= old - now;
}

void charsmap_write(Work *w, const Charsmap *m, Piece p)
{
    Str s = { w->text.p + p.begin, p.end - p.begin };
    if (m->longest) {
        write_longest(w, m, p);
        return;
    }
    size_t written = work_written(w);
    vec_clear(&w->changes);
    for (size_t i = 0, end; i < s.n; i = end) {
        end = i + 1 < s.n && ((unsigned char)s.p[i] | (unsigned char)s.p[i + 1]) < 0x80 && s.p[i] != '\r' ? i + 1 : grapheme_end(s, i);
        Str whole = end - i < WHOLE_MAX ? find(m, s.p + i, end - i) : (Str){ NULL, 0 };
        if (whole.p) {
            replace(w, p.begin + i, p.begin + end, whole);
            continue;
        }
        for (size_t at = i, len; at < end; at += len) {
            uint32_t cp;
            len = (size_t)utf8_decode(s.p + at, end - at, &cp);
            Str one = find(m, s.p + at, len);
            replace(w, p.begin + at, p.begin + at + len, one.p ? one : (Str){ s.p + at, len });
        }
    }
    if (w->aligned)
        work_origins(w, p.begin, p.end, written);
}
