/*
 * The receipt of a verdict: an HMAC by the server's key that proves, shown later, what the server has judged
 * (rule R4). Not the row in the store.
 */
#ifndef FL_SERVER_CORE_RECEIPT_H
#define FL_SERVER_CORE_RECEIPT_H

#include "base/env.h"
#include "server/core/store.h"

/*
 * HMAC-SHA-256 over: "FLRECEIPT2", run name and a zero, the run's first epoch u64, the epoch it was judged in
 * u64, client id and a zero, seq u64, digest, verdict u64, round u64, weight u64, total u64; integers
 * little-endian. Of the row nothing else counts; the same row always gives the same receipt.
 */
void fl_receipt_make(const struct fl_env *env, const uint8_t mac_key[FL_DIGEST_SIZE], struct fl_run_key run,
                     const struct fl_receipt_row *row, uint8_t ret_receipt[FL_DIGEST_SIZE]);

#endif
