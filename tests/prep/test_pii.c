/* test_pii.c - what the scan finds and what it must not find; places in bytes; the choice among overlaps; the same from any thread.
 * The check digits are judged by python-stdnum (golden/pii_ids.txt, made by tools/golden_pii.py). */
#include "base/check.h"

#include "base/thread.h"
#include "base/utf8.h"
#include "prep/pii.h"
#include "pii_scanner.h"

#include <stdio.h>

/* Exactly these findings, written "kind:value", in this order; NULL ends. */
static void check_finds(const char *text, const char *const *want)
{
    PiiSpans v = {0};
    Err e;
    assert_int_equal(pii_scan(scanner, str_of(text), &v, &e), 0);
    StrBuf got = {0}, expected = {0};
    for (size_t i = 0; i < v.n; i++)
        strbuf_addf(&got, "%s:%.*s\n", pii_kind_info(v.p[i].kind)->name, (int)(v.p[i].end - v.p[i].begin), text + v.p[i].begin);
    for (; *want; want++)
        strbuf_addf(&expected, "%s\n", *want);
    if (!str_eq(strbuf_str(&got), strbuf_str(&expected)))
        fail_msg("in: %s\nfound:\n%sexpected:\n%s", text, strbuf_z(&got), strbuf_z(&expected));
    strbuf_release(&got);
    strbuf_release(&expected);
    vec_release(&v);
}
#define FINDS(text, ...) check_finds(text, (const char *const[]){ __VA_ARGS__, NULL })
#define FINDS_NOTHING(text) check_finds(text, (const char *const[]){ NULL })

static void test_net(void **state)
{
    (void)state;
    FINDS("Schreiben Sie an max.muster+neu@post.example.de.", "email:max.muster+neu@post.example.de");
    FINDS("<jürgen@müller.de>", "email:jürgen@müller.de");
    FINDS("\"john doe\"@example.org", "email:\"john doe\"@example.org");
    FINDS("a@b.co,c_d@e-f.museum", "email:a@b.co", "email:c_d@e-f.museum");
    FINDS_NOTHING("user@host and @name, foo@, @bar.com, x@y.1 git@github.com:org/repo.git");
    FINDS("https://bob:s3cret@host.org/x", "url_login:bob:s3cret");
    FINDS_NOTHING("https://host.org:8080/a@b");
    FINDS("client 84.12.7.201 logged in", "ip:84.12.7.201");
    FINDS_NOTHING("version 1.2.3.4, 127.0.0.1, 255.255.255.0, 300.1.1.1, 1.2.3.4.5");
    FINDS("2001:db8:85a3::8a2e:370:7334 fe80::1ff:fe23:4567:890a", "ip:2001:db8:85a3::8a2e:370:7334", "ip:fe80::1ff:fe23:4567:890a");
    FINDS_NOTHING("std::vector a::b 12:30:45 ::1");
    FINDS("00:1B:44:11:3A:B7 and AA-BB-CC-DD-EE-FF", "mac:00:1B:44:11:3A:B7", "mac:AA-BB-CC-DD-EE-FF");
    FINDS_NOTHING("00:1B:44:11:3A:B7:01 00:1B-44:11:3A:B7");
    /* spelt out */
    FINDS("Kontakt: frau.schulze (at) firma-beispiel (dot) de", "email:frau.schulze (at) firma-beispiel (dot) de");
    FINDS("frau.schulze [at] firma-beispiel.de, danke", "email:frau.schulze [at] firma-beispiel.de");
    FINDS("an info(at)post.example.org.", "email:info(at)post.example.org");
    FINDS("(max {dot} muster { AT } mail {dot} example {dot} com)", "email:max {dot} muster { AT } mail {dot} example {dot} com");
    FINDS("jo_lu [ät] web [Punkt] de oder so", "email:jo_lu [ät] web [Punkt] de");
    FINDS("write to jo.lu at example dot org today", "email:jo.lu at example dot org");
    FINDS_NOTHING("python3.11 (a fork dot net of course), utils_v2 [a short dot list of items], look at example dot com, meet at noon, list[at] it.next, see (at) the end, at (dot) x, x (at) y, 5 (at) 3.50");
}

