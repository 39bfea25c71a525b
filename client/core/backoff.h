/*
 * How long to wait before a request is repeated: exponential with full jitter, so that many clients do not
 * come back together. Source: Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
 */
#ifndef FL_CLIENT_CORE_BACKOFF_H
#define FL_CLIENT_CORE_BACKOFF_H

#include <stdint.h>

#include "base/env.h"

#define FL_BACKOFF_BASE_MS        250
#define FL_BACKOFF_CAP_MS         30000
#define FL_BACKOFF_RETRY_AFTER_MS 600000 /* most that a server's Retry-After can hold a client back */

/* Uniform in [0, min(cap, base * 2^attempt)] milliseconds, and never before retry_after_ms (0: not given).
 * attempt counts from 0. */
uint64_t fl_backoff_ms(const struct fl_env *env, uint32_t attempt, uint64_t retry_after_ms);

#endif
