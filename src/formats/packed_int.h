/* packed_int.h - what the files of the packed room share: a packed matrix and its parts, the settings of a method, small readers. Tensors lie in
 * the file at any address, so numbers are fetched by memcpy. */
#ifndef HONE_PACKED_INT_H
#define HONE_PACKED_INT_H

#include "base/json.h"
#include "formats/weights.h"

typedef enum {
    PART_CODE, PART_SCALE, PART_ZERO, PART_GROUP, PART_SHAPE, PART_MAP, PART_SCALE2, PART_MAP2, PART_STATE, PART_ROW_SCALE, PART_FORMAT,
    PART_COUNT, PART_IGNORED,
} Part;

typedef struct Suffix { const char *text; Part part; } Suffix;  /* of a tensor's name; what stands before it names the module */

/* What quantization_config says, as far as the bytes need it. */
typedef struct PackedConfig {
    const Json *quant;
    const char *where;
    int64_t     bits, group;            /* group: inputs that share a scale; -1: all */
    int64_t     block[2];               /* rows, columns that share a scale; 0: the config names none */
    bool        zero_less_one;          /* zero points are stored one less than they are */
    bool        act_order;
    bool        wants_zero;             /* compressed-tensors: asymmetric */
    bool        row_words;              /* compressed-tensors: the module's codes lie in 32-bit words */
    uint32_t    bit_sizes;              /* compressed-tensors: bit n set when a group of modules has n bits */
    DType       copy;                   /* what a copy is best written in */
} PackedConfig;

typedef struct Packed Packed;
struct Packed {
    const char     *stem, *name;        /* "model.layers.0.mlp.up_proj", the same with ".weight" */
    const StFile   *f;
    const StTensor *part[PART_COUNT];
    char            stored[24];
    int64_t         rows, cols;
    int (*read)(const Packed *p, int64_t first, int64_t n, float *dst, Err *e);
    DType           kernel;             /* DT_COUNT: make_row is NULL */
    int (*make_row)(const Packed *p, int64_t row, void *dst, Err *e);   /* a row in the kernel type */
    const float    *table;              /* code -> number, 16 or 256 */
    int             bits;
    bool            zero_less_one;
    DType           round_to;
    int64_t         block_rows, block_cols;  /* one scale each */
    int64_t         block, block2;      /* NF4, FP4: numbers to a scale, scales to a scale of scales */
    float           offset;
};

int packed_bnb_describe(Packed *p, const PackedConfig *c, Err *e);
int packed_fp8_describe(Packed *p, const PackedConfig *c, Err *e);
int packed_ct_describe(Packed *p, const PackedConfig *c, Err *e);
int packed_gptq_describe(Packed *p, const PackedConfig *c, Err *e);
int packed_awq_describe(Packed *p, const PackedConfig *c, Err *e);
int packed_ct_words_describe(Packed *p, const PackedConfig *c, Err *e);

const char *packed_where(const Packed *p);
int   packed_missing(const Packed *p, const char *suffix, Err *e);           /* the error for a part that is not there */
int   packed_misshapen(const Packed *p, Part part, const char *want, Err *e);
bool  packed_is(const StTensor *t, const char *dtype, int rank);             /* and no dimension is 0 */
bool  packed_is_float(const StTensor *t);                                    /* F32, F16 or BF16, not empty */
float packed_number(const StTensor *t, int64_t i);                           /* F32, F16, BF16 */
int   packed_scale(const Packed *p, Part part, int64_t i, float *scale, Err *e);   /* the number, or an error when it is not finite */
void  packed_round(float *v, int64_t n, DType to);
void  float8_table(float table[256], int exponent_bits, bool has_infinity);  /* E4M3: 4, false; E5M2: 5, true */

#endif