static void test_bank(void **state)
{
    (void)state;
    FINDS("DE89370400440532013000", "iban:DE89370400440532013000");
    FINDS("IBAN: de89 3704 0044 0532 0130 00, danke", "iban:de89 3704 0044 0532 0130 00");
    FINDS("GB82-WEST-1234-5698-7654-32", "iban:GB82-WEST-1234-5698-7654-32");
    FINDS("NO93 8601 1117 947.", "iban:NO93 8601 1117 947");
    FINDS("DE89\xC2\xA0" "3704\xC2\xA0" "0044\xC2\xA0" "0532\xC2\xA0" "0130\xC2\xA0" "00",
            "iban:DE89\xC2\xA0" "3704\xC2\xA0" "0044\xC2\xA0" "0532\xC2\xA0" "0130\xC2\xA0" "00");
    FINDS_NOTHING("DE88370400440532013000 DE8937040044053201300 XX89370400440532013000 DE893704004405320130001");
    FINDS_NOTHING("he is 10 years old then in his first week");
    FINDS("BIC COBADEFFXXX", "bic:COBADEFFXXX");
    FINDS("DEUTDEFF", "bic:DEUTDEFF");
    FINDS("COBADEFFXXX", "bic:COBADEFFXXX");
    FINDS_NOTHING("COMPUTER PASSWORD DOCUMENT");
    FINDS("4111 1111 1111 1111", "card:4111 1111 1111 1111");
    FINDS("Karte 5500-0000-0000-0004, 378282246310005", "card:5500-0000-0000-0004", "card:378282246310005");
    FINDS("paid 5 4111111111111111 123", "card:4111111111111111");
    FINDS_NOTHING("4111 1111 1111 1112, 1234567890123456, 0000000000000000");
    FINDS("1BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN2", "wallet:1BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN2");
    FINDS("bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4", "wallet:bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4");
    FINDS_NOTHING("1BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN3 bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t5");
}

static void test_phone(void **state)
{
    (void)state;
    FINDS("+49 (0)30 1234567", "phone:+49 (0)30 1234567");
    FINDS("+43 664 1234567, 0041 44 668 18 00", "phone:+43 664 1234567", "phone:0041 44 668 18 00");
    FINDS("06 12 34 56 78", "phone:06 12 34 56 78");
    FINDS("(212) 555-0123", "phone:(212) 555-0123");
    FINDS("020 7946 0958", "phone:020 7946 0958");
    FINDS("0176/12345678", "phone:0176/12345678");
    FINDS("Tel. 1234 5678", "phone:1234 5678");
    FINDS("212-555-0123 x12", "phone:212-555-0123 x12");
    FINDS_NOTHING("12.05.1985 2024-01-05 1,234,567 3.14159265 100000 2024/05/06 10:30");
    FINDS_NOTHING("+49 12 and +1 555");
    FINDS("Zugriff von 84.12.7.201, EAN 4006381333931, GTIN 00036000291452", "ip:84.12.7.201");
    FINDS("84.12.7.201 0036000291452", "ip:84.12.7.201");
    FINDS("Kontakt: 84.12.7.201, EAN: 4006381333931", "ip:84.12.7.201");
    FINDS("0036000291453 is no article", "phone:0036000291453");
}

