#include "server/port/authority.h"

#include <stdio.h>
#include <string.h>

#include "platform/cert.h"
#include "platform/crypto.h"
#include "platform/dir.h"
#include "platform/file.h"
#include "protocol/limits.h"

#define PEM_BYTES     FL_CRYPTO_INPUT_MAX
#define ROOT_LIFE_S   ((int64_t)7300 * FL_AUTHORITY_DAY_S)
#define ISSUER_LIFE_S ((int64_t)3650 * FL_AUTHORITY_DAY_S)
#define SERVER_LIFE_S ((int64_t)825 * FL_AUTHORITY_DAY_S)
#define CLIENT_LIFE_S ((int64_t)365 * FL_AUTHORITY_DAY_S)
#define CERT_MODE     0644
#define RENEW_PART    (1.0 / 3) /* of the life of the server's certificate */

static enum fl_status write_in(const char *dir, const char *name, const struct fl_buf *pem, mode_t mode,
                               struct fl_error *err)
{
    char path[FL_PATH_SIZE];
    enum fl_status st = fl_path_join(dir, name, path, err);
    return st ? st : fl_file_write_atomic(path, fl_buf_view(pem), mode, err);
}

static enum fl_status read_in(const char *dir, const char *name, struct fl_buf *pem, struct fl_error *err)
{
    char path[FL_PATH_SIZE];
    enum fl_status st = fl_path_join(dir, name, path, err);
    return st ? st : fl_file_read(path, pem, err);
}

/* A new key in NAME.key; also in *key, which the caller wipes. */
static enum fl_status make_key(const char *dir, const char *name, struct fl_buf *key, struct fl_error *err)
{
    fl_buf_clear(key);
    enum fl_status st = fl_key_generate(key, err);
    return st ? st : write_in(dir, name, key, FL_FILE_SECRET, err);
}

static void wipe(struct fl_buf *key)
{
    if (key->data)
        fl_secret_wipe(key->data, key->capacity);
    fl_buf_done(key);
}

/* A certificate for the server's private key, appended to chain and written to server.pem. */
static enum fl_status certify_server(const char *dir, struct fl_authority *issuing, struct fl_bytes key,
                                     const char *const *names, size_t name_count, struct fl_validity validity,
                                     struct fl_buf *chain, struct fl_error *err)
{
    struct fl_buf spki;
    const struct fl_leaf leaf = {.profile = FL_LEAF_SERVER,
                                 .common_name = "Residue server",
                                 .validity = validity,
                                 .names = names,
                                 .name_count = name_count};
    fl_buf_init(&spki, PEM_BYTES);
    enum fl_status st = fl_key_public(key, &spki, err);
    if (!st)
        st = fl_authority_issue(issuing, fl_buf_view(&spki), &leaf, chain, err);
    if (!st)
        st = write_in(dir, "server.pem", chain, CERT_MODE, err);
    fl_buf_done(&spki);
    return st;
}

static enum fl_status make_server(const char *dir, struct fl_authority *issuing, const char *const *names,
                                  size_t name_count, int64_t now_s, struct fl_error *err)
{
    struct fl_buf key, chain;
    fl_buf_init(&key, PEM_BYTES);
    fl_buf_init(&chain, PEM_BYTES);
    enum fl_status st = make_key(dir, "server.key", &key, err);
    if (!st)
        st = certify_server(dir, issuing, fl_buf_view(&key), names, name_count,
                            (struct fl_validity){now_s, SERVER_LIFE_S}, &chain, err);
    wipe(&key);
    fl_buf_done(&chain);
    return st;
}

