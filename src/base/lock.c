/* lock.c - see lock.h. The file stays behind; only the lock on it means something. */
#include "base/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

int lock_take(int *fd, const char *path, Err *e)
{
    *fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (*fd < 0)
        return err_sys(e, "%s: cannot be created", path);
    if (flock(*fd, LOCK_EX | LOCK_NB) == 0)
        return 0;
    int rc = errno == EWOULDBLOCK ? err_set(e, ERR_IO, "%s: another process is working here; wait for it or stop it", path)
                                  : err_sys(e, "%s: cannot be locked", path);
    lock_drop(fd);
    return rc;
}

void lock_drop(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}