static void test_person(void **state)
{
    (void)state;
    FINDS("Sehr geehrte Frau Dr. Xylander, anbei die Rechnung", "person:Xylander");
    FINDS("Dear Ms Smith-Jones,", "person:Smith-Jones");
    FINDS("Hallo Jürgen, danke!", "person:Jürgen");
    FINDS("Mit freundlichen Grüßen\nAnna Schmidt", "person:Anna Schmidt");
    FINDS("Ich heiße Zbigniew Ostrowicki", "person:Zbigniew Ostrowicki");
    FINDS("met John F. Kennedy there", "person:John F. Kennedy");
    FINDS("Ludwig van Beethoven komponierte", "person:Ludwig van Beethoven");
    FINDS("Frau Müller Rechnung 5", "person:Müller");
    FINDS("Frau Xylander Rechnung 5", "person:Xylander");
    FINDS("Anna Schmidt Rechnung 5", "person:Anna Schmidt");
    FINDS("Harrison Ford and Jane Park", "person:Harrison Ford", "person:Jane Park");
    FINDS("I'm Anna.", "person:Anna");
    FINDS_NOTHING("My Walker Card. A Ford Focus. Alexa, play. Dear Walker Card Team,");
    FINDS_NOTHING("Tone\n\n## Rose\nThe text");
    FINDS_NOTHING("The weather in May will be nice. Mark the date, bill the customer. Hello World!");
    FINDS_NOTHING("Die Rechnung liegt bei. Der Termin ist am Montag.");
    FINDS("Mit freundlichen Grüßen\ni.A. Petra Lustig", "person:Petra Lustig");
    FINDS("Mit freundlichen Grüßen\n\ni. V. Petra Lustig\nEinkauf", "person:Petra Lustig");
    FINDS("ppa. Jörn Xylander, Vertrieb", "person:Jörn Xylander");
    FINDS("i.V. Xylander", "person:Xylander");
    FINDS_NOTHING("Der Toaster Oskar, die Kaffeemaschine Amalia und der Staubsauger Emma sind neu.");
    FINDS("Oskar hat einen Toaster", "person:Oskar");
    FINDS("Herr Kessel rief an: Der Kessel ist undicht, und der alte Kessel im Keller auch. Morgen kommt Kessel.", "person:Kessel", "person:Kessel");
    FINDS_NOTHING("WE BAKE 5 CAKES PER DAY");
    FINDS("in Hamburg", "place:Hamburg");
    FINDS("near New York", "place:New York");
}

/* Known given names, also those that are words, and two of them as one, before family names that no table has. */
static void test_unknown_family(void **state)
{
    (void)state;
    static const char *const given[] = { "Petra", "Heinz", "Karl-Heinz", "Anna-Petra", "Heike", "Jürgen" };
    static const char *const family[] = { "Baumgärtner", "Großmann", "Wüßtefeld", "O'Pálmar", "O\xE2\x80\x99Quellan", "McQuorst", "D'Estraloni", "Élveczky", "von der Quarnheide",
                                          "Quorst-Wüßtefeld" };
    static const struct { const char *before, *behind; } around[] = {
        { "Guten Tag ", ",\n\nanbei" }, { "guten Morgen ", "!\nAnbei" }, { "Hallo ", ",\nanbei" }, { "Sehr geehrte Frau ", ",\nanbei" }, { "Sehr geehrter Herr ", ", anbei" },
        { "Sehr geehrter ", ",\nanbei" }, { "Ich komme.\n\nMit freundlichen Grüßen\n", "" }, { "Ich komme.\n\nViele Grüße,\n", "\nTel. folgt" }, { "an ", "\nLindenweg 5\n" },
    };
    for (size_t g = 0; g < ARRAY_LEN(given); g++)
        for (size_t f = 0; f < ARRAY_LEN(family); f++)
            for (size_t a = 0; a < ARRAY_LEN(around); a++) {
                char text[256], want[128];
                const bool line = a + 1 == ARRAY_LEN(around);
                snprintf(text, sizeof text, "%s%s %s%s", line ? "Neue Anschrift:\n" : around[a].before, given[g], family[f], around[a].behind);
                snprintf(want, sizeof want, "person:%s %s", given[g], family[f]);
                if (line)
                    FINDS(text, want, "address:Lindenweg 5");
                else
                    FINDS(text, want);
            }
    FINDS("Sehr geehrte Frau Xenilda Quorst,\nanbei", "person:Xenilda Quorst");
    FINDS("Petra Feldermann rief an", "person:Petra Feldermann");
    FINDS_NOTHING("Guten Tag zusammen, Guten Tag Support, Guten Tag liebes Team,");
    FINDS_NOTHING("Guten Abend Berlin! Die Art der Lieferung, 100 Mark von heute, ein Petra Rechner.");
    FINDS_NOTHING("McDonald's und O'Hare liegen weit auseinander. Max Rechnung\nPosition 5\n");
}

