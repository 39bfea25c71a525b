/*
 * Who may talk to the server (rules R20, R23): clients by key and tokens. Not for certificates themselves,
 * which the port issues. Rows are written through the store within a turn; memory is a cache of them.
 */
#ifndef FL_SERVER_CORE_REGISTRY_H
#define FL_SERVER_CORE_REGISTRY_H

#include <stddef.h>
#include <stdint.h>

#include "base/env.h"
#include "server/core/store.h"

struct fl_client {
    struct fl_client_row row;
    size_t slot;             /* place in fl_registry.clients; per-run tables are indexed by it */
    uint64_t hash;           /* of the id, for drawing cohorts, and seeds of clients without a name */
    int64_t seen_written_ms; /* seen_wall_ms as the store has it */
    uint64_t displaced_ms;   /* env's monotonic clock: since then `displaced` of its requests for work */
    unsigned displaced;      /* were displaced by later ones */
};

struct fl_registry {
    struct fl_client **clients; /* client_count, in order of enrolment */
    struct fl_client **by_key;  /* the same, sorted by key */
    struct fl_client **by_id;   /* the same, sorted by id */
    size_t client_count, client_capacity;
    struct fl_token_row *tokens;
    size_t token_count, token_capacity;
    struct fl_revocation_row *revocations; /* revocation_count, as the list of its own has them */
    size_t revocation_count;
};

/* Clients that the list of revocations names are revoked whatever their rows say, and those whose rows say so
 * are added to it where it does not name them (rule R23). */
FL_MUST_CHECK enum fl_status fl_registry_load(struct fl_registry *registry, struct fl_store *store);
void fl_registry_done(struct fl_registry *registry);

/* NULL when there is none. */
struct fl_client *fl_registry_by_key(const struct fl_registry *registry, const uint8_t key[FL_DIGEST_SIZE]);
struct fl_client *fl_registry_by_id(const struct fl_registry *registry, const char *id);

/* The client whose id begins so; FL_ERR_NOT_FOUND, or FL_ERR_STATE when several do. */
FL_MUST_CHECK enum fl_status fl_registry_by_prefix(const struct fl_registry *registry, const char *prefix,
                                                   struct fl_client **ret_client);

/* Hash of a client id as used in fl_client.hash: fl_mix64 of the numbers written by its first 16 and its next
 * 16 hexadecimal digits. */
uint64_t fl_client_hash(const char *id);

/* Notes that the client was heard; written to the store once a minute at most. */
FL_MUST_CHECK enum fl_status fl_registry_seen(struct fl_store *store, struct fl_client *client,
                                              int64_t wall_ms);

FL_MUST_CHECK enum fl_status fl_registry_revoke(struct fl_registry *registry, struct fl_store *store,
                                                struct fl_client *client);

/* Makes every token useless, for good (rule R23). */
FL_MUST_CHECK enum fl_status fl_registry_void_tokens(struct fl_registry *registry, struct fl_store *store);

/* Makes a token with so many uses and writes ID.SECRET to ret_text; only the secret's hash is kept. */
FL_MUST_CHECK enum fl_status fl_registry_token(struct fl_registry *registry, struct fl_store *store,
                                               const struct fl_env *env, uint64_t uses, uint64_t ttl_ms,
                                               char ret_text[FL_LIMIT_TOKEN_BYTES + 1]);

/* Asks the port for a certificate chain of this client id; appends PEM. */
struct fl_issuer {
    enum fl_status (*issue)(void *user, struct fl_bytes public_key, const char *client_id,
                            struct fl_buf *chain);
    void *user;
};

enum fl_enrol_outcome {
    FL_ENROL_DONE,
    FL_ENROL_BAD_TOKEN,
    FL_ENROL_EXPIRED,
    FL_ENROL_VOID, /* made before the server was restored */
    FL_ENROL_USED_UP,
    FL_ENROL_REVOKED,
    FL_ENROL_NOT_ISSUED,
};

/*
 * Registers a key by a token, and appends its certificate chain. The same token and key get the stored answer
 * again, burning nothing; a key that is registered keeps its id. chain must be empty. A status other than
 * FL_OK is a failure of store or memory: the turn must then fail, as memory may be ahead of the store.
 */
FL_MUST_CHECK enum fl_status fl_registry_enrol(struct fl_registry *registry, struct fl_store *store,
                                               const struct fl_env *env, const struct fl_issuer *issuer,
                                               const char *token, const char *name,
                                               const uint8_t key[FL_DIGEST_SIZE], struct fl_bytes public_key,
                                               enum fl_enrol_outcome *ret_outcome,
                                               char ret_client[FL_LIMIT_NAME_BYTES + 1],
                                               struct fl_buf *chain);

#endif
