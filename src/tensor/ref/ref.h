/* ref.h - the reference backend: plain loops on one thread, every sum in double, rounded to f32 once. Slow; it defines the meaning. */
#ifndef HONE_REF_H
#define HONE_REF_H

#include "tensor/backend.h"

Backend *backend_ref_open(void);

#endif
