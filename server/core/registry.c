#include "server/core/registry.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/random.h"

#define CLIENT_ID_BYTES    16
#define TOKEN_ID_BYTES     8
#define TOKEN_SECRET_BYTES 32
#define SEEN_EVERY_MS      60000
#define TOKEN_VOID         0 /* expires_wall_ms of a token that a restore has voided */

_Static_assert(2 * (TOKEN_ID_BYTES + TOKEN_SECRET_BYTES) + 1 <= FL_LIMIT_TOKEN_BYTES, "a token fits");

/* Where key (or id) stands, or would stand, in a sorted array. */
static size_t key_place(const struct fl_registry *registry, const uint8_t *key)
{
    size_t low = 0, high = registry->client_count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (memcmp(registry->by_key[middle]->row.key, key, FL_DIGEST_SIZE) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static size_t id_place(const struct fl_registry *registry, const char *id)
{
    size_t low = 0, high = registry->client_count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (strcmp(registry->by_id[middle]->row.id, id) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

struct fl_client *fl_registry_by_key(const struct fl_registry *registry, const uint8_t key[FL_DIGEST_SIZE])
{
    size_t place = key_place(registry, key);

    if (place < registry->client_count && !memcmp(registry->by_key[place]->row.key, key, FL_DIGEST_SIZE))
        return registry->by_key[place];
    return NULL;
}

struct fl_client *fl_registry_by_id(const struct fl_registry *registry, const char *id)
{
    size_t place = id_place(registry, id);

    if (place < registry->client_count && !strcmp(registry->by_id[place]->row.id, id))
        return registry->by_id[place];
    return NULL;
}

enum fl_status fl_registry_by_prefix(const struct fl_registry *registry, const char *prefix,
                                     struct fl_client **ret_client)
{
    size_t place = id_place(registry, prefix), length = strlen(prefix);

    if (length == 0 || place == registry->client_count ||
        strncmp(registry->by_id[place]->row.id, prefix, length))
        return FL_ERR_NOT_FOUND;
    if (place + 1 < registry->client_count && !strncmp(registry->by_id[place + 1]->row.id, prefix, length))
        return FL_ERR_STATE;
    *ret_client = registry->by_id[place];
    return FL_OK;
}

uint64_t fl_client_hash(const char *id)
{
    uint64_t halves[2] = {0, 0};

    for (size_t i = 0; id[i]; i++) {
        char digit = id[i];
        uint64_t value = (uint64_t)(digit <= '9' ? digit - '0' : digit - 'a' + 10) & 15;
        halves[i >= 16] = halves[i >= 16] << 4 | value;
    }
    return fl_mix64(halves[0], halves[1]);
}

static enum fl_status grow_clients(struct fl_registry *registry)
{
    size_t capacity = registry->client_capacity ? 2 * registry->client_capacity : 16;
    struct fl_client ***tables[3] = {&registry->clients, &registry->by_key, &registry->by_id};

    for (int i = 0; i < 3; i++) {
        struct fl_client **grown = realloc(*tables[i], capacity * sizeof(struct fl_client *));
        if (!grown)
            return FL_ERR_NOMEM;
        *tables[i] = grown;
    }
    registry->client_capacity = capacity;
    return FL_OK;
}

static void insert(struct fl_client **table, size_t count, size_t place, struct fl_client *client)
{
    memmove(table + place + 1, table + place, (count - place) * sizeof(struct fl_client *));
    table[place] = client;
}

static enum fl_status add_client(struct fl_registry *registry, const struct fl_client_row *row,
                                 struct fl_client **ret_client)
{
    struct fl_client *client;

    if (registry->client_count == registry->client_capacity) {
        enum fl_status st = grow_clients(registry);
        if (st)
            return st;
    }
    client = calloc(1, sizeof *client);
    if (!client)
        return FL_ERR_NOMEM;
    client->row = *row;
    client->slot = registry->client_count;
    client->hash = fl_client_hash(row->id);
    client->seen_written_ms = row->seen_wall_ms;
    insert(registry->by_key, registry->client_count, key_place(registry, row->key), client);
    insert(registry->by_id, registry->client_count, id_place(registry, row->id), client);
    registry->clients[registry->client_count++] = client;
    if (ret_client)
        *ret_client = client;
    return FL_OK;
}

static enum fl_status add_token(struct fl_registry *registry, const struct fl_token_row *row)
{
    if (registry->token_count == registry->token_capacity) {
        size_t capacity = registry->token_capacity ? 2 * registry->token_capacity : 16;
        struct fl_token_row *grown = realloc(registry->tokens, capacity * sizeof *grown);
        if (!grown)
            return FL_ERR_NOMEM;
        registry->tokens = grown;
        registry->token_capacity = capacity;
    }
    registry->tokens[registry->token_count++] = *row;
    return FL_OK;
}

static enum fl_status load_client(void *user, const struct fl_client_row *row)
{
    return add_client(user, row, NULL);
}

static enum fl_status load_token(void *user, const struct fl_token_row *row)
{
    return add_token(user, row);
}

static enum fl_status add_revocation(struct fl_registry *registry, const struct fl_revocation_row *row)
{
    struct fl_revocation_row *grown =
        realloc(registry->revocations, (registry->revocation_count + 1) * sizeof *grown);

    if (!grown)
        return FL_ERR_NOMEM;
    registry->revocations = grown;
    registry->revocations[registry->revocation_count++] = *row;
    return FL_OK;
}

static enum fl_status load_revocation(void *user, const struct fl_revocation_row *row)
{
    return add_revocation(user, row);
}

static int names(const struct fl_revocation_row *row, const struct fl_client *client)
{
    return !strcmp(row->client, client->row.id) || !memcmp(row->key, client->row.key, FL_DIGEST_SIZE);
}

static enum fl_status list_revocation(struct fl_registry *registry, struct fl_store *store,
                                      const struct fl_client *client)
{
    struct fl_revocation_row row;
    enum fl_status st;

    memcpy(row.client, client->row.id, sizeof row.client);
    memcpy(row.key, client->row.key, sizeof row.key);
    st = store->revocation_put(store, &row);
    return st ? st : add_revocation(registry, &row);
}

/* Brings rows and list together: revoked in one of them is revoked. */
static enum fl_status replay_revocations(struct fl_registry *registry, struct fl_store *store)
{
    size_t listed = 0;
    enum fl_status st = store->revocations(store, load_revocation, registry);

    for (size_t i = 0; i < registry->client_count && !st; i++) {
        struct fl_client *client = registry->clients[i];
        for (listed = 0; listed < registry->revocation_count; listed++)
            if (names(&registry->revocations[listed], client))
                break;
        if (listed < registry->revocation_count)
            client->row.revoked = 1;
        else if (client->row.revoked)
            st = list_revocation(registry, store, client);
    }
    return st;
}

static int key_is_revoked(const struct fl_registry *registry, const uint8_t key[FL_DIGEST_SIZE])
{
    for (size_t i = 0; i < registry->revocation_count; i++)
        if (!memcmp(registry->revocations[i].key, key, FL_DIGEST_SIZE))
            return 1;
    return 0;
}

enum fl_status fl_registry_load(struct fl_registry *registry, struct fl_store *store)
{
    enum fl_status st;

    memset(registry, 0, sizeof *registry);
    st = store->clients(store, load_client, registry);
    if (!st)
        st = store->tokens(store, load_token, registry);
    if (!st)
        st = replay_revocations(registry, store);
    if (st)
        fl_registry_done(registry);
    return st;
}

void fl_registry_done(struct fl_registry *registry)
{
    for (size_t i = 0; i < registry->client_count; i++)
        free(registry->clients[i]);
    free(registry->clients);
    free(registry->by_key);
    free(registry->by_id);
    free(registry->tokens);
    free(registry->revocations);
    memset(registry, 0, sizeof *registry);
}

enum fl_status fl_registry_seen(struct fl_store *store, struct fl_client *client, int64_t wall_ms)
{
    client->row.seen_wall_ms = wall_ms;
    if (wall_ms >= client->seen_written_ms && wall_ms - client->seen_written_ms < SEEN_EVERY_MS)
        return FL_OK;
    client->seen_written_ms = wall_ms;
    return store->client_put(store, &client->row);
}

enum fl_status fl_registry_revoke(struct fl_registry *registry, struct fl_store *store,
                                  struct fl_client *client)
{
    enum fl_status st = client->row.revoked ? FL_OK : list_revocation(registry, store, client);

    if (st)
        return st;
    client->row.revoked = 1;
    return store->client_put(store, &client->row);
}

enum fl_status fl_registry_void_tokens(struct fl_registry *registry, struct fl_store *store)
{
    enum fl_status st = FL_OK;

    for (size_t i = 0; i < registry->token_count && !st; i++) {
        registry->tokens[i].uses_left = 0;
        registry->tokens[i].expires_wall_ms = TOKEN_VOID;
        st = store->token_put(store, &registry->tokens[i]);
    }
    return st;
}

/* count random bytes as hexadecimal digits */
static void random_text(const struct fl_env *env, size_t count, char *ret_text)
{
    uint8_t bytes[TOKEN_SECRET_BYTES];

    env->entropy(env->user, bytes, count);
    fl_hex_encode(bytes, count, ret_text);
}

enum fl_status fl_registry_token(struct fl_registry *registry, struct fl_store *store,
                                 const struct fl_env *env, uint64_t uses, uint64_t ttl_ms,
                                 char ret_text[FL_LIMIT_TOKEN_BYTES + 1])
{
    char secret[2 * TOKEN_SECRET_BYTES + 1];
    struct fl_token_row row;
    enum fl_status st;

    memset(&row, 0, sizeof row);
    random_text(env, TOKEN_ID_BYTES, row.id);
    random_text(env, TOKEN_SECRET_BYTES, secret);
    env->sha256(env->user, fl_bytes_from_text(secret), row.secret_digest);
    row.uses_left = uses;
    row.expires_wall_ms = env->wall_ms(env->user) + (int64_t)ttl_ms;
    st = store->token_put(store, &row);
    if (!st)
        st = add_token(registry, &row);
    if (!st) {
        memcpy(ret_text, row.id, 2 * TOKEN_ID_BYTES);
        ret_text[2 * TOKEN_ID_BYTES] = '.';
        memcpy(ret_text + 2 * TOKEN_ID_BYTES + 1, secret, sizeof secret);
    }
    return st;
}

/* The token of this text, its secret compared by its hash in constant time; NULL when there is none. */
static struct fl_token_row *find_token(struct fl_registry *registry, const struct fl_env *env,
                                       const char *text)
{
    const char *dot = strchr(text, '.');
    uint8_t digest[FL_DIGEST_SIZE];

    if (!dot)
        return NULL;
    env->sha256(env->user, fl_bytes_from_text(dot + 1), digest);
    for (size_t i = 0; i < registry->token_count; i++) {
        struct fl_token_row *token = &registry->tokens[i];
        uint8_t differ = 0;
        if (strlen(token->id) != (size_t)(dot - text) || memcmp(token->id, text, (size_t)(dot - text)))
            continue;
        for (int b = 0; b < FL_DIGEST_SIZE; b++)
            differ |= token->secret_digest[b] ^ digest[b];
        return differ ? NULL : token;
    }
    return NULL;
}

/* The row that a new client of this key gets. */
static void new_client_row(const struct fl_env *env, const char *name, const uint8_t key[FL_DIGEST_SIZE],
                           struct fl_client_row *ret_row)
{
    memset(ret_row, 0, sizeof *ret_row);
    random_text(env, CLIENT_ID_BYTES, ret_row->id);
    memcpy(ret_row->key, key, FL_DIGEST_SIZE);
    snprintf(ret_row->name, sizeof ret_row->name, "%s", name);
    ret_row->enrolled_wall_ms = ret_row->seen_wall_ms = env->wall_ms(env->user);
}

/* Writes what follows from an issued certificate: the client when it is new, the answer, the token's use. */
static enum fl_status record_enrolment(struct fl_registry *registry, struct fl_store *store,
                                       struct fl_token_row *token, const struct fl_client_row *row,
                                       struct fl_bytes chain)
{
    enum fl_status st = FL_OK;

    if (!fl_registry_by_key(registry, row->key)) {
        st = store->client_put(store, row);
        if (!st)
            st = add_client(registry, row, NULL);
    }
    if (!st)
        st = store->enrolment_put(store, token->id, row->key, row->id, chain);
    if (st)
        return st;
    token->uses_left--;
    return store->token_put(store, token);
}

enum fl_status fl_registry_enrol(struct fl_registry *registry, struct fl_store *store,
                                 const struct fl_env *env, const struct fl_issuer *issuer,
                                 const char *token_text, const char *name, const uint8_t key[FL_DIGEST_SIZE],
                                 struct fl_bytes public_key, enum fl_enrol_outcome *ret_outcome,
                                 char ret_client[FL_LIMIT_NAME_BYTES + 1], struct fl_buf *chain)
{
    struct fl_token_row *token = find_token(registry, env, token_text);
    const struct fl_client *known = fl_registry_by_key(registry, key);
    struct fl_client_row row;
    enum fl_status st;

    if (!token) {
        *ret_outcome = FL_ENROL_BAD_TOKEN;
        return FL_OK;
    }
    if ((known && known->row.revoked) || key_is_revoked(registry, key)) {
        *ret_outcome = FL_ENROL_REVOKED;
        return FL_OK;
    }
    st = store->enrolment_get(store, token->id, key, ret_client, chain);
    if (st == FL_OK) {
        *ret_outcome = FL_ENROL_DONE;
        return FL_OK;
    }
    if (st != FL_ERR_NOT_FOUND)
        return st;
    if (token->expires_wall_ms == TOKEN_VOID) {
        *ret_outcome = FL_ENROL_VOID;
        return FL_OK;
    }
    if (env->wall_ms(env->user) >= token->expires_wall_ms) {
        *ret_outcome = FL_ENROL_EXPIRED;
        return FL_OK;
    }
    if (token->uses_left == 0) {
        *ret_outcome = FL_ENROL_USED_UP;
        return FL_OK;
    }
    if (known)
        row = known->row;
    else
        new_client_row(env, name, key, &row);
    if (issuer->issue(issuer->user, public_key, row.id, chain)) {
        *ret_outcome = FL_ENROL_NOT_ISSUED;
        return FL_OK;
    }
    st = record_enrolment(registry, store, token, &row, fl_buf_view(chain));
    if (st)
        return st;
    memcpy(ret_client, row.id, sizeof row.id);
    *ret_outcome = FL_ENROL_DONE;
    return FL_OK;
}
