/* zip.c - see zip.h. One walk over the archive's directory lists the members; a read goes on from where the last one stood and starts again only
 * when the wanted member lies before it.
 * Invariant: `at` counts the headers that the open walk has passed; member[i].header is its number among all headers, folders included. */
#include "formats/zip.h"

#include <archive.h>
#include <archive_entry.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "base/map.h"
#include "base/mem.h"
#include "base/vec.h"
#include "formats/stranger.h"

typedef struct Member { char *name; size_t header; bool locked; } Member;

struct Zip {
    Str             bytes;
    struct archive *walk;
    locale_t        utf8;     /* libarchive gives no name that the locale cannot write; the program's own may be plain C */
    size_t          at;
    uint64_t        unpacked;
    VEC(Member)     member;
};

static int damaged(Zip *z, const char *what, Err *e)
{
    const char *why = archive_error_string(z->walk);
    return err_set(e, ERR_INPUT, "the zip archive is damaged or cut short (%s: %s)", what, why ? shown(str_of(why)).text : "no reason given");
}

static int restart(Zip *z, Err *e)
{
    archive_read_free(z->walk);
    z->walk = archive_read_new();
    z->at = 0;
    if (!z->walk || archive_read_support_format_zip_seekable(z->walk) != ARCHIVE_OK)
        return err_set(e, ERR_MEM, "no memory to read a zip archive");
    if (archive_read_open_memory(z->walk, z->bytes.p, z->bytes.n) != ARCHIVE_OK)
        return damaged(z, "its directory", e);
    return 0;
}

/* 1: a header, 0: the end. */
static int step(Zip *z, struct archive_entry **entry, Err *e)
{
    const locale_t own = z->utf8 ? uselocale(z->utf8) : (locale_t)0;
    const int      rc = archive_read_next_header(z->walk, entry);
    if (own)
        uselocale(own);
    if (rc == ARCHIVE_EOF)
        return 0;
    if (rc < ARCHIVE_WARN)
        return damaged(z, "a member's header", e);
    z->at++;
    return 1;
}

static int list(Zip *z, Err *e)
{
    struct archive_entry *entry;
    Map                  *names = map_new();
    int                   rc;
    while ((rc = step(z, &entry, e)) > 0) {
        const locale_t own = z->utf8 ? uselocale(z->utf8) : (locale_t)0;
        const char    *name = archive_entry_pathname_utf8(entry);
        char           number[32];
        if (own)
            uselocale(own);
        snprintf(number, sizeof number, "?%zu", z->at);
        name = name && *name ? name : number; /* no character set that is known here: it is there, and nobody can ask for it by name */
        if (z->at > ZIP_MEMBERS_MAX)
            rc = err_set(e, ERR_INPUT, "the zip archive has more than the %d members that are allowed", ZIP_MEMBERS_MAX);
        else if (strlen(name) > ZIP_NAME_MAX)
            rc = err_set(e, ERR_INPUT, "the name of member %zu of the zip archive has more than the %d bytes that are allowed", z->at, ZIP_NAME_MAX);
        else if (archive_entry_filetype(entry) != AE_IFDIR && !map_put(names, str_of(name), 0))
            rc = err_set(e, ERR_INPUT, "the zip archive has two members named %s", shown(str_of(name)).text);
        if (rc < 0)
            break;
        if (archive_entry_filetype(entry) != AE_IFDIR)
            *vec_push(&z->member) = (Member){ mem_strdup(name), z->at, archive_entry_is_data_encrypted(entry) == 1 };
    }
    map_free(names);
    return rc;
}

int zip_open_memory(Zip **out, Str bytes, Err *e)
{
    Zip *z = mem_zalloc(1, sizeof *z);
    z->bytes = bytes;
    z->utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
    int rc = restart(z, e);
    if (!rc)
        rc = list(z, e);
    if (rc) {
        zip_close(z);
        z = NULL;
    }
    *out = z;
    return rc;
}

size_t zip_count(const Zip *z)
{
    return z->member.n;
}

const char *zip_name(const Zip *z, size_t i)
{
    BUG_ON(i >= z->member.n);
    return z->member.p[i].name;
}

int64_t zip_find(const Zip *z, const char *name)
{
    for (size_t i = 0; i < z->member.n; i++)
        if (strcmp(z->member.p[i].name, name) == 0)
            return (int64_t)i;
    for (size_t i = 0; i < z->member.n; i++)
        if (strcasecmp(z->member.p[i].name, name) == 0)
            return (int64_t)i;
    return -1;
}

int zip_read(Zip *z, size_t i, StrBuf *out, Err *e)
{
    BUG_ON(i >= z->member.n);
    const Member         *m = &z->member.p[i];
    struct archive_entry *entry;
    if (m->locked)
        return err_set(e, ERR_INPUT, "%s in the zip archive is protected by a password", shown(str_of(m->name)).text);
    int rc = z->at >= m->header ? restart(z, e) : 0;
    while (!rc && z->at < m->header) {
        rc = step(z, &entry, e);
        rc = rc == 1 ? 0 : rc == 0 ? err_set(e, ERR_INPUT, "the zip archive lists %s but does not hold it", shown(str_of(m->name)).text) : rc;
    }
    size_t size = 0;
    char  *buf = mem_alloc(64 << 10);
    while (!rc) {
        const la_ssize_t k = archive_read_data(z->walk, buf, 64 << 10);
        if (k == 0)
            break;
        if (k < 0) {
            rc = damaged(z, shown(str_of(m->name)).text, e);
            break;
        }
        size += (size_t)k;
        z->unpacked += (uint64_t)k;
        if (size > ZIP_MEMBER_MAX)
            rc = err_set(e, ERR_INPUT, "%s in the zip archive unpacks to more than %zu MiB: refused", shown(str_of(m->name)).text, ZIP_MEMBER_MAX >> 20);
        else if (z->unpacked > ZIP_RATIO_FREE && z->unpacked / ZIP_RATIO_MAX > z->bytes.n)
            rc = err_set(e, ERR_INPUT, "%s in the zip archive unpacks to over %d times its size, as no honest document does (a zip bomb): refused",
                         shown(str_of(m->name)).text, ZIP_RATIO_MAX);
        else
            strbuf_add(out, buf, (size_t)k);
    }
    free(buf);
    return rc;
}

void zip_close(Zip *z)
{
    if (!z)
        return;
    archive_read_free(z->walk);
    for (size_t i = 0; i < z->member.n; i++)
        free(z->member.p[i].name);
    vec_release(&z->member);
    if (z->utf8)
        freelocale(z->utf8);
    free(z);
}