enum fl_status fl_authority_files_create(const char *dir, const char *const *names, size_t name_count,
                                         int64_t now_s, struct fl_error *err)
{
    struct fl_buf root_key, root_pem, issuing_key, issuing_pem;
    struct fl_authority *root = NULL, *issuing = NULL;
    enum fl_status st;

    fl_buf_init(&root_key, PEM_BYTES);
    fl_buf_init(&root_pem, PEM_BYTES);
    fl_buf_init(&issuing_key, PEM_BYTES);
    fl_buf_init(&issuing_pem, PEM_BYTES);
    if ((st = fl_dir_make(dir, FL_DIR_PRIVATE, err)) || (st = make_key(dir, "root.key", &root_key, err)))
        goto out;
    st = fl_authority_create_root(fl_buf_view(&root_key), "Residue root",
                                  (struct fl_validity){now_s, ROOT_LIFE_S}, &root_pem, err);
    if (st || (st = write_in(dir, "root.pem", &root_pem, CERT_MODE, err)) ||
        (st = fl_authority_new(fl_buf_view(&root_pem), fl_buf_view(&root_key), &root, err)) ||
        (st = make_key(dir, "issuing.key", &issuing_key, err)))
        goto out;
    st = fl_authority_create_issuer(root, fl_buf_view(&issuing_key), "Residue issuing authority",
                                    (struct fl_validity){now_s, ISSUER_LIFE_S}, &issuing_pem, err);
    if (st || (st = write_in(dir, "issuing.pem", &issuing_pem, CERT_MODE, err)) ||
        (st = fl_authority_new(fl_buf_view(&issuing_pem), fl_buf_view(&issuing_key), &issuing, err)))
        goto out;
    st = make_server(dir, issuing, names, name_count, now_s, err);
out:
    fl_authority_free(root);
    fl_authority_free(issuing);
    wipe(&root_key);
    wipe(&issuing_key);
    fl_buf_done(&root_pem);
    fl_buf_done(&issuing_pem);
    return st;
}

static enum fl_status append_zero(struct fl_buf *pem, struct fl_error *err)
{
    return fl_buf_append(pem, "", 1) ? fl_error_nomem(err) : FL_OK;
}

/* Puts the file before what is wrong with its content. */
static enum fl_status name_damage(const char *dir, const char *name, enum fl_status st, struct fl_error *err)
{
    return !st || st == FL_ERR_NOMEM
               ? st
               : fl_error_set(err, FL_ERR_CORRUPT, "%s/%s: %s", dir, name, err ? err->text : "");
}

/* Are the certificates and keys whole, and of one authority? Damage would fail every connection otherwise. */
static enum fl_status check_files(const struct fl_authority_files *files, struct fl_bytes issuing_pem,
                                  struct fl_bytes issuing_key, struct fl_error *err)
{
    struct fl_bytes root = fl_buf_view(&files->root_pem);
    struct fl_bytes chain = fl_authority_files_chain(files), key = fl_authority_files_key(files);
    enum fl_status st = name_damage(files->dir, "root.pem", fl_cert_root_check(root, err), err);

    if (!st)
        st = name_damage(files->dir, "issuing.pem", fl_cert_chain_check(issuing_pem, root, err), err);
    if (!st)
        st = name_damage(files->dir, "issuing.key", fl_cert_key_check(issuing_pem, issuing_key, err), err);
    if (!st)
        st = name_damage(files->dir, "server.pem", fl_cert_chain_check(chain, root, err), err);
    return st ? st : name_damage(files->dir, "server.key", fl_cert_key_check(chain, key, err), err);
}

/* Reads a certificate and what it says. */
static enum fl_status read_cert(const char *dir, const char *name, struct fl_buf *pem,
                                struct fl_cert_info *ret_info, struct fl_error *err)
{
    enum fl_status st = read_in(dir, name, pem, err);
    return st ? st : name_damage(dir, name, fl_cert_read(fl_buf_view(pem), ret_info, err), err);
}

enum fl_status fl_authority_files_load(const char *dir, struct fl_authority_files *ret_files,
                                       struct fl_error *err)
{
    struct fl_authority_files files = {.client_life_s = CLIENT_LIFE_S, .server_life_s = SERVER_LIFE_S};
    struct fl_buf issuing_key;
    enum fl_status st;

