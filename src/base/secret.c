/* secret.c - see secret.h. */
#include "base/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/file.h"

static int make(int fd, const char *path, char out[SECRET_HEX], Err *e)
{
    unsigned char bytes[(SECRET_HEX - 1) / 2];
    if (getrandom(bytes, sizeof bytes, 0) != (ssize_t)sizeof bytes)
        return err_sys(e, "%s: no random bytes from the system", path);
    for (size_t i = 0; i < sizeof bytes; i++)
        snprintf(out + 2 * i, 3, "%02x", bytes[i]);
    if (write(fd, out, SECRET_HEX - 1) != SECRET_HEX - 1 || write(fd, "\n", 1) != 1 || fsync(fd) != 0)
        return err_sys(e, "%s cannot be written", path);
    return 0;
}

static int read_back(const char *path, char out[SECRET_HEX], Err *e)
{
    char  *text = NULL;
    size_t n = 0;
    int    rc = file_read_text(path, &text, &n, e);
    if (!rc && (strspn(text, "0123456789abcdef") != SECRET_HEX - 1 || n > SECRET_HEX || (n == SECRET_HEX && text[n - 1] != '\n')))
        rc = err_set(e, ERR_INPUT, "%s does not hold 64 hexadecimal digits; give the file that was made for this purpose, or one that does not exist yet", path);
    if (!rc) {
        memcpy(out, text, SECRET_HEX - 1);
        out[SECRET_HEX - 1] = 0;
    }
    free(text);
    return rc;
}

int secret_file(const char *path, char out[SECRET_HEX], Err *e)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return errno == EEXIST ? read_back(path, out, e) : err_sys(e, "%s cannot be made", path);
    int rc = make(fd, path, out, e);
    close(fd);
    if (rc)
        unlink(path); /* half a secret is none */
    return rc;
}
