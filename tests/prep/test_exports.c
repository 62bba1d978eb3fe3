/* test_exports.c - exports of Slack and Salesforce in their documented layouts, and mailboxes, to rows; written by the test itself. */
#include "base/check.h"
#include "base/mem.h"
#include "prep/mail_threads.h"
#include "prep/salesforce.h"
#include "prep/slack.h"

static void put(const char *dir, const char *name, const char *text)
{
    Err   e = { 0 };
    char *path = path_join(dir, name);
    if (file_write_atomic(path, text, strlen(text), &e))
        fail_msg("%s", e.text);
    free(path);
}

static void check_json(const Json *j, const char *want)
{
    StrBuf got = { 0 };
    json_write(&got, j, false);
    assert_string_equal(strbuf_z(&got), want);
    strbuf_release(&got);
}

static void test_salesforce(void **state)
{
    (void)state;
    Err    e = { 0 };
    char  *dir = check_dir();
    Json **rows = NULL;
    size_t n = 0, cap = 0;
    StrBuf note = { 0 };
    assert_false(salesforce_is(dir));
    put(dir, "Case.csv", "Id,CaseNumber,Subject,Description\r\n500A,1001,Card lost,\"I lost it\nyesterday.\"\r\n500B,1002,Fees,Why so high?\r\n");
    put(dir, "EmailMessage.csv", "Id,ParentId,TextBody,Incoming,MessageDate\r\nm2,500A,Thank you.,true,2026-01-02T09:00:00Z\r\nm1,500A,We blocked it.,false,2026-01-01T09:00:00Z\r\n"
                                 "m3,500X,lost,false,2026-01-01T09:00:00Z\r\n");
    put(dir, "CaseComment.csv", "Id,ParentId,CommentBody,IsPublished,CreatedDate\r\nc1,500B,They cover the transfer.,1,2026-02-01T09:00:00Z\r\nc2,500B,check him,0,2026-02-01T10:00:00Z\r\n");
    assert_true(salesforce_is(dir));
    if (salesforce_read(dir, &rows, &n, &cap, &note, &e))
        fail_msg("%s", e.text);
    assert_int_equal(n, 2);
    check_json(rows[0], "{\"Id\":\"500A\",\"CaseNumber\":\"1001\",\"messages\":[{\"role\":\"user\",\"content\":\"Card lost\\n\\nI lost it\\nyesterday.\"},"
                        "{\"role\":\"assistant\",\"content\":\"We blocked it.\"},{\"role\":\"user\",\"content\":\"Thank you.\"}]}");
    check_json(rows[1], "{\"Id\":\"500B\",\"CaseNumber\":\"1002\",\"messages\":[{\"role\":\"user\",\"content\":\"Fees\\n\\nWhy so high?\"},"
                        "{\"role\":\"assistant\",\"content\":\"They cover the transfer.\"}]}");
    assert_string_equal(strbuf_z(&note), "1 comments that are not published were left out; 1 mails or comments belong to no case in Case.csv");
    for (size_t i = 0; i < n; i++)
        json_free(rows[i]);
    free(rows);
    strbuf_release(&note);
    put(dir, "EmailMessage.csv", "Id,TextBody\r\nm1,x\r\n");
    rows = NULL;
    n = cap = 0;
    assert_int_not_equal(salesforce_read(dir, &rows, &n, &cap, &note, &e), 0);
    check_says(&e, ERR_INPUT, "the column \"ParentId\" is missing");
    check_dir_done(dir);
}

static void test_slack_text(void **state)
{
    (void)state;
    static const struct { const char *in, *out; } cases[] = {
        { "hi <@U1>, see <#C2|general>", "hi @Ann Lee, see #general" }, { "<http://x.org|the page> and <http://y.org>", "the page (http://x.org) and http://y.org" },
        { "a &lt;b&gt; &amp; c", "a <b> & c" }, { "<@U9>", "@U9" }, { "1 < 2", "1 < 2" }, { "<!here> now", "@here now" }, { "", "" },
    };
    Json *users = json_obj_new();
    json_set(users, "U1", json_str_new(STR_LIT("Ann Lee")));
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        StrBuf out = { 0 };
        slack_text(&out, str_of(cases[i].in), users);
        assert_string_equal(strbuf_z(&out), cases[i].out);
        strbuf_release(&out);
    }
    json_free(users);
}

