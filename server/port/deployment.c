#include "server/port/deployment.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "kernels/kernels.h"
#include "platform/crypto.h"
#include "platform/env.h"
#include "server/port/store_sqlite.h"

/* user: a name that does not count, or NULL. */
static enum fl_status fail_if_used(void *user, const char *name)
{
    return user && !strcmp(user, name) ? FL_OK : FL_ERR_EXISTS;
}

static enum fl_status check_unused(const char *dir, const char *except, struct fl_error *err)
{
    enum fl_status st = fl_dir_list(dir, fail_if_used, (void *)(uintptr_t)except, err);

    if (st == FL_ERR_EXISTS)
        st = fl_error_set(err, st, "%s: the folder is not empty; name a new one, init never overwrites", dir);
    return st;
}

/* A secret of FL_DIGEST_SIZE random bytes as a line of hexadecimal digits. */
static enum fl_status make_secret(const char *dir, const char *name, struct fl_error *err)
{
    uint8_t secret[FL_DIGEST_SIZE];
    char path[FL_PATH_SIZE], text[2 * FL_DIGEST_SIZE + 2];
    enum fl_status st = fl_path_join(dir, name, path, err);

    fl_random_bytes(secret, sizeof(secret));
    fl_hex_encode(secret, sizeof(secret), text);
    strcpy(text + 2 * FL_DIGEST_SIZE, "\n");
    if (!st)
        st = fl_file_write_atomic(path, fl_bytes_from_text(text), FL_FILE_SECRET, err);
    fl_secret_wipe(secret, sizeof(secret));
    fl_secret_wipe(text, sizeof(text));
    return st;
}

/* Its digits, without the end of the line. */
static enum fl_status read_secret(const char *dir, const char *name, char ret_text[2 * FL_DIGEST_SIZE + 1],
                                  uint8_t ret_secret[FL_DIGEST_SIZE], struct fl_error *err)
{
    char path[FL_PATH_SIZE];
    struct fl_buf file;
    enum fl_status st = fl_path_join(dir, name, path, err);

    fl_buf_init(&file, 4 * FL_DIGEST_SIZE);
    if (!st)
        st = fl_file_read(path, &file, err);
    if (st == FL_ERR_LIMIT)
        st = FL_ERR_CORRUPT;
    if (!st && file.size >= 2 * FL_DIGEST_SIZE) {
        memcpy(ret_text, file.data, 2 * FL_DIGEST_SIZE);
        ret_text[2 * FL_DIGEST_SIZE] = 0;
    }
    if (!st && (file.size < 2 * FL_DIGEST_SIZE || fl_hex_decode(ret_text, ret_secret, FL_DIGEST_SIZE)))
        st = fl_error_set(err, FL_ERR_CORRUPT, "%s: not %d hexadecimal digits", path, 2 * FL_DIGEST_SIZE);
    if (file.data)
        fl_secret_wipe(file.data, file.size);
    fl_buf_done(&file);
    return st;
}

enum fl_status fl_deployment_create(const char *dir, const char *const *names, size_t name_count,
                                    struct fl_error *err)
{
    struct fl_env env = fl_env_system();
    struct fl_lock lock = {.fd = -1};
    char path[FL_PATH_SIZE];
    enum fl_status st = check_unused(dir, NULL, err);

    if (st && st != FL_ERR_NOT_FOUND)
        return st;
    /* Of two at once only one goes on: what fails from then on is its own, and it alone may discard it. */
    if ((st = fl_dir_make(dir, FL_DIR_PRIVATE, err)) || (st = fl_lock_take(dir, &lock, err)) ||
        (st = check_unused(dir, FL_LOCK_NAME, err)))
        goto out;
    if ((st = fl_path_join(dir, FL_DEPLOYMENT_AUTHORITY, path, err)) ||
        (st = fl_authority_files_create(path, names, name_count, env.wall_ms(env.user) / 1000, err)) ||
        (st = make_secret(dir, FL_DEPLOYMENT_RECEIPTS, err)) || (st = make_secret(dir, FL_ADMIN_TOKEN, err)))
        fl_deployment_discard(dir);
out:
    fl_lock_release(&lock);
    return st;
}

void fl_deployment_discard(const char *dir)
{
    struct fl_error err;
    enum fl_status st = fl_dir_clear(dir, &err);

    if (st && st != FL_ERR_NOT_FOUND)
        fl_log(FL_LOG_WARN, "server.init", "%s; remove what is in %s before the next try", err.text, dir);
}

