/* file_test.h - a full disk on demand, for tests of everything that saves. */
#ifndef HONE_FILE_TEST_H
#define HONE_FILE_TEST_H

#include "base/base.h"

/* After nbytes more bytes, every write through file.c fails as on a full disk (the write that crosses the border is cut short first).
 * A negative number lets everything pass again. Holds for the whole process. */
void file_test_fail_after(int64_t nbytes);

#endif