/* Small letters need a phrase before them and the tables. */
static void test_small(void **state)
{
    (void)state;
    FINDS("hi its jürgen müller", "person:jürgen müller");
    FINDS("it's anna from sales", "person:anna");
    FINDS("Well, i am peter parker", "person:peter parker");
    FINDS("my name is mark smith, thanks", "person:mark smith");
    FINDS("ich bin der jürgen", "person:jürgen");
    FINDS("ich heiße sabine und wohne hier", "person:sabine");
    FINDS("Bonjour, je suis pierre dupont", "person:pierre dupont");
    FINDS("me llamo carlos garcía", "person:carlos garcía");
    FINDS("sono giulia rossi", "person:giulia rossi");
    FINDS("ik ben jan de vries", "person:jan de vries");
    FINDS("danke, lg anna", "person:anna");
    FINDS("hallo sabine, wie geht's", "person:sabine");
    FINDS("can you call anna schmidt please", "person:anna schmidt");
    FINDS_NOTHING("this is nice. i am happy, it is worth it. my name is wrong on the card");
    FINDS_NOTHING("its link is dead, this is may and the grace period is over");
    FINDS_NOTHING("cp /home/anna/schmidt ./lena.txt, hi/anna, x=anna");
}

static void test_address(void **state)
{
    (void)state;
    FINDS("Hauptstraße 12a, 10115 Berlin", "address:Hauptstraße 12a, 10115 Berlin");
    FINDS("12 rue de la Paix, 75002 Paris", "address:12 rue de la Paix, 75002 Paris");
    FINDS("Via Roma 12, 00184 Roma", "address:Via Roma 12, 00184 Roma");
    FINDS("Prinsengracht 263, 1016 GV Amsterdam", "address:Prinsengracht 263, 1016 GV Amsterdam");
    FINDS("221B Baker Street", "address:221B Baker Street");
    FINDS("D-80331 München", "address:D-80331 München");
    FINDS("SW1A 1AA", "postcode:SW1A 1AA");
    /* by the line of the town */
    FINDS("Vivo en Avenida Nieves Herranz 91\nVizcaya, 32182", "address:Avenida Nieves Herranz 91\nVizcaya, 32182");
    FINDS("Skolstigvid 027\n705 56 Borås", "address:Skolstigvid 027\n705 56 Borås");
    FINDS("Larghetto Graziella, 7 Piano 2\n83030, San Barbato (AV)", "address:Larghetto Graziella, 7 Piano 2\n83030, San Barbato (AV)");
    FINDS("I live at 244 Jackson Key Apt. 45\nKevinburgh, LA 64578-1234.", "address:244 Jackson Key Apt. 45\nKevinburgh, LA 64578-1234");
    FINDS("PSC 8526, Box 4482\nAPO AA 36246", "address:PSC 8526, Box 4482\nAPO AA 36246");
    FINDS("Flat 3\n12 Smith crossroad\nEast Ashby\nB12 2DD", "address:Flat 3\n12 Smith crossroad\nEast Ashby\nB12 2DD");
    FINDS("to Mr Smith, 5 The Mews, London SW1A 1AA", "person:Smith", "address:5 The Mews, London SW1A 1AA");
    FINDS("J'habite au chemin Dupuis\n16708 Hebertdan", "address:chemin Dupuis\n16708 Hebertdan");
    /* British addresses: the six forms of the code, flats, houses with a name, streets without a number, towns of several words */
    FINDS("Please send it to 12 Example Street, Sometown, M1 1AE, thanks.", "address:12 Example Street, Sometown, M1 1AE");
    FINDS("She lives at 5 Oak Avenue, Little Hatherby, CR2 6XH and likes it.", "address:5 Oak Avenue, Little Hatherby, CR2 6XH");
    FINDS("Ship to 221 Market Road, Upper Wexley, Kent, DN55 1PT today.", "address:221 Market Road, Upper Wexley, Kent, DN55 1PT");
    FINDS("We moved to 8 Kiln Close, Marbury, W1A 1HQ in May.", "address:8 Kiln Close, Marbury, W1A 1HQ");
    FINDS("Bill: 77 Harbour View, Port Ellery, EC1A 1BB.", "address:77 Harbour View, Port Ellery, EC1A 1BB");
    FINDS("Address: 3 Stable Yard, Hexley-on-Tarn, B33 8TH", "address:3 Stable Yard, Hexley-on-Tarn, B33 8TH");
    FINDS("Flat 2b, Hurst Court, Brackford, LS6 2QT is empty.", "address:Flat 2b, Hurst Court, Brackford, LS6 2QT");
    FINDS("We are at Unit 7, Brook Park, Brackford LS6 2QT now.", "address:Unit 7, Brook Park, Brackford LS6 2QT");
    FINDS("Write to Rose Cottage, Church Lane, Nether Wallow, GL54 2AB please.", "address:Rose Cottage, Church Lane, Nether Wallow, GL54 2AB");
    FINDS("The Old Rectory\nHigh Street\nNether Wallow\nGL54 2AB", "address:The Old Rectory\nHigh Street\nNether Wallow\nGL54 2AB");
    FINDS("Deliver to 14 Heron Rise, Newton under Lyle, SK9 4PP, ring twice.", "address:14 Heron Rise, Newton under Lyle, SK9 4PP");
    FINDS("Anna, Church Lane, Nether Wallow, GL54 2AB", "person:Anna", "address:Church Lane, Nether Wallow, GL54 2AB");
    FINDS("P.O. Box 1234", "address:1234");
    /* with a preposition that belongs to the name */
    FINDS("Ich wohne: Am Alten Markt 103b.", "address:Am Alten Markt 103b");
    FINDS("Im Winkel 3, Hinterhaus", "address:Im Winkel 3");
    FINDS_NOTHING("Im Garten 5 Bäume, zum Markt 3 Kilometer, im Park 12");
    /* between tags */
    FINDS("<p>Neu:<br>Am Alten Markt 103b<br>80331 München</p>", "address:Am Alten Markt 103b", "address:80331 München");
    FINDS("<td>Skolstigvid 27</td>\n  <td>705 56 Borås</td>", "address:Skolstigvid 27", "address:705 56 Borås");
    FINDS("<p>Guten Tag <b>Petra</b> Baumgärtner,</p><p>anbei", "person:Petra", "person:Baumgärtner");
    FINDS("Sie<br>Mit freundlichen Grüßen<br/>Petra&nbsp;Baumgärtner<br>", "person:Petra", "person:Baumgärtner");
    FINDS("<a href=\"mailto:a@b.de\">a@b.de</a>", "email:a@b.de", "email:a@b.de");
    FINDS_NOTHING("if (a <b && c> d) x <i; List<Am> y; a < b & c");
    FINDS_NOTHING("siehe Seite 12, 2024 neu; Position 20, 10115 Teile; von 45 bis 12345");
    FINDS("52.520008, 13.404954", "coordinates:52.520008, 13.404954");
    FINDS_NOTHING("3.1415, 2.7182 are ratios 1.5, 2.5");
    FINDS("geboren am 12.05.1985 in der Stadt", "birth_date:12.05.1985");
    FINDS("born March 12, 1985", "birth_date:March 12, 1985");
    FINDS("née le 3 avril 1979", "birth_date:3 avril 1979");
    FINDS_NOTHING("Stand: 12.05.1985");
}

