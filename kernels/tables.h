/* The tables, one a file. "portable" is plain C: always there, and what every faster table is compared with,
 * bit for bit. The others are there on their kind of processor only, and kernels.c asks it what it can do. */
#ifndef FL_KERNELS_TABLES_H
#define FL_KERNELS_TABLES_H

#include "kernels/kernels.h"

extern const struct fl_kernels fl_kernels_portable;
extern const struct fl_kernels fl_kernels_avx2;   /* AVX2, BMI2: Haswell, Zen and newer */
extern const struct fl_kernels fl_kernels_avx512; /* AVX-512 F, BW, DQ, VL: Skylake-X, Zen 4 and newer */
extern const struct fl_kernels fl_kernels_neon;   /* every aarch64 */

#endif
