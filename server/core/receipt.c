#include "server/core/receipt.h"

#include <string.h>

#define RECEIPT_MAGIC "FLRECEIPT2"

static uint8_t *put_bytes(uint8_t *at, const void *data, size_t size)
{
    memcpy(at, data, size);
    return at + size;
}

static uint8_t *put_u64(uint8_t *at, uint64_t value)
{
    fl_store_le64(at, value);
    return at + 8;
}

void fl_receipt_make(const struct fl_env *env, const uint8_t mac_key[FL_DIGEST_SIZE], struct fl_run_key run,
                     const struct fl_receipt_row *row, uint8_t ret_receipt[FL_DIGEST_SIZE])
{
    uint8_t text[sizeof RECEIPT_MAGIC + 2 * (FL_LIMIT_NAME_BYTES + 1) + 7 * 8 + FL_DIGEST_SIZE];
    uint8_t *at = put_bytes(text, RECEIPT_MAGIC, sizeof RECEIPT_MAGIC - 1);

    at = put_bytes(at, run.name, strlen(run.name) + 1);
    at = put_u64(at, run.epoch);
    at = put_u64(at, row->epoch);
    at = put_bytes(at, row->client, strlen(row->client) + 1);
    at = put_u64(at, row->seq);
    at = put_bytes(at, row->digest, FL_DIGEST_SIZE);
    at = put_u64(at, row->verdict);
    at = put_u64(at, row->round);
    at = put_u64(at, row->weight);
    at = put_u64(at, row->total);
    env->hmac(env->user, (struct fl_bytes){mac_key, FL_DIGEST_SIZE},
              (struct fl_bytes){text, (size_t)(at - text)}, ret_receipt);
}
