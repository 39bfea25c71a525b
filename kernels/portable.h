/* The table in plain C: always there, and what every faster table is compared with, bit for bit. */
#ifndef FL_KERNELS_PORTABLE_H
#define FL_KERNELS_PORTABLE_H

#include "kernels/kernels.h"

extern const struct fl_kernels fl_kernels_portable;

#endif