/* The zip is made by the system's own tool where it has one. */
static void test_slack(void **state)
{
    (void)state;
    Err       e = { 0 };
    char     *dir = check_dir(), *zip = path_join(dir, "export.zip"), *channel = path_join(dir, "general");
    StrBuf    command = { 0 };
    SlackRows s = { 0 };
    bool      is = false;
    assert_int_equal(dir_make(channel, &e), 0);
    put(dir, "users.json", "[{\"id\":\"U1\",\"name\":\"ann\",\"profile\":{\"real_name\":\"Ann Lee\"}},{\"id\":\"U2\",\"name\":\"bob\"}]");
    put(dir, "channels.json", "[{\"id\":\"C1\",\"name\":\"general\"}]");
    put(channel, "2026-01-02.json", "[{\"type\":\"message\",\"user\":\"U2\",\"text\":\"On floor 2, &lt;left&gt;.\",\"ts\":\"1767315600.000200\",\"thread_ts\":\"1767229200.000100\"},"
                                    "{\"type\":\"message\",\"user\":\"U2\",\"text\":\"alone\",\"ts\":\"1767315700.000100\"}]");
    put(channel, "2026-01-01.json", "[{\"type\":\"message\",\"subtype\":\"channel_join\",\"user\":\"U2\",\"text\":\"joined\",\"ts\":\"1767229100.000100\"},"
                                    "{\"type\":\"message\",\"user\":\"U1\",\"text\":\"Where is the printer, <@U2>?\",\"ts\":\"1767229200.000100\",\"thread_ts\":\"1767229200.000100\"}]");
    strbuf_addf(&command, "cd '%s' && python3 -c \"import zipfile, os\nz = zipfile.ZipFile('export.zip', 'w', zipfile.ZIP_DEFLATED)\nfor r, d, f in os.walk('.'):\n"
                          " for n in sorted(f):\n  if n != 'export.zip': z.write(os.path.join(r, n)[2:])\n\" 2> /dev/null", dir);
    if (system(strbuf_z(&command)) != 0) {
        print_message("SKIPPED: no python3 here to write a zip\n");
    } else {
        if (slack_read(zip, &is, &s, &e))
            fail_msg("%s", e.text);
        assert_true(is);
        assert_int_equal(s.row.n, 1);
        check_json(s.row.p[0], "{\"messages\":[{\"role\":\"user\",\"content\":\"Where is the printer, @bob?\"},{\"role\":\"assistant\",\"content\":\"On floor 2, <left>.\"}],"
                               "\"channel\":\"general\",\"thread\":\"1767229200.000100\",\"started\":\"1767229200.000100\"}");
        assert_int_equal(s.note.n, 2);
        assert_string_equal(s.note.p[0], "1 messages stand in no thread with an answer and make no conversation");
        assert_string_equal(s.note.p[1], "1 joins, topics and other events passed over");
    }
    slack_release(&s);
    /* days that are no JSON, or hold something else, leave alone and whole; the names of people, too */
    s = (SlackRows){ 0 };
    put(channel, "2026-01-03.json", "[{\"type\":\"message\",\"user\":\"U2\",\"text\":\"cut");
    put(channel, "2026-01-04.json", "[{\"type\":\"message\",\"user\":\"U1\",\"text\":\"Torn?\",\"ts\":\"1767229300.000100\",\"thread_ts\":\"1767229300.000100\"},"
                                    "{\"type\":\"message\",\"user\":\"U2\",\"text\":\"Torn.\",\"ts\":\"1767229301.000100\",\"thread_ts\":\"1767229300.000100\"},7]");
    put(dir, "users.json", "[{\"id\":");
    if (system(strbuf_z(&command)) == 0) {
        if (slack_read(zip, &is, &s, &e))
            fail_msg("%s", e.text);
        assert_true(is);
        assert_int_equal(s.row.n, 1);
        assert_string_equal(json_str(json_get(json_at(json_get(s.row.p[0], "messages"), 0), "content")).p, "Where is the printer, @U2?");
        assert_int_equal(s.lost.n, 3);
        size_t day = 0, item = 0, people = 0;
        for (size_t i = 0; i < s.lost.n; i++) {
            day += strstr(s.lost.p[i], "export.zip: general/2026-01-03.json") != NULL;
            item += strstr(s.lost.p[i], "export.zip: general/2026-01-04.json: an item is no message of Slack") != NULL;
            people += strstr(s.lost.p[i], "export.zip: users.json") != NULL;
        }
        assert_true(day == 1 && item == 1 && people == 1);
    }
    slack_release(&s);
    strbuf_release(&command);
    free(zip);
    free(channel);
    check_dir_done(dir);
}

