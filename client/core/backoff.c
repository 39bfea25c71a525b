#include "client/core/backoff.h"

uint64_t fl_backoff_ms(const struct fl_env *env, uint32_t attempt, uint64_t retry_after_ms)
{
    uint8_t bytes[8];
    uint64_t most = FL_BACKOFF_CAP_MS;
    if (attempt < 16 && ((uint64_t)FL_BACKOFF_BASE_MS << attempt) < most)
        most = (uint64_t)FL_BACKOFF_BASE_MS << attempt;
    env->entropy(env->user, bytes, sizeof bytes);
    uint64_t wait = fl_load_le64(bytes) % (most + 1);
    if (retry_after_ms > FL_BACKOFF_RETRY_AFTER_MS)
        retry_after_ms = FL_BACKOFF_RETRY_AFTER_MS;
    return retry_after_ms + wait;
}
