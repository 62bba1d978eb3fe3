/* stranger.c - a stranger's text in messages; see stranger.h. To hide more characters: a row in ranges[]. */
#include "formats/stranger.h"

#include "base/utf8.h"

#include <stdio.h>

/* Control characters, line separators and direction marks: with them a file could rewrite the terminal that prints its error. */
static bool is_unprintable(uint32_t cp)
{
    static const struct { uint32_t first, last; } ranges[] = {
        { 0x00, 0x1f }, { 0x7f, 0x9f }, { 0x200e, 0x200f }, { 0x2028, 0x202e }, { 0x2066, 0x2069 },
    };
    for (size_t i = 0; i < ARRAY_LEN(ranges); i++)
        if (cp >= ranges[i].first && cp <= ranges[i].last)
            return true;
    return false;
}

bool is_printable(Str s)
{
    for (size_t i = 0; i < s.n; ) {
        uint32_t cp = 0;
        int len = utf8_decode(s.p + i, s.n - i, &cp);
        if (len < 0 || is_unprintable(cp))
            return false;
        i += (size_t)len;
    }
    return true;
}

Shown shown(Str s)
{
    Shown out;
    size_t n = 0, i = 0;
    while (i < s.n) {
        uint32_t cp = 0;
        int len = utf8_decode(s.p + i, s.n - i, &cp), put = len;
        char piece[16];
        if (len < 0)
            put = snprintf(piece, sizeof piece, "\\x%02x", (unsigned)(unsigned char)s.p[i]);
        else if (is_unprintable(cp))
            put = snprintf(piece, sizeof piece, "\\u{%x}", cp);
        else
            memcpy(piece, s.p + i, (size_t)len);
        if (n + (size_t)put > sizeof out.text - sizeof "...")
            break;
        memcpy(out.text + n, piece, (size_t)put);
        n += (size_t)put;
        i += len < 0 ? 1 : (size_t)len;
    }
    memcpy(out.text + n, i < s.n ? "..." : "", i < s.n ? sizeof "..." : 1);
    return out;
}

int refuse_lfs_pointer(const uint8_t *p, size_t n, Err *e)
{
    static const char lfs[] = "version https://git-lfs";
    if (n < sizeof lfs - 1 || memcmp(p, lfs, sizeof lfs - 1) != 0)
        return 0;
    return err_set(e, ERR_INPUT, "this is a Git LFS pointer and not the weights; fetch them with \"git lfs pull\".");
}
