/* kern_base.c - the kernels for any machine: vectors of four floats, which every x86-64 and ARMv8 has. */
#define VW 4
#include "tensor/cpu/kern_body.h"

const Kern kern_base = KERN_TABLE;
