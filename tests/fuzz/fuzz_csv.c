/* fuzz_csv.c - any bytes as CSV in a dialect that the first bytes choose, or that is found: cutting always goes on, what is whole in a part is whole in the
 * whole, and every row that splits is written and read back the same. */
#include "formats/csv.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

/* Written by csv_write_row, a row reads back as it was. */
static void round_trip(const CsvDialect *d, const CsvFields *f)
{
    StrBuf text = {0};
    CsvFields again = {0};
    csv_write_row(&text, d, true, f->field, f->n);
    CsvCut c = csv_cut(d, strbuf_str(&text), true, 0);
    BUG_ON(c.kind != CSV_RECORD || c.used != text.n || csv_split(&again, d, (Str){ text.p, c.n }, NULL) || again.n != f->n);
    for (size_t i = 0; i < f->n; i++)
        BUG_ON(!str_eq(again.field[i], f->field[i]));
    csv_fields_release(&again);
    strbuf_release(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    if (n < 2)
        return 0;
    static const char delimiters[] = ",;\t|", quotes[] = "\"'\"'";
    Str s = { (const char *)p + 2, n - 2 };
    CsvDialect d = { .delimiter = delimiters[p[0] & 3], .quote = quotes[p[0] >> 2 & 3], .escape = p[0] & 16 ? '\\' : 0, .doubled = (p[0] & 48) != 16,
                     .skip_space = p[0] & 64, .line_end = p[0] & 128 ? '\r' : '\n' };
    if (p[1] & 1) {
        csv_find_dialect(&d, s, p[1] & 2, d.line_end, NULL);
        csv_is_regular(&d, s, p[1] & 2);
    }
    CsvFields f = {0};
    Err e = {0};
    const size_t row_max = p[1] & 4 ? 64 : 0;
    for (size_t k = 0; k < s.n; ) {
        const Str rest = { s.p + k, s.n - k };
        const CsvCut part = csv_cut(&d, (Str){ rest.p, rest.n / 2 }, false, row_max), c = csv_cut(&d, rest, true, row_max);
        BUG_ON(c.kind == CSV_MORE || c.used == 0 || c.used > rest.n || c.n > c.used || c.bad_lines > c.lines + 1);
        BUG_ON(part.kind == CSV_RECORD && (c.kind != CSV_RECORD || part.n != c.n || part.used != c.used || part.lines != c.lines));
        BUG_ON(part.kind == CSV_MORE && row_max && rest.n / 2 > row_max);
        if (c.kind == CSV_RECORD && !csv_split(&f, &d, (Str){ rest.p, c.n }, &e) && d.quote)
            round_trip(&d, &f);
        BUG_ON(c.kind == CSV_RECORD && c.n < 1000 && csv_split(&f, &d, (Str){ rest.p, c.n }, &e)); /* a whole record splits: no bound is in reach */
        if (c.kind != CSV_RECORD && c.kind != CSV_TOO_LONG) {
            CsvCut whole = c, some = part;
            size_t budget = SIZE_MAX, same = SIZE_MAX;
            BUG_ON(!csv_resume(&d, rest, true, row_max, p[1] >> 3 & 7, &budget, &whole) || whole.used < c.used || whole.used > rest.n || whole.n > whole.used || whole.lines < c.lines);
            if (part.kind != CSV_MORE && csv_resume(&d, (Str){ rest.p, rest.n / 2 }, false, row_max, p[1] >> 3 & 7, &same, &some) && some.resumed)
                BUG_ON(some.used != whole.used || !whole.resumed);
            k += whole.used;
            continue;
        }
        k += c.used;
    }
    csv_fields_release(&f);
    return 0;
}
