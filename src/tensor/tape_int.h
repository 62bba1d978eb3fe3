/* tape_int.h - inside this room: the backward functions that ops.def lists, one per op, each beside its forward in op_*.c.
 * A backward function is called with out->grad present and adds into the gradients of its inputs. */
#ifndef HONE_TAPE_INT_H
#define HONE_TAPE_INT_H

#include "tensor/tape.h"

#define OP(name, back) void back(Tape *t, const TapeRec *r);
#include "tensor/ops.def"
#undef OP

#endif
