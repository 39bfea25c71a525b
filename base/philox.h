/*
 * One block of Philox4x32-10 (Salmon et al., SC 2011), on host and device. Not for sequences of numbers
 * (base/random.h).
 */
#ifndef FL_BASE_PHILOX_H
#define FL_BASE_PHILOX_H

#include <stdint.h>

#include "base/host_device.h"

/* Counter (4 words) and key (2 words) to 4 words. */
FL_HOST_DEVICE void fl_philox_block(const uint32_t counter[4], const uint32_t key[2], uint32_t ret_block[4])
{
    uint32_t c0 = counter[0], c1 = counter[1], c2 = counter[2], c3 = counter[3];
    uint32_t k0 = key[0], k1 = key[1];
    for (int round = 0; round < 10; round++) {
        uint64_t p0 = (uint64_t)0xD2511F53u * c0;
        uint64_t p1 = (uint64_t)0xCD9E8D57u * c2;
        c0 = (uint32_t)(p1 >> 32) ^ c1 ^ k0;
        c1 = (uint32_t)p1;
        c2 = (uint32_t)(p0 >> 32) ^ c3 ^ k1;
        c3 = (uint32_t)p0;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    ret_block[0] = c0;
    ret_block[1] = c1;
    ret_block[2] = c2;
    ret_block[3] = c3;
}

#endif
