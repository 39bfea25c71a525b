/*
 * The manifest of a client's state (rule R7): which immutable files make up the state, each with its size and
 * SHA-256, and the few numbers beside them. It is text, one fact a line, closed by its own SHA-256. Not for
 * reading or writing files.
 */
#ifndef FL_CLIENT_CORE_MANIFEST_H
#define FL_CLIENT_CORE_MANIFEST_H

#include <stdint.h>

#include "base/bytes.h"
#include "base/env.h"
#include "protocol/messages.h"

#define FL_STATE_NAME_BYTES   48 /* name of a state file with its zero */
#define FL_MANIFEST_NAME      "manifest"
#define FL_MANIFEST_DELTAS    16 /* deltas after the replica file before it is written anew */
#define FL_MANIFEST_RECEIPTS  16 /* newest receipts that are kept (rule R4) */
#define FL_MANIFEST_MAX_BYTES ((size_t)32 << 10)

/* A file of the state; no name: there is none. */
struct fl_state_file {
    char name[FL_STATE_NAME_BYTES];
    uint64_t bytes;
    uint8_t sha256[FL_DIGEST_SIZE];
};

struct fl_manifest {
    char run[FL_LIMIT_NAME_BYTES + 1];
    uint64_t epoch;
    uint64_t origin;               /* the run's first epoch */
    uint64_t elems;                /* d */
    uint64_t next_seq;             /* of the update in the outbox, or of the next one */
    int outbox_lost;               /* 1: the outbox of next_seq was damaged; it may have been sent before */
    struct fl_state_file residual; /* e_old; none: all zero */
    struct fl_state_file replica;  /* published values; none: x_0 of the model's seed, version 0 */
    struct fl_state_file deltas[FL_MANIFEST_DELTAS]; /* model messages to apply to replica, in order */
    size_t delta_count;
    struct fl_version version;    /* after the deltas; meaningful when there is a replica */
    struct fl_state_file outbox;  /* bytes of the update that waits for its verdict */
    struct fl_state_file pending; /* the residual once it is accepted; none when it calibrates */
    struct fl_codec_spec codec;   /* of the outbox; meaningful when there is one */
    /* What the codec keeps between payloads (codec/state.h); none: a fresh start. The second is what it is
     * once the outbox is accepted. */
    struct fl_state_file codec_state, pending_codec_state;
    uint64_t dropped;    /* updates whose sent part was lost (rule R6) */
    double dropped_norm; /* sum of the l2 norms of what was lost, parameter units */
    uint32_t folds;      /* updates in a row that were folded back */
    struct fl_proof receipts[FL_MANIFEST_RECEIPTS]; /* of the newest verdicts, oldest first */
    size_t receipt_count;
};

/* Adds a receipt; the oldest makes room. */
void fl_manifest_add_receipt(struct fl_manifest *manifest, const struct fl_proof *receipt);

/* 1 when the manifest names the file. */
int fl_manifest_names(const struct fl_manifest *manifest, const char *name);

/* Appends the text. FL_ERR_NOMEM, FL_ERR_LIMIT. */
FL_MUST_CHECK enum fl_status fl_manifest_encode(const struct fl_manifest *manifest, const struct fl_env *env,
                                                struct fl_buf *buf);

/* Reads the text. FL_ERR_CORRUPT when its checksum or any line is wrong, FL_ERR_VERSION when it was written
 * by an unknown version of this program. */
FL_MUST_CHECK enum fl_status fl_manifest_decode(struct fl_bytes text, const struct fl_env *env,
                                                struct fl_manifest *ret_manifest);

#endif
