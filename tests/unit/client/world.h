/*
 * A world of one client: a server in the same process that judges updates exactly once and adds up what it
 * accepted as integers, a trainer that draws deltas from a seed, a clock that jumps, and a store in memory or
 * in a folder. Tests steer it by faults and look at the trace.
 */
#ifndef FL_TESTS_UNIT_CLIENT_WORLD_H
#define FL_TESTS_UNIT_CLIENT_WORLD_H

#include "client/core/client.h"
#include "client/port/state_files.h"
#include "keeper.h"

#define WORLD_FILES     256
#define WORLD_TRACE     4096
#define WORLD_STEP_LOG2 (-6)

/* What happens to the answer of the next requests of one route. */
enum world_fault {
    FAULT_NONE,
    FAULT_LOST_BEFORE, /* the request never arrives */
    FAULT_LOST_AFTER,  /* the answer never arrives */
    FAULT_503,
    FAULT_HTML_200,  /* a proxy's page */
    FAULT_EMPTY_201, /* a bare status, the request never arrives */
    FAULT_EMPTY_409,
    FAULT_WRONG_EPOCH,
    FAULT_WRONG_SEQ,
    FAULT_WRONG_DIGEST,
    FAULT_CUT, /* the body loses its last byte */
    FAULT_401, /* as the server refuses a client */
    FAULT_403,
    FAULT_PROXY,     /* something before the server answers world.proxy_status with a page of its own */
    FAULT_413,       /* as the server refuses an update that is too long */
    FAULT_413_PROXY, /* as something before it does */
    FAULT_429,
    FAULT_BAD_DELTA, /* model: a delta with a wrong value */
    FAULT_BAD_SNAPSHOT,
    FAULT_BAD_DELTA_ALWAYS, /* the same, even to a client that asks for a snapshot */
};

struct world_file {
    char name[FL_STATE_NAME_BYTES];
    uint8_t *data;
    size_t size;
};

struct world {
    struct fl_env env;
    uint64_t now_ms;
    uint64_t entropy; /* state of the seeded source of entropy */
    uint64_t waited_ms, waits;
    int proxy_status;

    /* server */
    struct fl_run_info info;
    uint64_t elems;
    float *x, *x_before; /* published values of the newest version and of the one before */
    uint64_t last_seq;
    uint8_t last_digest[FL_DIGEST_SIZE];
    struct fl_verdict last_verdict;
    __int128 *accepted; /* sum of what accepted payloads hold, unit 2^-100; of codecs that are exact */
    uint64_t accepted_count;
    uint64_t round, rounds;
    enum fl_verdict_kind judge; /* verdict on the next new updates */
    enum fl_work_kind work_kind;
    const char *codec;
    uint32_t dense_below;  /* 0: not in parts */
    struct fl_proof shown; /* the newest receipt that the client has shown */
    uint64_t total;        /* accepted, as the receipts say */
    uint64_t lost;         /* accepted ones that the restored server has lost */
    int forgets_key;       /* 1: no receipt is its own */
    uint64_t seq_shift;    /* added to the sequence number in work */
    enum fl_route_kind fault_route;
    enum world_fault fault;
    unsigned fault_count; /* how many more requests of fault_route it hits */
    uint64_t retry_after_ms;

    /* trainer */
    unsigned not_finite; /* how many more trainings give NaN */
    enum fl_status train_status;

    /* client */
    struct fl_client_options options;
    struct fl_client *client;
    struct keeper *keeper;        /* the engine in use; NULL: the host's */
    struct fl_client_event event; /* the next one */
    struct fl_client_effect effect;

    /* store: in memory, or in a folder when disk is set; then files[] only caches what was looked at */
    struct fl_state_files *disk;
    struct world_file files[WORLD_FILES];
    size_t file_count;
    enum fl_status save_status;
    int fail_alloc;                 /* >= 0: every call of the client may allocate so often, and no more */
    long client_bytes, client_peak; /* that the client holds after its last call; the most in any call */

    /* what was sent, in order, and how often each kind of request was made */
    struct fl_buf sent[64];
    size_t sent_count;
    unsigned requests[FL_ROUTE_RECEIPT + 1];
    char trace[WORLD_TRACE];
    struct fl_buf answer;
};

/* A run of `rounds` rounds on a small MLP, client not yet started. */
void world_init(struct world *w, uint64_t rounds);
/* The same with so many hidden units. */
void world_init_hidden(struct world *w, uint64_t rounds, uint32_t hidden);
void world_done(struct world *w);

/* Throws the client in memory away, and loads and starts a new one from the store. */
enum fl_status world_start(struct world *w);

/* Carries out the effect that stands and gives the client the event; returns the kind of effect carried out.
 */
enum fl_client_effect_kind world_step(struct world *w);

/* Steps until the effect that stands is of this kind (not carried out). Fails the test when the client stops.
 */
void world_until(struct world *w, enum fl_client_effect_kind kind);

/* Steps until the client stops; returns why. */
enum fl_status world_run(struct world *w);

/* One step of the store, in the order of rule R7, for tests that crash in between: file i, then the manifest.
 */
void world_put_file(struct world *w, size_t i);
void world_put_manifest(struct world *w);
void world_sweep(struct world *w);

struct world_file *world_find(struct world *w, const char *name);
struct fl_client_reader world_reader(struct world *w);

/* Hits the next `count` requests of a route. */
void world_fault(struct world *w, enum fl_route_kind route, enum world_fault fault, unsigned count);

/* Rule R25 over all that was ever consumed, from history/ files, in exact integers (unit 2^-100); and that
 * the residual on disk is the last of them. The store must have been written with keep_history. */
void world_check_law(struct world *w);

#endif