static void test_secrets(void **state)
{
    (void)state;
    FINDS("AKIAIOSFODNN7EXAMPLE", "secret:AKIAIOSFODNN7EXAMPLE");
    FINDS("ghp_0123456789abcdefghijABCDEFGHIJ012345", "secret:ghp_0123456789abcdefghijABCDEFGHIJ012345");
    FINDS("sk-ant-api03-AbCdEf0123456789AbCdEf0123456789xyz", "secret:sk-ant-api03-AbCdEf0123456789AbCdEf0123456789xyz");
    FINDS("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N",
            "secret:eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N");
    FINDS("password=hunter2abc", "secret:hunter2abc");
    FINDS("\"apiKey\": \"9f8a7c6b5d4e3f2a1b0c\"", "secret:9f8a7c6b5d4e3f2a1b0c");
    FINDS("Authorization: Bearer abc123DEF456ghi789JKL", "secret:abc123DEF456ghi789JKL");
    FINDS("-----BEGIN RSA PRIVATE KEY-----\nMIIB\n-----END RSA PRIVATE KEY-----\nx",
            "secret:-----BEGIN RSA PRIVATE KEY-----\nMIIB\n-----END RSA PRIVATE KEY-----");
    FINDS_NOTHING("password=$PASSWORD password: <your password> token = get_token() -----BEGIN CERTIFICATE-----");
    FINDS_NOTHING("password: optional, secret: none. The token: a word");
}

