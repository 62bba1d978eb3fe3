/* file.h - read, map, list and durable writes. The only file with operating-system calls on paths.
 * Durable: a file is written under a temporary name, flushed (fsync), renamed over the target, and the folder is flushed; a folder likewise
 * (folder_begin, write into it, folder_commit). A reader sees the old thing or the whole new thing, never a half. */
#ifndef HONE_FILE_H
#define HONE_FILE_H

#include "base/err.h"
#include "base/str.h"

#define FILE_TEXT_MAX ((size_t)1 << 30) /* most that file_read_text takes into memory */

bool  file_exists(const char *path);
bool  file_is_dir(const char *path);
int   file_size(const char *path, uint64_t *size, Err *e);
int   file_read_text(const char *path, char **text, size_t *n, Err *e);    /* owned, zero-terminated */
char *path_join(const char *dir, const char *name);                        /* owned */
char *path_absolute(const char *path);                                     /* owned; without links and dots; a copy when there is no such thing */
const char *path_base(const char *path);                                   /* the part behind the last slash */

typedef struct FileMap { const uint8_t *p; size_t n; } FileMap;             /* read-only mapping; empty file: p NULL */
int   file_map(FileMap *m, const char *path, Err *e);
void  file_unmap(FileMap *m);
void  file_forget(const void *p, size_t n);   /* pages of a mapping that these bytes lie in may leave memory; they are read again when touched */
void  file_expect(const void *p, size_t n);   /* these bytes of a mapping will be read soon: the system may begin to fetch them */

typedef struct FileList { char **name; size_t n; } FileList;               /* names without folder, sorted bytewise, no "." ".." */
int   file_list(FileList *l, const char *dir, Err *e);
void  file_list_release(FileList *l);

int   dir_make(const char *path, Err *e);                                  /* with parents; existing is fine */
int   dir_remove(const char *path, Err *e);                                /* with its content; absent is fine; never follows links */

/* A file being written that appears whole or not at all. */
typedef struct FileOut FileOut;
int   file_out_open(FileOut **out, const char *path, Err *e);              /* creates PATH.tmp-PID beside the target */
int   file_out_private(FileOut *f, Err *e);                                /* only its owner may read it */
int   file_out_write(FileOut *f, const void *p, size_t n, Err *e);         /* short writes and a full disk are an Err */
int   file_out_drain(FileOut *f, StrBuf *block, size_t least, Err *e);     /* writes the block and empties it, if it holds `least` bytes or more */
int   file_out_commit(FileOut **f, Err *e);                                /* flush, fsync, rename, fsync of the folder; frees */
int   file_out_finish(FileOut **f, Err *e);                                /* the same without waiting for the disk: for a file in a folder that
                                                                              folder_commit will flush */
void  file_out_abort(FileOut **f);                                         /* removes the temporary file; NULL is fine */
int   file_write_atomic(const char *path, const void *p, size_t n, Err *e);
int   file_append_line(const char *path, Str line, Err *e);                /* one write() of line + '\n', O_APPEND */
/* A file that grows by whole blocks and can be taken back to a length that is remembered elsewhere. */
typedef struct FileLog { int fd; uint64_t size; char *path; } FileLog;    /* {-1} is closed */
int   file_log_open(FileLog *f, const char *path, uint64_t keep, Err *e); /* created when absent; what stands behind the first `keep` bytes goes; ERR_INPUT when
                                                                             fewer than `keep` are there */
int   file_log_add(FileLog *f, const void *p, size_t n, Err *e);          /* whole, or what was written of it is taken back */
int   file_log_sync(FileLog *f, Err *e);
void  file_log_close(FileLog *f);
int   file_sync(const char *path, Err *e);                                 /* what is in it survives a power loss */
int   file_rename(const char *from, const char *to, Err *e);               /* file or folder, within one file system; `to` may be a file to be replaced */
int   file_truncate(const char *path, uint64_t size, Err *e);

/* A folder that appears whole or not at all: begin gives PATH.tmp-PID to fill; commit flushes every file in it, renames, flushes the parent. */
int   folder_begin(char **tmp, const char *path, Err *e);
int   folder_commit(char **tmp, const char *path, Err *e);                 /* an existing PATH is replaced; frees *tmp; after an Err: abort */
void  folder_abort(char **tmp);

#endif
