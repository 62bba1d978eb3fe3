/* base64.c - three bytes as four letters and back. Reading is strict: length a multiple of four, padding only at the end, the bits that padding
 * leaves over are zero, so that one sequence of bytes has one spelling. */
#include "base/base64.h"

static const char letters[64] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void base64_write(StrBuf *out, const void *p, size_t n)
{
    const unsigned char *b = p;
    for (size_t i = 0; i < n; i += 3) {
        size_t have = MIN(n - i, (size_t)3);
        uint32_t v = (uint32_t)b[i] << 16 | (have > 1 ? (uint32_t)b[i + 1] << 8 : 0) | (have > 2 ? b[i + 2] : 0);
        char four[4] = { letters[v >> 18], letters[v >> 12 & 63], have > 1 ? letters[v >> 6 & 63] : '=', have > 2 ? letters[v & 63] : '=' };
        strbuf_add(out, four, sizeof four);
    }
}

static int value_of(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

bool base64_read(StrBuf *out, Str text)
{
    if (text.n % 4)
        return false;
    for (size_t i = 0; i < text.n; i += 4) {
        bool last = i + 4 == text.n;
        size_t pad = last && text.p[i + 3] == '=' ? text.p[i + 2] == '=' ? 2 : 1 : 0;
        uint32_t v = 0;
        for (size_t k = 0; k < 4; k++) {
            int value = k >= 4 - pad ? 0 : value_of(text.p[i + k]);
            if (value < 0)
                return false;
            v = v << 6 | (uint32_t)value;
        }
        if (pad && v & (pad == 1 ? 0xFFu : 0xFFFFu))
            return false;
        char three[3] = { (char)(v >> 16), (char)(v >> 8), (char)v };
        strbuf_add(out, three, 3 - pad);
    }
    return true;
}
