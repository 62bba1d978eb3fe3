/* pii_country.c - the countries whose numbers the rules know, and which of them the texts come from.
 * A rule belongs to a country by the two letters of its name: "de-tax-id", "fr" of "phone-fr". To add a country: a row, in the place of its bit. */
#include "prep/pii_int.h"

#include "base/cfg.h"

static const struct { char code[3], rule[3]; } countries[] = {
    { "AT", "at" }, { "BE", "be" }, { "BG", "bg" }, { "BR", "br" }, { "CA", "ca" }, { "CH", "ch" }, { "CZ", "cz" }, { "DE", "de" }, { "DK", "dk" }, { "EE", "ee" },
    { "ES", "es" }, { "FI", "fi" }, { "FR", "fr" }, { "GB", "uk" }, { "HR", "hr" }, { "IE", "ie" }, { "IT", "it" }, { "LT", "ee" }, { "LU", "lu" }, { "NL", "nl" },
    { "NO", "no" }, { "PL", "pl" }, { "PT", "pt" }, { "RO", "ro" }, { "SE", "se" }, { "SK", "cz" }, { "US", "us" }, { "UK", "uk" },
};

int pii_countries_read(const char *list, uint32_t *home, Err *e)
{
    Str item;
    *home = 0;
    while (list && cfg_list_each(&list, &item)) {
        size_t k = 0;
        while (k < ARRAY_LEN(countries) && !(item.n == 2 && ch_up(item.p[0]) == countries[k].code[0] && ch_up(item.p[1]) == countries[k].code[1]))
            k++;
        if (k < ARRAY_LEN(countries)) {
            *home |= (uint32_t)1 << k;
            continue;
        }
        StrBuf known = { 0 };
        for (size_t i = 0; i + 1 < ARRAY_LEN(countries); i++)
            strbuf_addf(&known, "%s%s", i ? ", " : "", countries[i].code);
        err_set(e, ERR_ARG, "personal data: no rules for the country \"%.*s\"; there are %s", (int)item.n, item.p, strbuf_z(&known));
        strbuf_release(&known);
        return ERR_ARG;
    }
    return 0;
}

PiiHome pii_home(const PiiScanner *s, const char *country)
{
    PiiHome is = HOME_OPEN;
    if (!s->home || !country[0] || !country[1] || (country[2] && country[2] != '-'))
        return HOME_OPEN;
    for (size_t k = 0; k < ARRAY_LEN(countries); k++)
        if (memcmp(countries[k].rule, country, 2) == 0) {
            if (s->home >> k & 1)
                return HOME_HERE;
            is = HOME_AWAY;
        }
    return is;
}
