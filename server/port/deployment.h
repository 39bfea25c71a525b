/*
 * The state folder of a server and what it holds: configuration, authority, secrets, store. One process at a
 * time has it open (lock).
 */
#ifndef FL_SERVER_PORT_DEPLOYMENT_H
#define FL_SERVER_PORT_DEPLOYMENT_H

#include "base/env.h"
#include "platform/dir.h"
#include "platform/error.h"
#include "platform/file.h"
#include "server/port/admin.h"
#include "server/port/authority.h"
#include "server/port/loop.h"

/* In the folder. */
#define FL_DEPLOYMENT_PORT      "server.port"
#define FL_DEPLOYMENT_AUTHORITY "authority"
#define FL_DEPLOYMENT_DATABASE  "state.db"
#define FL_DEPLOYMENT_BLOBS     "blobs"
#define FL_DEPLOYMENT_RECEIPTS  "receipt.key"

struct fl_deployment {
    char dir[FL_PATH_SIZE];
    struct fl_lock lock;
    struct fl_env env;
    struct fl_authority_files authority;
    struct fl_store *store;
    uint8_t mac_key[FL_DIGEST_SIZE]; /* of receipts */
    char admin_token[FL_ADMIN_TOKEN_BYTES + 1];
};

/* Makes the folder (which must be missing or empty) with authority and secrets, but no configuration. On
 * failure nothing is left in it. FL_ERR_EXISTS. */
FL_MUST_CHECK enum fl_status fl_deployment_create(const char *dir, const char *const *names,
                                                  size_t name_count, struct fl_error *err);

/* Removes what fl_deployment_create and whatever came after it made, when a later step of init fails. */
void fl_deployment_discard(const char *dir);

/* guard: folder of the files of guard.h; "": dir. FL_ERR_LOCKED when another process has it; FL_ERR_NOT_FOUND
 * when it was never made. */
FL_MUST_CHECK enum fl_status fl_deployment_open(const char *dir, const char *guard,
                                                struct fl_deployment *ret_deployment, struct fl_error *err);
/* Authority and secrets only, to look at: no lock, no store. Closed likewise. FL_ERR_NOT_FOUND. */
FL_MUST_CHECK enum fl_status fl_deployment_load(const char *dir, struct fl_deployment *ret_deployment,
                                                struct fl_error *err);
void fl_deployment_close(struct fl_deployment *deployment);

/* What a loop needs, borrowing from deployment. */
struct fl_loop_config fl_deployment_loop(struct fl_deployment *deployment, size_t waiting_max);

#endif
