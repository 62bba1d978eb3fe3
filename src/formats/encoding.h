/* encoding.h - any text to UTF-8, while it streams.
 *
 * A byte order mark decides for UTF-8, UTF-16 and UTF-32; UTF-16 without one is found by where its zero bytes stand. Everything else is read line by
 * line: a line that is valid UTF-8 stays as it is; a line that is not is converted from one older encoding, found from the letters of such lines
 * (tables of letter frequencies for Windows-1252, which ISO-8859-1 is a part of, ISO-8859-15, Windows-1250, ISO-8859-2, Windows-1251, KOI8-R, Windows-1254
 * and Windows-1253; the shape of the double bytes for Shift_JIS, EUC-JP, GBK, Big5 and EUC-KR). So a file that mixes both is read right, and says so in its report. A line with more whole UTF-8
 * characters than broken ones is damaged UTF-8, not another encoding; in a text that has lines of an older one with single bytes, the broken bytes are read as that. Bytes that fit nothing become U+FFFD, one each, and are counted and placed.
 * libc's iconv converts; finding out is done here.
 * An ambiguous text says so (unsure). A text of a given encoding of single bytes that has lines of UTF-8 is read as it was said, and says so too (misread).
 * Bounds: detection looks at ENCODING_PEEK bytes; a line longer than ENCODING_BLOCK is judged in pieces. */
#ifndef HONE_ENCODING_H
#define HONE_ENCODING_H

#include "base/err.h"
#include "base/str.h"

#define ENCODING_PEEK  ((size_t)256 << 10)
#define ENCODING_BLOCK ((size_t)1 << 20)
#define ENCODING_FIRST 16                       /* line numbers kept in a report */

typedef struct EncodingLines {
    uint64_t count;                             /* lines */
    int64_t  first[ENCODING_FIRST];             /* their numbers, from 1; the first min(count, ENCODING_FIRST) */
} EncodingLines;

typedef struct EncodingReport {
    const char   *name;      /* the file's encoding, or of its lines that are not UTF-8: "UTF-8", "windows-1252", ... */
    bool          guessed;   /* found by letters: several encodings were possible */
    bool          unsure;    /* the letters fit no language well, or two encodings alike: the text may be wrong, its encoding should be given */
    const char   *rival;     /* of an unsure one the other that fits nearly as well; NULL: no language fits well */
    bool          bom;
    bool          utf8;      /* valid UTF-8 beyond ASCII was met */
    EncodingLines converted; /* lines converted from `name` in a text that is read line by line; it is mixed when utf8 is true */
    EncodingLines replaced;  /* lines with at least one U+FFFD in place of bytes that fit nothing */
    EncodingLines misread;   /* lines that are UTF-8, and were read in the encoding that was given: letters became two or three others */
    uint64_t      characters;/* U+FFFD put in, all in all */
} EncodingReport;

/* Where the bytes come from; *n == 0 is the end. */
typedef int (*EncodingRead)(void *ctx, void *p, size_t cap, size_t *n, Err *e);

typedef struct Decoder Decoder;
/* encoding: NULL to find out, or any name that iconv knows: then the whole text is of that encoding. An unknown name is ERR_ARG.
 * where: what to call the text in errors. Reads the first ENCODING_PEEK bytes; what goes
 * wrong with them is told by decoder_read, when those before it are out. */
int  decoder_open(Decoder **d, EncodingRead read, void *ctx, const char *encoding, const char *where, Err *e);
int  decoder_read(Decoder *d, char *p, size_t cap, size_t *n, Err *e); /* up to cap bytes; *n == 0: the end */
uint64_t decoder_offset(const Decoder *d);                   /* of the byte that decoder_read gives next; the first of a text behind a UTF-8 mark has 3 */
char decoder_line_end(const Decoder *d);                     /* '\n', or '\r' when the first ENCODING_PEEK bytes have only those */
const EncodingReport *decoder_report(const Decoder *d);
/* The number of U+FFFD put in at output bytes [from, to); each range is asked once, in order. */
uint32_t decoder_replaced(Decoder *d, uint64_t from, uint64_t to);
uint32_t decoder_misread(Decoder *d, uint64_t from, uint64_t to); /* the same of the lines of UTF-8 that begin there and were read in a given encoding */
void decoder_close(Decoder *d);

/* A whole text at once; report may be NULL. */
int  encoding_to_utf8(StrBuf *out, Str text, const char *encoding, const char *where, EncodingReport *report, Err *e);

#endif
