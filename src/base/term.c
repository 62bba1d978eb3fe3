/* term.c - the terminal's abilities, and a polite Ctrl-C.
 * Invariant: the first SIGINT or SIGTERM only sets a flag, which long work reads between steps; the next one has its usual effect, so a
 * program that is stuck can always be ended. Reads are not restarted after the signal (no SA_RESTART): a prompt returns at once. */
#include "base/term.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

static atomic_bool stop_asked;
_Static_assert(ATOMIC_BOOL_LOCK_FREE == 2, "the signal handler may only touch lock-free atomics");

bool term_is_tty(int fd)
{
    return isatty(fd) == 1;
}

bool term_colour(int fd)
{
    const char *no_colour = getenv("NO_COLOR"), *kind = getenv("TERM");
    return term_is_tty(fd) && !(no_colour && *no_colour) && !(kind && strcmp(kind, "dumb") == 0);
}

int term_width(int fd)
{
    struct winsize size;
    return ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

static void on_stop(int number)
{
    if (atomic_exchange(&stop_asked, true)) {
        signal(number, SIG_DFL);
        raise(number); /* delivered when this handler returns */
    }
}

void term_catch_stop(void)
{
    struct sigaction action = { .sa_handler = on_stop };
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}

bool term_stop_asked(void)
{
    return atomic_load(&stop_asked);
}