/* Code, commands, hashes, versions, quantities. */
static void test_nothing(void **state)
{
    (void)state;
    FINDS_NOTHING("find . -name '*.c' -exec grep -l main {} \\; | xargs -I{} cp {} /tmp/x-1.2.3/ && tar czf a-2.10.4.tar.gz");
    FINDS_NOTHING("commit 3f9a2c1b0d47e5f60718293a4b5c6d7e8f901234, sha256 e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    FINDS_NOTHING("550e8400-e29b-41d4-a716-446655440000");
    FINDS_NOTHING("for (int i = 0; i < 1000000; i++) sum += a[i] * 0x1F;");
    FINDS_NOTHING("The price rose from 1,299.00 to 1,499.00 in 2023-2024; pages 100-200, ratio 16:9, 3 x 4 = 12.");
    FINDS_NOTHING("chmod 0755 file; sed -i 's/foo/bar/g' *.txt; awk '{print $1}' 2>&1");
    FINDS_NOTHING("");
}

static void test_ids(void **state)
{
    (void)state;
    FINDS("Steuer-ID 86095742719", "tax_id:86095742719");
    FINDS("65 170839 J 003", "social_id:65 170839 J 003");
    FINDS("Versichertennummer A123456780", "health_id:A123456780");
    FINDS("Personalausweis T220001293", "id_card:T220001293");
    FINDS("HRB 12345", "company_id:HRB 12345");
    FINDS("Kennzeichen M-AB 1234", "plate:M-AB 1234");
    FINDS("756.9217.0769.85", "social_id:756.9217.0769.85");
    FINDS("RSSMRA85T10A562S", "tax_id:RSSMRA85T10A562S");
    FINDS("AB 12 34 56 C", "social_id:AB 12 34 56 C");
    FINDS("536-22-1234", "social_id:536-22-1234");
    FINDS("my phone and social security number: 123-45-6789", "social_id:123-45-6789");
    FINDS("PESEL 44051401350", "national_id:44051401350");
    FINDS("National Insurance number QQ 12 34 56 C", "social_id:QQ 12 34 56 C");
    FINDS("nací el 03/04/1979", "birth_date:03/04/1979");
    FINDS_NOTHING("call number 000-65-4321");
    FINDS_NOTHING("65 170839 J 004 756.9217.0769.86 RSSMRA85T10A562T 000-22-1234 666-22-1234 QQ 12 34 56 C");
}

/* Every line "rule valid number": with all else off, the number is found if and only if it is valid. */
static void test_check_digits(void **state)
{
    (void)state;
    char *text, rule[32], number[64];
    size_t n, lines = 0, wrong = 0;
    int valid, used;
    Err e;
    if (file_read_text(TEST_DIR "/prep/golden/pii_ids.txt", &text, &n, &e))
        fail_msg("%s", e.text);
    for (const char *at = text; sscanf(at, "%31s %d %63[^\n]%n", rule, &valid, number, &used) == 3; at += used, lines++)
        if (pii_rule_holds(str_of(rule), str_of(number)) != (valid != 0)) {
            print_error("%s %s: python-stdnum says %s\n", rule, number, valid ? "valid" : "invalid");
            wrong++;
        }
    assert_int_equal(wrong, 0);
    assert_true(lines > 1000);
    free(text);
}

static void test_options(void **state)
{
    (void)state;
    PiiScanner *s;
    PiiSpans v = {0};
    Err e;
    const Str text = STR_LIT("max@example.org, 4111 1111 1111 1111, in 10115 Berlin");
    assert_int_equal(pii_scanner_new(&s, &(PiiOptions){ .least = 101 }, &e), ERR_ARG);
    check_says(&e, ERR_ARG, "least confidence is 101");
    assert_int_equal(pii_scanner_new(&s, &(PiiOptions){ .off = 1u << PII_EMAIL, .least = 96 }, &e), 0);
    assert_int_equal(pii_scan(s, text, &v, &e), 0);
    assert_int_equal(v.n, 0);
    pii_scanner_free(s);
    PiiKind k;
    for (int i = 0; i < PII_KINDS; i++)
        assert_true(pii_kind_find(str_of(pii_kind_info((PiiKind)i)->name), &k) && (int)k == i);
    assert_false(pii_kind_find(STR_LIT("nothing"), &k));
    vec_release(&v);
}

/* The stronger of two that overlap stays, and what overlapped only the weaker comes back. */
static void test_overlap(void **state)
{
    (void)state;
    PiiScanner *s;
    PiiSpans v = {0};
    Err e;
    const Str text = STR_LIT("Anna Schmidt <anna.schmidt@example.org> DE89 3704 0044 0532 0130 00 4111 1111 1111 1111 Hauptstr. 5, 10115 Berlin geb. 1.2.1980");
    assert_int_equal(pii_scanner_new(&s, &(PiiOptions){ .least = 1 }, &e), 0);
    assert_int_equal(pii_scan(s, text, &v, &e), 0);
    for (size_t i = 0; i < v.n; i++)
        assert_true(v.p[i].begin < v.p[i].end && (!i || v.p[i - 1].end <= v.p[i].begin) && v.p[i].end <= text.n);
    assert_true(v.n >= 6);
    pii_scanner_free(s);
    vec_release(&v);
}

/* What could be read again and again from every place; a scan that is not linear does not end within the time of a test. */
static void test_linear(void **state)
{
    (void)state;
    static const char *const pieces[] = { "A-", "1 ", "a.b@", "::", "((", "Anna ", "-----BEGIN PRIVATE KEY", "1-(", "4", "Aa", "12 A'",
        "password=", "+1 ", "2001:", "\xC3\xA4", "de 1", "von ", "its anna ", "anna ", "5 A\n", "12345 A\n", "A 1, ", "A, 12345\n", "<br", "<p>", "<b>A</b>", "&nbsp;", "(at)", "a(at)b.de ", "a (dot) ",
        "x.a at b dot " };
    PiiScanner *all;
    PiiSpans v = {0};
    Err e;
    assert_int_equal(pii_scanner_new(&all, &(PiiOptions){ .least = 1 }, &e), 0);
    for (size_t i = 0; i < ARRAY_LEN(pieces); i++) {
        StrBuf text = {0};
        while (text.n < 150000)
            strbuf_addz(&text, pieces[i]);
        assert_int_equal(pii_scan(all, strbuf_str(&text), &v, &e), 0);
        strbuf_release(&text);
    }
    vec_release(&v);
    pii_scanner_free(all);
}

static const char long_text[] =
    "Sehr geehrte Frau Müller, Ihre Karte 4111 1111 1111 1111 (IBAN DE89 3704 0044 0532 0130 00) ist bei max@example.org, +49 30 1234567. Gruß\nAnna Schmidt\n";
typedef struct Shared { PiiSpans v[64]; } Shared;

static void scan_piece(void *ctx, int64_t piece, int worker)
{
    Err e;
    (void)worker;
    BUG_ON(pii_scan(scanner, str_of(long_text), &((Shared *)ctx)->v[piece], &e) != 0);
}

static void test_threads(void **state)
{
    (void)state;
    static Shared sh;
    Pool *p = pool_new(4);
    parallel_for(p, 64, scan_piece, &sh);
    pool_free(p);
    assert_true(sh.v[0].n >= 6);
    for (int i = 0; i < 64; i++) {
        assert_int_equal(sh.v[i].n, sh.v[0].n);
        for (size_t k = 0; k < sh.v[0].n; k++)
            assert_true(sh.v[i].p[k].begin == sh.v[0].p[k].begin && sh.v[i].p[k].end == sh.v[0].p[k].end && sh.v[i].p[k].rule == sh.v[0].p[k].rule);
    }
    for (int i = 0; i < 64; i++)
        vec_release(&sh.v[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_net),     cmocka_unit_test(test_bank),    cmocka_unit_test(test_phone),        cmocka_unit_test(test_person),
        cmocka_unit_test(test_address), cmocka_unit_test(test_secrets), cmocka_unit_test(test_nothing),      cmocka_unit_test(test_ids),
        cmocka_unit_test(test_options), cmocka_unit_test(test_overlap), cmocka_unit_test(test_check_digits), cmocka_unit_test(test_threads),
        cmocka_unit_test(test_linear), cmocka_unit_test(test_small), cmocka_unit_test(test_unknown_family),
    };
    return cmocka_run_group_tests(tests, scanner_setup, scanner_teardown);
}