    snprintf(files.dir, sizeof(files.dir), "%s", dir);
    fl_buf_init(&files.root_pem, PEM_BYTES);
    fl_buf_init(&files.trust_pem, 2 * PEM_BYTES);
    fl_buf_init(&files.server_pem, PEM_BYTES);
    fl_buf_init(&files.server_key, PEM_BYTES);
    fl_buf_init(&issuing_key, PEM_BYTES);
    if ((st = read_cert(dir, "root.pem", &files.root_pem, &files.root, err)) ||
        (st = read_cert(dir, "issuing.pem", &files.trust_pem, &files.issuer, err)) ||
        (st = read_in(dir, "issuing.key", &issuing_key, err)) ||
        (st = read_cert(dir, "server.pem", &files.server_pem, &files.server, err)) ||
        (st = append_zero(&files.server_pem, err)) ||
        (st = read_in(dir, "server.key", &files.server_key, err)) ||
        (st = append_zero(&files.server_key, err)) ||
        (st = check_files(&files, fl_buf_view(&files.trust_pem), fl_buf_view(&issuing_key), err)) ||
        (st = fl_authority_new(fl_buf_view(&files.trust_pem), fl_buf_view(&issuing_key), &files.issuing,
                               err)) ||
        (st = read_in(dir, "root.pem", &files.trust_pem, err)))
        goto out;
    memcpy(files.fingerprint, files.root.fingerprint, FL_DIGEST_SIZE);
    *ret_files = files;
    files = (struct fl_authority_files){0};
out:
    wipe(&issuing_key);
    fl_authority_files_done(&files);
    return st;
}

struct fl_bytes fl_authority_files_chain(const struct fl_authority_files *files)
{
    return (struct fl_bytes){files->server_pem.data, files->server_pem.size - 1};
}

struct fl_bytes fl_authority_files_key(const struct fl_authority_files *files)
{
    return (struct fl_bytes){files->server_key.data, files->server_key.size - 1};
}

int64_t fl_authority_files_due_s(const struct fl_authority_files *files)
{
    return fl_cert_due_s(&files->server, RENEW_PART);
}

enum fl_status fl_authority_files_renew(struct fl_authority_files *files, int64_t now_s, int *ret_renewed,
                                        struct fl_error *err)
{
    const struct fl_validity validity = {now_s, files->server_life_s};
    const char *items[FL_AUTHORITY_NAMES_MAX];
    struct fl_cert_names names;
    struct fl_cert_info info;
    struct fl_buf chain;

    *ret_renewed = 0;
    if (now_s < fl_authority_files_due_s(files) || files->issuer.not_after_s <= files->server.not_after_s)
        return FL_OK;
    fl_buf_init(&chain, PEM_BYTES);
    enum fl_status st = fl_cert_names_read(fl_authority_files_chain(files), &names, err);
    for (size_t i = 0; !st && i < names.count; i++)
        items[i] = names.items[i];
    if (!st)
        st = certify_server(files->dir, files->issuing, fl_authority_files_key(files), items, names.count,
                            validity, &chain, err);
    if (!st)
        st = fl_cert_read(fl_buf_view(&chain), &info, err);
    if (!st)
        st = append_zero(&chain, err);
    if (!st) {
        fl_buf_done(&files->server_pem);
        files->server_pem = chain;
        files->server = info;
        *ret_renewed = 1;
    } else {
        fl_buf_done(&chain);
    }
    return st;
}

void fl_authority_files_done(struct fl_authority_files *files)
{
    fl_authority_free(files->issuing);
    files->issuing = NULL;
    fl_buf_done(&files->root_pem);
    fl_buf_done(&files->trust_pem);
    fl_buf_done(&files->server_pem);
    wipe(&files->server_key);
}

enum fl_status fl_authority_files_issue(struct fl_authority_files *files, struct fl_bytes public_key,
                                        const char *client_id, int64_t now_s, struct fl_buf *chain,
                                        struct fl_error *err)
{
    const struct fl_leaf leaf = {.profile = FL_LEAF_CLIENT,
                                 .common_name = client_id,
                                 .validity = {.now_s = now_s, .life_s = files->client_life_s}};
    return fl_authority_issue(files->issuing, public_key, &leaf, chain, err);
}
