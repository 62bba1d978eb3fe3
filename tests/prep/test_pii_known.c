/* test_pii_known.c - which columns hold persons and which of their values are names; a value of one text found in the others of its row; and a whole preparation, of
 * whose rows no text and no column keeps what stands replaced beside it. */
#include "base/check.h"

#include "base/mem.h"
#include "prep/pii_column.h"
#include "prep/pii_known.h"
#include "prep/prep.h"
#include "pii_scanner.h"

#include <stdio.h>

static void test_columns(void **state)
{
    (void)state;
    static const struct { const char *above, *name; PiiColumn column; } rows[] = {
        { "", "Kunde", PII_COLUMN_ROLE }, { "", "Kundenname", PII_COLUMN_PERSON }, { "", "Kunden-Name", PII_COLUMN_PERSON }, { "", "customerName", PII_COLUMN_PERSON },
        { "", "Customer Full Name", PII_COLUMN_PERSON }, { "", "Nachname", PII_COLUMN_PERSON }, { "", "first_name", PII_COLUMN_GIVEN }, { "", "Prénom", PII_COLUMN_GIVEN },
        { "", "Empfänger", PII_COLUMN_ROLE }, { "", "Käufername", PII_COLUMN_PERSON }, { "", "Ansprechpartnerin", PII_COLUMN_ROLE }, { "", "author", PII_COLUMN_ROLE },
        { "customer", "name", PII_COLUMN_PERSON }, { "product", "name", PII_COLUMN_THING }, { "", "name", PII_COLUMN_THING }, { "", "user_name", PII_COLUMN_ROLE },
        { "", "Kundennummer", PII_COLUMN_OTHER }, { "", "Kategorie", PII_COLUMN_OTHER }, { "", "filename", PII_COLUMN_OTHER }, { "", "productName", PII_COLUMN_OTHER },
        { "", "", PII_COLUMN_OTHER },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (pii_column_of(str_of(rows[i].above), str_of(rows[i].name)) != rows[i].column)
            fail_msg("%s.%s is %d", rows[i].above, rows[i].name, (int)pii_column_of(str_of(rows[i].above), str_of(rows[i].name)));
}

static void test_column_values(void **state)
{
    (void)state;
    static const struct { PiiColumn column; const char *value; bool heard, holds; } rows[] = {
        { PII_COLUMN_ROLE, "Petra Baumgärtner", false, true }, { PII_COLUMN_ROLE, "Xenilda Quorst", false, true }, { PII_COLUMN_ROLE, "Dr. Karl-Heinz O'Pálmar", false, true },
        { PII_COLUMN_ROLE, "Baumgärtner, Petra", false, true }, { PII_COLUMN_ROLE, "Ursula von der Quarnheide", false, true }, { PII_COLUMN_ROLE, "Schmidt", false, true },
        { PII_COLUMN_ROLE, "Vogel", true, true }, { PII_COLUMN_ROLE, "Neukunde", false, false }, { PII_COLUMN_ROLE, "new", false, false }, { PII_COLUMN_ROLE, "K-12345", false, false },
        { PII_COLUMN_ROLE, "Müller GmbH", false, false }, { PII_COLUMN_ROLE, "Support Team", false, false }, { PII_COLUMN_ROLE, "Key Account", false, false },
        { PII_COLUMN_ROLE, "anna@web.de", false, false }, { PII_COLUMN_PERSON, "Quorst", false, true }, { PII_COLUMN_PERSON, "petra baumgärtner", false, true },
        { PII_COLUMN_PERSON, "unbekannt", false, false }, { PII_COLUMN_PERSON, "", false, false }, { PII_COLUMN_PERSON, "siehe Akte 5", false, false },
        { PII_COLUMN_THING, "Petra Baumgärtner", false, true }, { PII_COLUMN_THING, "Router Comfort", false, false }, { PII_COLUMN_THING, "Petra", false, false },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const char *rule = NULL;
        if (pii_column_holds(scanner, rows[i].column, str_of(rows[i].value), rows[i].heard, &rule) != rows[i].holds)
            fail_msg("%s: expected %d", rows[i].value, rows[i].holds);
    }
}

/* What is found in `text` once `from` was read, as "kind:value" lines. */
static void check_known(const char *from, const char *column, const char *text, const char *want)
{
    PiiKnown *k = pii_known_new(scanner);
    PiiSpans  v = { 0 };
    StrBuf    got = { 0 };
    Err       e;
    assert_int_equal(pii_scan(scanner, str_of(from), &v, &e), 0);
    pii_known_take(k, str_of(from), &v);
    if (column)
        pii_known_person(k, str_of(column), "person-column");
    assert_int_equal(pii_scan(scanner, str_of(text), &v, &e), 0);
    pii_known_find(k, str_of(text), &v);
    for (size_t i = 0; i < v.n; i++) {
        assert_true(v.p[i].begin < v.p[i].end && v.p[i].end <= strlen(text) && (!i || v.p[i - 1].end <= v.p[i].begin));
        strbuf_addf(&got, "%s%s:%.*s", i ? "|" : "", pii_kind_info(v.p[i].kind)->name, (int)(v.p[i].end - v.p[i].begin), text + v.p[i].begin);
    }
    if (strcmp(strbuf_z(&got), want))
        fail_msg("of \"%s\" in \"%s\": %s, expected %s", from, text, strbuf_z(&got), want);
    strbuf_release(&got);
    vec_release(&v);
    pii_known_free(k);
}

static void test_known(void **state)
{
    (void)state;
    check_known("Viele Grüße\nPetra Baumgärtner", NULL, "Ich gab es Petra Baumgärtner mit.", "person:Petra Baumgärtner");
    check_known("Viele Grüße\nPetra Baumgärtner", NULL, "PETRA  BAUMGÄRTNER sagt, Baumgärtner kommt; petra baumgärtner auch", "person:PETRA  BAUMGÄRTNER|person:Baumgärtner|person:petra baumgärtner");
    check_known("", "Baumgärtner, Petra", "für Petra Baumgärtner, von Baumgärtner", "person:Petra Baumgärtner|person:Baumgärtner");
    check_known("", "Frau Dr. Xenilda Quorst", "Xenilda Quorst oder Quorst", "person:Xenilda Quorst|person:Quorst");
    check_known("", "Vogel", "Vogel", "person:Vogel");
    check_known("", "Dominik Sommer", "Im Sommer kam der Vogel, Sommer ist schön", ""); /* ordinary words are no names by themselves */
    check_known("Ich wohne Hauptstraße 12a, 10115 Berlin", NULL, "Hauptstraße 12a\n10115 Berlin", "address:Hauptstraße 12a\n10115 Berlin");
    check_known("Neu: Alten Markt 3, 80331 München", NULL, "in Alten Markt 3 und 80331 München, nicht Alten Markt 31", "address:Alten Markt 3|address:80331 München");
    check_known("Tel. 1234 5678", NULL, "unter 1234 5678 oder 1234 56789", "phone:1234 5678");
    check_known("geboren am 12.05.1985", NULL, "Stand: 12.05.1985", "birth_date:12.05.1985");
    check_known("Viele Grüße\nPetra Baumgärtner", NULL, "x/Baumgärtner.txt, der Baumgärtner, Baumgärtnerin", "");
    check_known("in Berlin", NULL, "Berlin ist groß", "");
}

/* The files of a preparation of one input. */
typedef struct Made { char *dir, *train, *decisions, *report; } Made;

static Made made_of(const char *name, const char *text, const char *prompt, const char *completion, const char *group)
{
    Made        m = { .dir = check_dir() };
    char       *in = path_join(m.dir, name), *out = path_join(m.dir, "data");
    PrepCfg     cfg = { 0 };
    PrepFacts   facts;
    Err         e = { 0 };
    const char *inputs[] = { in };
    assert_int_equal(file_write_atomic(in, text, strlen(text), &e), 0);
    cfg_defaults(prep_options, &cfg);
    free(cfg.out);
    cfg.out = mem_strdup(out);
    cfg.prompt = prompt ? mem_strdup(prompt) : cfg.prompt;
    cfg.completion = completion ? mem_strdup(completion) : cfg.completion;
    cfg.group = group ? mem_strdup(group) : cfg.group;
    cfg.quality = QUALITY_OFF;
    cfg.repair = false;
    cfg.duplicates = DUPLICATES_OFF;
    cfg.validation = cfg.test = 0;
    cfg.threads = 1;
    if (prep_run(&cfg, inputs, 1, &(PrepHooks){ 0 }, &facts, &e))
        fail_msg("%s", e.text);
    m.train = check_read(out, "train.jsonl");
    m.decisions = check_read(out, "decisions.jsonl");
    m.report = check_read(out, "report.html");
    cfg_release(prep_options, &cfg);
    free(in);
    free(out);
    return m;
}

static void made_done(Made *m)
{
    free(m->train);
    free(m->decisions);
    free(m->report);
    check_dir_done(m->dir);
}

static void check_gone(const Made *m, const char *value)
{
    const char *all[] = { m->train, m->decisions, m->report };
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        if (strstr(all[i], value))
            fail_msg("%s is left: %.400s", value, strstr(all[i], value) - MIN((size_t)100, (size_t)(strstr(all[i], value) - all[i])));
}

static void test_rows(void **state)
{
    (void)state;
    Made m = made_of("t.csv",
                     "Nr;Kunde;Kundennummer;Frage;Antwort\n"
                     "1;Petra Baumgärtner;K-12721;Ich finde die Rechnung meines Vertrages K-12721 nicht.;Guten Tag Baumgärtner, wir senden sie.\n"
                     "2;Xenilda Quorst;K-12722;Wann kommt das Paket für Xenilda Quorst an?;Es kommt morgen an.\n"
                     "3;Neukunde;K-12723;\"<p>Bitte an<br>Am Alten Markt 103b<br>80331 München</p>\";Es geht an: Am Alten Markt 103b in 80331 München.\n"
                     "4;Neukunde;K-12724;Unsere USt-IdNr. DE136695976 und Telefon +49 30 1234567 sind neu.;Danke für die Nachricht.\n"
                     "5;Neukunde;K-12725;Unsere USt-IdNr. DE136695976 ist neu und steht im Brief.;Danke für die Nachricht.\n",
                     "{Frage}", "{Antwort}", "Kundennummer");
    check_gone(&m, "Baumgärtner");
    check_gone(&m, "Petra");
    check_gone(&m, "Quorst");
    check_gone(&m, "Xenilda");
    check_gone(&m, "Alten Markt");
    check_gone(&m, "103b");
    assert_non_null(strstr(m.train, "\"Kunde\":\"Neukunde\"")); /* a sort of customer is no name */
    /* what was changed and what was only seen are told apart */
    assert_non_null(strstr(m.decisions, "\"line\":5,\"pass\":\"pii\",\"action\":\"edit\",\"reason\":\"phone\",\"kinds\":{\"phone\":1}"));
    assert_non_null(strstr(m.decisions, "\"line\":5,\"pass\":\"pii\",\"action\":\"note\",\"reason\":\"company_id\",\"kinds\":{\"company_id\":1}"));
    assert_non_null(strstr(m.decisions, "\"line\":6,\"pass\":\"pii\",\"action\":\"note\",\"reason\":\"company_id\",\"kinds\":{\"company_id\":1}"));
    /* the customer's number stays, and that is said */
    assert_non_null(strstr(m.train, "Vertrages K-12721"));
    assert_non_null(strstr(m.decisions, "\"reason\":\"the value of column Kundennummer stands in the texts and stays: it is of no kind\",\"times\":1"));
    assert_non_null(strstr(m.report, "column Kundennummer"));
    made_done(&m);
}

/* The name in its column and in the text become the same one. */
static void test_same_surrogate(void **state)
{
    (void)state;
    Made m = made_of("t.jsonl",
                     "{\"prompt\":\"Bitte um Antwort.\\nViele Grüße\\nPetra Baumgärtner\",\"completion\":\"Guten Tag Frau Baumgärtner, gern.\",\"customer\":{\"name\":\"Petra Baumgärtner\"},"
                     "\"note\":\"Petra Baumgärtner wartet\",\"agent\":\"Simon, Anna\"}\n",
                     NULL, NULL, NULL);
    char *at = strstr(m.train, "Grüße\\n"), name[128] = "", want[200];
    check_gone(&m, "Baumgärtner");
    check_gone(&m, "Simon");
    assert_non_null(at);
    assert_int_equal(sscanf(at + strlen("Grüße\\n"), "%127[^\"]", name), 1);
    snprintf(want, sizeof want, "\"name\":\"%s\"", name);
    assert_non_null(strstr(m.train, want));
    snprintf(want, sizeof want, "\"note\":\"%s wartet\"", name);
    assert_non_null(strstr(m.train, want));
    snprintf(want, sizeof want, "Frau %s,", strrchr(name, ' ') + 1);
    assert_non_null(strstr(m.train, want));
    made_done(&m);
}

/* A column of addresses: what is replaced does not stay. */
static void test_replaced_number(void **state)
{
    (void)state;
    Made m = made_of("t.csv", "mail;Frage;Antwort\nanna1@example.org;Schreibt bitte an anna1@example.org zurück.;Wir schreiben heute noch.\n", "{Frage}", "{Antwort}", "mail");
    check_gone(&m, "anna1");
    check_gone(&m, "stands in the texts and stays");
    made_done(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_columns), cmocka_unit_test(test_column_values), cmocka_unit_test(test_known), cmocka_unit_test(test_rows), cmocka_unit_test(test_same_surrogate), cmocka_unit_test(test_replaced_number),
    };
    return cmocka_run_group_tests(tests, scanner_setup, scanner_teardown);
}
