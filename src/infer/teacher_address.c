/* teacher_address.c - what an address says before anything is sent: its form, and how far away it lies. */
#include "infer/teacher_int.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/socket.h>

#include "base/mem.h"

#define ADDRESS_MAX 2048 /* bytes */

static const char tail[] = "/chat/completions";

/* Networks that no router of the public Internet knows. */
static const struct { uint32_t net; int bits; Reach reach; } nets4[] = {
    { 0x7f000000, 8, REACH_LOOPBACK }, { 0x0a000000, 8, REACH_PRIVATE }, { 0xac100000, 12, REACH_PRIVATE }, { 0xc0a80000, 16, REACH_PRIVATE },
    { 0xa9fe0000, 16, REACH_PRIVATE },
};

static Reach reach4(uint32_t host_order)
{
    for (size_t i = 0; i < ARRAY_LEN(nets4); i++)
        if ((host_order ^ nets4[i].net) >> (32 - nets4[i].bits) == 0)
            return nets4[i].reach;
    return REACH_PUBLIC;
}

static Reach reach6(const struct in6_addr *a)
{
    uint32_t v4;
    if (IN6_IS_ADDR_V4MAPPED(a)) {
        memcpy(&v4, a->s6_addr + 12, sizeof v4);
        return reach4(ntohl(v4));
    }
    if (IN6_IS_ADDR_LOOPBACK(a))
        return REACH_LOOPBACK;
    return IN6_IS_ADDR_LINKLOCAL(a) || (a->s6_addr[0] & 0xfe) == 0xfc ? REACH_PRIVATE : REACH_PUBLIC;
}

/* The farthest of all addresses that a name has. False: it has none. */
static bool look_up(const char *host, Reach *reach)
{
    struct addrinfo *list = NULL;
    if (getaddrinfo(host, NULL, &(struct addrinfo){ .ai_socktype = SOCK_STREAM }, &list) || !list)
        return false;
    *reach = REACH_LOOPBACK;
    for (const struct addrinfo *a = list; a; a = a->ai_next) {
        struct sockaddr_in  v4;
        struct sockaddr_in6 v6;
        Reach               one = REACH_PUBLIC;
        if (a->ai_family == AF_INET && a->ai_addrlen >= sizeof v4) {
            memcpy(&v4, a->ai_addr, sizeof v4);
            one = reach4(ntohl(v4.sin_addr.s_addr));
        } else if (a->ai_family == AF_INET6 && a->ai_addrlen >= sizeof v6) {
            memcpy(&v6, a->ai_addr, sizeof v6);
            one = reach6(&v6.sin6_addr);
        }
        *reach = MAX(*reach, one);
    }
    freeaddrinfo(list);
    return true;
}

static bool reach_of(const char *host, Reach *reach)
{
    struct in_addr  v4;
    struct in6_addr v6;
    if (inet_pton(AF_INET, host, &v4) == 1) {
        *reach = reach4(ntohl(v4.s_addr));
        return true;
    }
    if (inet_pton(AF_INET6, host, &v6) == 1) {
        *reach = reach6(&v6);
        return true;
    }
    return look_up(host, reach);
}

/* HOST of HOST[:PORT] or [HOST][:PORT]; owned. NULL: it is neither. */
static char *host_of(Str authority)
{
    const char *end = authority.p + authority.n, *host = authority.p, *host_end, *port;
    if (authority.n && *host == '[') {
        host_end = memchr(host, ']', authority.n);
        host++;
        port = host_end ? host_end + 1 : NULL;
    } else {
        host_end = memchr(host, ':', authority.n);
        host_end = host_end ? host_end : end;
        port = host_end;
    }
    if (!host_end || host_end == host || (port < end && (*port != ':' || port + 1 == end)))
        return NULL;
    for (const char *c = port + 1; port < end && c < end; c++)
        if (*c < '0' || *c > '9' || end - port > 6)
            return NULL;
    return mem_strndup(host, (size_t)(host_end - host));
}

static int check_form(const char *where, Str *authority, Err *e)
{
    const char *rest = strstr(where, "://") + 3;
    const size_t n = strlen(where);
    if (n > ADDRESS_MAX)
        return err_set(e, ERR_ARG, "the teacher's address has %zu bytes; at most %d are expected", n, ADDRESS_MAX);
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)where[i] <= ' ' || (unsigned char)where[i] > '~')
            return err_set(e, ERR_ARG, "the teacher's address has a blank or another character that belongs into no address, at byte %zu", i + 1);
    *authority = (Str){ rest, strcspn(rest, "/?#") };
    if (memchr(authority->p, '@', authority->n)) /* not shown: it may hold a password */
        return err_set(e, ERR_ARG, "the teacher's address holds a user name or a password; leave them out, a key is taken from the environment");
    if (strpbrk(rest, "?#"))
        return err_set(e, ERR_ARG, "%s: the address must end with its path, without ? and #", where);
    return 0;
}

int teacher_address(char **base, Reach *reach, const char *where, Err *e)
{
    Str    authority = { 0 };
    size_t n = strlen(where);
    int    rc = check_form(where, &authority, e);
    if (rc)
        return rc;
    char *host = host_of(authority);
    if (!host)
        return err_set(e, ERR_ARG, "%s is no address; expected is something like http://127.0.0.1:8080/v1", where);
    const bool known = reach_of(host, reach), plain = !strncasecmp(where, "http://", 7);
    if (!known)
        *reach = REACH_PUBLIC;
    if (!known && plain)
        rc = err_set(e, ERR_IO, "%s: there is no host %s; look at the address, or at the network", where, host);
    else if (plain && *reach == REACH_PUBLIC)
        rc = err_set(e, ERR_ARG, "%s lies outside this machine and its private networks, and http would send the passages there for everybody to read; use https", where);
    free(host);
    if (rc)
        return rc;
    while (n && where[n - 1] == '/')
        n--;
    if (n > sizeof tail && !strncmp(where + n - (sizeof tail - 1), tail, sizeof tail - 1))
        n -= sizeof tail - 1;
    while (n && where[n - 1] == '/')
        n--;
    *base = mem_strndup(where, n);
    return 0;
}