static enum fl_status open_store(struct fl_deployment *deployment, const char *guard, struct fl_error *err)
{
    char database[FL_PATH_SIZE], blobs[FL_PATH_SIZE];
    enum fl_status st = fl_path_join(deployment->dir, FL_DEPLOYMENT_DATABASE, database, err);
    if (!st)
        st = fl_path_join(deployment->dir, FL_DEPLOYMENT_BLOBS, blobs, err);
    if (!st)
        st = fl_store_open(database, blobs, err, &deployment->store);
    return st ? st : fl_store_guard(deployment->store, guard[0] ? guard : deployment->dir, err);
}

/* Authority and secrets; what is missing or damaged can only come from a backup. */
static enum fl_status open_secrets(struct fl_deployment *deployment, struct fl_error *err)
{
    char path[FL_PATH_SIZE], digits[2 * FL_DIGEST_SIZE + 1];
    uint8_t secret[FL_DIGEST_SIZE];
    const char *dir = deployment->dir;
    enum fl_status st = fl_path_join(dir, FL_DEPLOYMENT_AUTHORITY, path, err);

    if (!st)
        st = fl_authority_files_load(path, &deployment->authority, err);
    if (!st)
        st = read_secret(dir, FL_DEPLOYMENT_RECEIPTS, digits, deployment->mac_key, err);
    if (!st)
        st = read_secret(dir, FL_ADMIN_TOKEN, deployment->admin_token, secret, err);
    fl_secret_wipe(digits, sizeof(digits));
    fl_secret_wipe(secret, sizeof(secret));
    if (st == FL_ERR_NOT_FOUND || st == FL_ERR_CORRUPT)
        fl_error_write(err, "%s; put it back from a backup of the server's folder", err ? err->text : "");
    return st;
}

enum fl_status fl_deployment_load(const char *dir, struct fl_deployment *ret_deployment, struct fl_error *err)
{
    struct fl_deployment deployment = {.lock = {.fd = -1}, .env = fl_env_system()};
    enum fl_status st;

    snprintf(deployment.dir, sizeof(deployment.dir), "%s", dir);
    st = open_secrets(&deployment, err);
    if (st)
        fl_deployment_close(&deployment);
    else
        *ret_deployment = deployment;
    return st;
}

enum fl_status fl_deployment_open(const char *dir, const char *guard, struct fl_deployment *ret_deployment,
                                  struct fl_error *err)
{
    struct fl_deployment deployment;
    enum fl_status st = fl_deployment_load(dir, &deployment, err);

    if (st)
        return st;
    if ((st = fl_lock_take(dir, &deployment.lock, err)) || (st = fl_dir_clean_temp(dir, NULL, err)) ||
        (st = open_store(&deployment, guard, err)))
        fl_deployment_close(&deployment);
    else
        *ret_deployment = deployment;
    return st;
}

void fl_deployment_close(struct fl_deployment *deployment)
{
    fl_store_close(deployment->store);
    deployment->store = NULL;
    fl_lock_release(&deployment->lock);
    fl_authority_files_done(&deployment->authority);
    fl_secret_wipe(deployment->mac_key, sizeof(deployment->mac_key));
    fl_secret_wipe(deployment->admin_token, sizeof(deployment->admin_token));
}

static enum fl_status issue(void *user, struct fl_bytes public_key, const char *client_id,
                            struct fl_buf *chain)
{
    struct fl_deployment *deployment = user;
    struct fl_error err;
    enum fl_status st =
        fl_authority_files_issue(&deployment->authority, public_key, client_id,
                                 deployment->env.wall_ms(deployment->env.user) / 1000, chain, &err);
    if (st)
        fl_log(FL_LOG_ERROR, "server.authority", "client=%.8s status=%s; %s", client_id, fl_status_name(st),
               err.text);
    return st;
}

struct fl_loop_config fl_deployment_loop(struct fl_deployment *deployment, size_t waiting_max)
{
    return (struct fl_loop_config){
        .env = &deployment->env,
        .store = deployment->store,
        .kernels = fl_kernels_pick(),
        .mac_key = deployment->mac_key,
        .waiting_max = waiting_max,
        .issue = issue,
        .user = deployment,
    };
}
