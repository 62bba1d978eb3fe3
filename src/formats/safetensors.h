/* safetensors.h - the file format of Hugging Face weights (https://github.com/huggingface/safetensors#format): 8 bytes little-endian
 * header length N, N bytes of JSON, then the data. Read by mapping, no copies; every rule checked before a byte of data is believed:
 * header length <= 100 MB and inside the file, JSON object, known dtype, shape non-negative and its product times the item size equal to
 * the offsets' span without overflow, spans contiguous from 0 in order, no overlap, no hole, last one ends at the file's end, no
 * duplicate name, __metadata__ a map of strings. Refused although the format allows them: more than ST_RANK_MAX dimensions, and names with
 * control characters, so that every name in an StFile can be printed. */
#ifndef HONE_SAFETENSORS_H
#define HONE_SAFETENSORS_H

#include "base/err.h"
#include "formats/dtype.h"

#define ST_RANK_MAX 8
#define ST_NAME_MAX 512               /* bytes of a tensor's name */
#define ST_HEADER_MAX 100000000u      /* bytes of the header, the format's own limit; also of an index */
#define ST_SHARDS_MAX 4096

typedef struct StTensor {
    const char *name;
    char        dtype_text[16];      /* as the file says ("F8_E4M3"): known to the format even when hone cannot compute with it */
    bool        known;               /* dtype below is valid */
    DType       dtype;
    int         rank;
    int64_t     dim[ST_RANK_MAX];
    int64_t     count;               /* product of dim; 1 for rank 0 */
    const void *data;                /* into the mapping; NOT aligned to the item size */
    size_t      nbytes;
} StTensor;

typedef struct StFile StFile;        /* one file, or a folder's set of shards behind one face */

int  st_open(StFile **out, const char *path, Err *e);                       /* one .safetensors file */
int  st_open_memory(StFile **out, const void *p, size_t n, const char *name, Err *e); /* borrowed bytes; for tests and fuzzing */
int  st_open_index(StFile **out, const char *index_json_path, Err *e);      /* model.safetensors.index.json and the shards it names: each name
                                                                               exactly where weight_map says, none missing, none unlisted */
void st_close(StFile *f);
size_t st_count(const StFile *f);
const StTensor *st_at(const StFile *f, size_t i);                           /* by place in the data; shards by name */
const StTensor *st_find(const StFile *f, const char *name);                 /* NULL: absent */
Str  st_metadata(const StFile *f, const char *key);                         /* {NULL,0}: absent */
const char *st_where(const StFile *f, const StTensor *t);                   /* path of the file that holds t */

/* Atomic writer: declare all tensors first, then give the data in the same order, in pieces if wished. The header is padded with spaces so
 * that data starts at a multiple of 8. commit fails when bytes are missing, and does not wait for
 * the disk: a file of tensors is a part of a folder, which folder_commit flushes (file_out_finish). */
typedef struct StWriter StWriter;
int  st_create(StWriter **out, const char *path, Err *e);
void st_meta(StWriter *w, const char *key, const char *value);
void st_declare(StWriter *w, const char *name, DType t, int rank, const int64_t *dim);
void st_declare_bytes(StWriter *w, const char *name, bool is_signed, int rank, const int64_t *dim);   /* I8 or U8 */
int  st_write(StWriter *w, const void *p, size_t nbytes, Err *e);           /* first call writes the header */
int  st_commit(StWriter **w, Err *e);
void st_abort(StWriter **w);

#endif
