/* identity.h - the model as trained against the model as served. */
#ifndef HONE_IDENTITY_H
#define HONE_IDENTITY_H

#include "train/pass.h"

/* Log-probabilities of one example by the training pass and by token-by-token decoding with a KV cache; the largest absolute difference. At most
 * `tokens` of the example are decoded. */
#define IDENTITY_TOKENS 256 /* enough to see a difference, little enough to be done in a moment */
int identity_check(PassCtx *p, const DataSet *d, int64_t example, int32_t tokens, double *largest, Err *e);
/* Seconds that each of the first `tokens` of an example with more than that takes to decode. */
int identity_time(PassCtx *p, const DataSet *d, int64_t example, int32_t tokens, double *seconds /* [tokens] */, Err *e);

#endif
