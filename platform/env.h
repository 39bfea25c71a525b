/*
 * The real outside: the machine's clocks, the kernel's random generator and mbedTLS's digests as base/env.h.
 */
#ifndef FL_PLATFORM_ENV_H
#define FL_PLATFORM_ENV_H

#include "base/env.h"

/* Needs no clean-up; any thread may use it. */
struct fl_env fl_env_system(void);

/* The monotonic clock in microseconds, for measurements in logs. */
uint64_t fl_monotonic_us(void);

#endif