static void test_mailbox(void **state)
{
    (void)state;
    static const char box[] =
        "From ann@example.com Thu Jan  1 09:00:00 2026\nFrom: Ann <ann@example.com>\nTo: help@shop.example\nSubject: Lamp\nMessage-ID: <1@example.com>\nDate: Thu, 1 Jan 2026 09:00:00 +0000\n\n"
        "My lamp flickers.\n\n"
        "From help@shop.example Fri Jan  2 09:00:00 2026\nFrom: Shop <help@shop.example>\nTo: ann@example.com\nSubject: Re: Lamp\nMessage-ID: <2@shop.example>\nIn-Reply-To: <1@example.com>\n"
        "References: <1@example.com>\nDate: Fri, 2 Jan 2026 09:00:00 +0000\n\nPlease turn the bulb.\n\n> My lamp flickers.\n\n-- \nEve Moss, 5 Elm Lane\nThis message is confidential.\n\n"
        "From eve@example.com Fri Jan  2 10:00:00 2026\nFrom: eve@example.com\nSubject: Offer\nMessage-ID: <3@example.com>\nDate: Fri, 2 Jan 2026 10:00:00 +0000\nMIME-Version: 1.0\n"
        "Content-Type: multipart/mixed; boundary=\"xx\"\n\n--xx\nContent-Type: text/plain\n\nBuy now.\n--xx\nContent-Type: text/plain; name=\"offer.txt\"\n"
        "Content-Disposition: attachment; filename=\"offer.txt\"\n\nSix lamps, as agreed.\n--xx--\n\n";
    Err    e = { 0 };
    DocOut d = { 0 };
    MailRows rows = { 0 };
    if (doc_parse(DOC_UNKNOWN, str_of(box), NULL, &d, &e))
        fail_msg("%s", e.text);
    assert_int_equal(d.kind, DOC_MBOX);
    mail_threads(&d, &rows);
    assert_int_equal(rows.n, 3);
    assert_int_equal(rows.p[0].kind, MAIL_TALK);
    assert_int_equal(rows.p[1].kind, MAIL_UNANSWERED);
    assert_int_equal(rows.p[2].kind, MAIL_ATTACHMENT);
    Json *turns = json_get(rows.p[0].row, "messages");
    assert_int_equal(json_len(turns), 2);
    check_json(json_at(turns, 0), "{\"role\":\"user\",\"content\":\"Lamp\\n\\nMy lamp flickers.\"}");
    check_json(json_at(turns, 1), "{\"role\":\"assistant\",\"content\":\"Please turn the bulb.\"}");
    assert_true(str_starts(json_str(json_get(rows.p[1].row, "text")), "Offer\n\nBuy now."));
    assert_string_equal(json_str(json_get(rows.p[2].row, "text")).p, "Six lamps, as agreed.");
    assert_string_equal(rows.p[0].cut, "> My lamp flickers.\n\n\n-- \nEve Moss, 5 Elm Lane\nThis message is confidential.\n\n"); /* of all its messages */
    assert_string_equal(rows.p[1].cut, "");
    for (size_t i = 0; i < rows.n; i++) {
        json_free(rows.p[i].row);
        free(rows.p[i].cut);
    }
    vec_release(&rows);
    doc_release(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_salesforce), cmocka_unit_test(test_slack_text), cmocka_unit_test(test_slack), cmocka_unit_test(test_mailbox) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
