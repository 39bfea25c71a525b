#include "test.h"

#include <pthread.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <mbedtls/x509_crt.h>

#include "fail_alloc.h"
#include "platform/authority.h"
#include "platform/cert.h"
#include "platform/crypto.h"
#include "platform/file.h"

#define CAP ((size_t)1 << 16)
#define DAY ((int64_t)86400)

/* openssl req -new -subj /CN=evil/O=other -addext basicConstraints=CA:TRUE -addext keyUsage=keyCertSign
 *     -addext subjectAltName=DNS:server.example -addext extendedKeyUsage=serverAuth,clientAuth */
static const char greedy_csr[] = "-----BEGIN CERTIFICATE REQUEST-----\n"
                                 "MIIBQDCB5wIBADAfMQ0wCwYDVQQDDARldmlsMQ4wDAYDVQQKDAVvdGhlcjBZMBMG\n"
                                 "ByqGSM49AgEGCCqGSM49AwEHA0IABE/BJQqEwNavCX6Hib17Z1aDEquDYbWdsRSC\n"
                                 "7I5UE9PX6qJ32B1OCDrInL+IxDQuEY6J8+mZKknE+88LjmbNYKugZjBkBgkqhkiG\n"
                                 "9w0BCQ4xVzBVMAwGA1UdEwQFMAMBAf8wGQYDVR0RBBIwEIIOc2VydmVyLmV4YW1w\n"
                                 "bGUwCwYDVR0PBAQDAgIEMB0GA1UdJQQWMBQGCCsGAQUFBwMBBggrBgEFBQcDAjAK\n"
                                 "BggqhkjOPQQDAgNIADBFAiAxUporO3hdt+Dk0nd9bAQgUeYq3EfxmN1Fqb0xjniu\n"
                                 "jAIhALleX+Ejl4AC0vL5wnMbdgip4snwiymkQF2zl8IgqIp0\n"
                                 "-----END CERTIFICATE REQUEST-----\n";

struct world {
    int64_t now;
    struct fl_buf root_key, root_cert, issuer_key, issuer_cert;
    struct fl_authority *root, *issuer;
};

static void world_init(struct world *world)
{
    struct fl_validity decade = {time(NULL), 3650 * DAY};

    world->now = decade.now_s;
    fl_buf_init(&world->root_key, CAP);
    fl_buf_init(&world->root_cert, CAP);
    fl_buf_init(&world->issuer_key, CAP);
    fl_buf_init(&world->issuer_cert, CAP);
    assert_ok(fl_key_generate(&world->root_key, NULL));
    assert_ok(fl_key_generate(&world->issuer_key, NULL));
    assert_ok(fl_authority_create_root(fl_buf_view(&world->root_key), "Residue root", decade,
                                       &world->root_cert, NULL));
    assert_ok(
        fl_authority_new(fl_buf_view(&world->root_cert), fl_buf_view(&world->root_key), &world->root, NULL));
    assert_ok(fl_authority_create_issuer(world->root, fl_buf_view(&world->issuer_key), "Residue issuer",
                                         (struct fl_validity){decade.now_s, 1000 * DAY}, &world->issuer_cert,
                                         NULL));
    assert_ok(fl_authority_new(fl_buf_view(&world->issuer_cert), fl_buf_view(&world->issuer_key),
                               &world->issuer, NULL));
}

static void world_done(struct world *world)
{
    fl_authority_free(world->root);
    fl_authority_free(world->issuer);
    fl_buf_done(&world->root_key);
    fl_buf_done(&world->root_cert);
    fl_buf_done(&world->issuer_key);
    fl_buf_done(&world->issuer_cert);
}

/* A certificate for a new key, or for spki when it is not NULL. */
static void issue(struct world *world, enum fl_leaf_profile profile, const struct fl_buf *spki,
                  struct fl_buf *ret_pem)
{
    static const char *const names[] = {"localhost", "*.fl.example", "127.0.0.1", "2001:db8::1"};
    struct fl_leaf leaf = {profile,
                           profile == FL_LEAF_SERVER ? "fl-server" : "client-1",
                           {world->now, 90 * DAY},
                           names,
                           profile == FL_LEAF_SERVER ? 4 : 0};
    struct fl_buf key, own;

    fl_buf_init(&key, CAP);
    fl_buf_init(&own, CAP);
    if (!spki) {
        assert_ok(fl_key_generate(&key, NULL));
        assert_ok(fl_key_public(fl_buf_view(&key), &own, NULL));
    }
    assert_ok(fl_authority_issue(world->issuer, fl_buf_view(spki ? spki : &own), &leaf, ret_pem, NULL));
    fl_buf_done(&key);
    fl_buf_done(&own);
}

static void parse(const struct fl_buf *pem, mbedtls_x509_crt *ret_cert)
{
    char text[CAP];

    memcpy(text, pem->data, pem->size);
    text[pem->size] = 0;
    mbedtls_x509_crt_init(ret_cert);
    assert_int_equal(mbedtls_x509_crt_parse(ret_cert, (unsigned char *)text, pem->size + 1), 0);
}

static uint32_t verify(const struct fl_buf *chain, const struct fl_buf *root, const char *name)
{
    mbedtls_x509_crt leaf, anchor;
    uint32_t flags = 0;

    parse(chain, &leaf);
    parse(root, &anchor);
    mbedtls_x509_crt_verify(&leaf, &anchor, NULL, name, &flags, NULL, NULL);
    mbedtls_x509_crt_free(&leaf);
    mbedtls_x509_crt_free(&anchor);
    return flags;
}

static void test_chain_verifies_with_mbedtls(void **state)
{
    struct world world, other;
    struct fl_buf server, client;
    (void)state;

    world_init(&world);
    world_init(&other);
    fl_buf_init(&server, CAP);
    fl_buf_init(&client, CAP);
    issue(&world, FL_LEAF_SERVER, NULL, &server);
    issue(&world, FL_LEAF_CLIENT, NULL, &client);
    assert_int_equal(verify(&server, &world.root_cert, "localhost"), 0);
    assert_int_equal(verify(&server, &world.root_cert, "a.fl.example"), 0);
    assert_int_equal(verify(&client, &world.root_cert, NULL), 0);
    assert_true(verify(&server, &world.root_cert, "other.example") & MBEDTLS_X509_BADCERT_CN_MISMATCH);
    assert_true(verify(&server, &other.root_cert, NULL) & MBEDTLS_X509_BADCERT_NOT_TRUSTED);
    fl_buf_done(&server);
    fl_buf_done(&client);
    world_done(&world);
    world_done(&other);
}

static void test_R21_a_certificate_is_for_a_client_or_a_server_never_both(void **state)
{
    static const char client_auth[] = "\x2b\x06\x01\x05\x05\x07\x03\x02";
    static const char server_auth[] = "\x2b\x06\x01\x05\x05\x07\x03\x01";
    struct world world;
    (void)state;

    world_init(&world);
    for (int profile = FL_LEAF_CLIENT; profile <= FL_LEAF_SERVER; profile++) {
        bool server = profile == FL_LEAF_SERVER;
        struct fl_buf pem;
        mbedtls_x509_crt cert;
        fl_buf_init(&pem, CAP);
        issue(&world, (enum fl_leaf_profile)profile, NULL, &pem);
        parse(&pem, &cert);
        int as_client = mbedtls_x509_crt_check_extended_key_usage(&cert, client_auth, 8);
        int as_server = mbedtls_x509_crt_check_extended_key_usage(&cert, server_auth, 8);
        assert_int_equal(as_client == 0, !server);
        assert_int_equal(as_server == 0, server);
        assert_int_equal(mbedtls_x509_crt_check_key_usage(&cert, MBEDTLS_X509_KU_DIGITAL_SIGNATURE), 0);
        assert_int_not_equal(mbedtls_x509_crt_check_key_usage(&cert, MBEDTLS_X509_KU_KEY_CERT_SIGN), 0);
        mbedtls_x509_crt_free(&cert);
        fl_buf_done(&pem);
    }
    world_done(&world);
}

static void test_R21_only_the_public_key_is_taken_from_a_request(void **state)
{
    struct world world;
    struct fl_buf spki, pem;
    struct fl_cert_info info;
    uint8_t key_digest[FL_DIGEST_SIZE];
    mbedtls_x509_crt cert;
    (void)state;

    world_init(&world);
    fl_buf_init(&spki, CAP);
    fl_buf_init(&pem, CAP);
    assert_ok(fl_csr_public_key(fl_bytes_from_text(greedy_csr), &spki, NULL));
    issue(&world, FL_LEAF_CLIENT, &spki, &pem);
    assert_ok(fl_cert_read(fl_buf_view(&pem), &info, NULL));
    assert_string_equal(info.common_name, "client-1");
    assert_false(info.is_authority);
    fl_sha256(fl_buf_view(&spki), key_digest);
    assert_memory_equal(info.key_fingerprint, key_digest, FL_DIGEST_SIZE);
    parse(&pem, &cert);
    assert_null(cert.subject_alt_names.buf.p);
    assert_int_not_equal(mbedtls_x509_crt_check_key_usage(&cert, MBEDTLS_X509_KU_KEY_CERT_SIGN), 0);
    mbedtls_x509_crt_free(&cert);
    fl_buf_done(&spki);
    fl_buf_done(&pem);
    world_done(&world);
}

static void test_R22_certificates_begin_a_day_ago_and_never_outlive_their_authority(void **state)
{
    struct world world;
    struct fl_buf pem, key, spki;
    struct fl_cert_info info;
    struct fl_error err;
    (void)state;

    world_init(&world);
    fl_buf_init(&pem, CAP);
    fl_buf_init(&key, CAP);
    fl_buf_init(&spki, CAP);
    assert_ok(fl_key_generate(&key, NULL));
    assert_ok(fl_key_public(fl_buf_view(&key), &spki, NULL));
    struct fl_leaf leaf = {FL_LEAF_CLIENT, "c", {world.now, 90 * DAY}, NULL, 0};
    assert_ok(fl_authority_issue(world.issuer, fl_buf_view(&spki), &leaf, &pem, &err));
    assert_ok(fl_cert_read(fl_buf_view(&pem), &info, NULL));
    assert_true(info.not_before_s == world.now - DAY);
    assert_true(info.not_after_s == world.now + 90 * DAY);
    fl_buf_clear(&pem);
    leaf.validity.life_s = 2000 * DAY; /* the issuing authority has 1000 */
    assert_ok(fl_authority_issue(world.issuer, fl_buf_view(&spki), &leaf, &pem, &err));
    assert_ok(fl_cert_read(fl_buf_view(&pem), &info, NULL));
    assert_true(info.not_after_s == world.now + 1000 * DAY);
    leaf.validity.now_s = world.now + 1000 * DAY;
    assert_status(fl_authority_issue(world.issuer, fl_buf_view(&spki), &leaf, &pem, &err), FL_ERR_STATE);
    fl_buf_done(&pem);
    fl_buf_done(&key);
    fl_buf_done(&spki);
    world_done(&world);
}

static void test_R22_names_chain_and_time_of_renewal_are_read_back(void **state)
{
    static const char *const expected[] = {"localhost", "*.fl.example", "127.0.0.1", "2001:db8::1"};
    struct world world, other;
    struct fl_buf server, client;
    struct fl_cert_names names;
    struct fl_cert_info info;
    struct fl_error err;
    (void)state;

    world_init(&world);
    world_init(&other);
    fl_buf_init(&server, CAP);
    fl_buf_init(&client, CAP);
    issue(&world, FL_LEAF_SERVER, NULL, &server);
    issue(&world, FL_LEAF_CLIENT, NULL, &client);
    assert_ok(fl_cert_names_read(fl_buf_view(&server), &names, NULL));
    assert_int_equal(names.count, 4);
    for (size_t i = 0; i < 4; i++)
        assert_string_equal(names.items[i], expected[i]);
    assert_ok(fl_cert_names_read(fl_buf_view(&client), &names, NULL));
    assert_int_equal(names.count, 0);
    assert_ok(fl_cert_chain_check(fl_buf_view(&client), fl_buf_view(&world.root_cert), NULL));
    assert_status(fl_cert_chain_check(fl_buf_view(&client), fl_buf_view(&other.root_cert), &err),
                  FL_ERR_AUTH);
    assert_status(
        fl_cert_chain_check((struct fl_bytes){client.data, 100}, fl_buf_view(&world.root_cert), &err),
        FL_ERR_FORMAT);
    assert_ok(fl_cert_read(fl_buf_view(&server), &info, NULL));
    assert_true(fl_cert_due_s(&info, 1.0 / 3) == world.now + 60 * DAY);
    assert_true(fl_cert_due_s(&info, 0) == info.not_after_s);
    info.not_before_s = info.not_after_s - 5; /* shorter than the day that is put before it */
    assert_true(fl_cert_due_s(&info, 1) == info.not_after_s);
    for (size_t k = 0;; k++) {
        long before = fl_live_allocations();
        fl_fail_alloc_after(k);
        enum fl_status st = fl_cert_names_read(fl_buf_view(&server), &names, NULL);
        if (!st)
            st = fl_cert_chain_check(fl_buf_view(&client), fl_buf_view(&world.root_cert), NULL);
        fl_fail_alloc_never();
        assert_int_equal(fl_live_allocations(), before);
        if (st == FL_OK)
            break;
        assert_true(st == FL_ERR_NOMEM || st == FL_ERR_FORMAT || st == FL_ERR_AUTH || st == FL_ERR_CRYPTO);
    }
    fl_buf_done(&server);
    fl_buf_done(&client);
    world_done(&world);
    world_done(&other);
}

static void test_authorities_are_marked_and_bounded(void **state)
{
    struct world world;
    struct fl_cert_info info;
    mbedtls_x509_crt cert;
    (void)state;

    world_init(&world);
    assert_ok(fl_cert_read(fl_buf_view(&world.root_cert), &info, NULL));
    assert_true(info.is_authority);
    assert_string_equal(info.common_name, "Residue root");
    parse(&world.issuer_cert, &cert);
    assert_int_equal(mbedtls_x509_crt_check_key_usage(&cert, MBEDTLS_X509_KU_KEY_CERT_SIGN), 0);
    assert_int_equal(cert.serial.len, 16);
    mbedtls_x509_crt_free(&cert);
    assert_int_equal(verify(&world.issuer_cert, &world.root_cert, NULL), 0);
    world_done(&world);
}

static void test_path_length_stops_an_authority_below_the_issuing_one(void **state)
{
    struct world world;
    struct fl_buf key, cert, chain, spki;
    struct fl_authority *below;
    (void)state;

    world_init(&world);
    fl_buf_init(&key, CAP);
    fl_buf_init(&cert, CAP);
    fl_buf_init(&chain, CAP);
    fl_buf_init(&spki, CAP);
    assert_ok(fl_key_generate(&key, NULL));
    assert_ok(fl_key_public(fl_buf_view(&key), &spki, NULL));
    assert_ok(fl_authority_create_issuer(world.issuer, fl_buf_view(&key), "too deep",
                                         (struct fl_validity){world.now, 10 * DAY}, &cert, NULL));
    assert_ok(fl_authority_new(fl_buf_view(&cert), fl_buf_view(&key), &below, NULL));
    struct fl_leaf leaf = {FL_LEAF_CLIENT, "c", {world.now, 5 * DAY}, NULL, 0};
    assert_ok(fl_authority_issue(below, fl_buf_view(&spki), &leaf, &chain, NULL));
    assert_ok(fl_buf_append(&chain, world.issuer_cert.data, world.issuer_cert.size));
    assert_int_not_equal(verify(&chain, &world.root_cert, NULL), 0);
    fl_authority_free(below);
    fl_buf_done(&key);
    fl_buf_done(&cert);
    fl_buf_done(&chain);
    fl_buf_done(&spki);
    world_done(&world);
}

static void test_wrong_leaves_are_refused_and_leave_no_output(void **state)
{
    static const char *const good[] = {"localhost"}, *const bad[] = {"ok.example", "no spaces"},
                             *const empty[] = {""}, *const star[] = {"a.*.b"};
    static const char *many[FL_AUTHORITY_NAMES_MAX + 1];
    const struct {
        struct fl_leaf leaf;
        const char *message;
    } cases[] = {
        {{FL_LEAF_CLIENT, "c", {0, DAY}, good, 1}, "a client's certificate has no DNS names or addresses"},
        {{FL_LEAF_SERVER, "s", {0, DAY}, NULL, 0}, "a server's certificate needs a DNS name or address"},
        {{FL_LEAF_SERVER, "s", {0, DAY}, bad, 2}, "\"no spaces\" is neither a DNS name nor an IP address"},
        {{FL_LEAF_SERVER, "s", {0, DAY}, empty, 1}, "\"\" is neither a DNS name nor an IP address"},
        {{FL_LEAF_SERVER, "s", {0, DAY}, star, 1}, "\"a.*.b\" is neither a DNS name nor an IP address"},
        {{FL_LEAF_SERVER, "s", {0, DAY}, many, FL_AUTHORITY_NAMES_MAX + 1}, "17 names are more than 16"},
        {{FL_LEAF_CLIENT, "a/b", {0, DAY}, NULL, 0},
         "common name must be 1 to 64 of A-Z a-z 0-9 . _ - and inner spaces"},
        {{FL_LEAF_CLIENT, "c", {0, 0}, NULL, 0}, "certificate lifetime: 0 s is outside 1..3153600000"},
        {{FL_LEAF_CLIENT, "c", {0, 36500 * DAY + 1}, NULL, 0},
         "certificate lifetime: 3153600001 s is outside 1..3153600000"},
    };
    struct world world;
    struct fl_buf out;
    struct fl_error err;
    uint8_t spki[] = {0x30, 0x00};
    (void)state;

    for (size_t i = 0; i <= FL_AUTHORITY_NAMES_MAX; i++)
        many[i] = "localhost";
    world_init(&world);
    fl_buf_init(&out, CAP);
    struct fl_buf good_spki;
    fl_buf_init(&good_spki, CAP);
    assert_ok(fl_key_public(fl_buf_view(&world.root_key), &good_spki, NULL));
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct fl_leaf leaf = cases[i].leaf;
        leaf.validity.now_s = world.now;
        assert_status(fl_authority_issue(world.issuer, fl_buf_view(&good_spki), &leaf, &out, &err),
                      FL_ERR_RANGE);
        assert_string_equal(err.text, cases[i].message);
    }
    struct fl_leaf leaf = {FL_LEAF_CLIENT, "c", {world.now, DAY}, NULL, 0};
    assert_status(fl_authority_issue(world.issuer, (struct fl_bytes){spki, 2}, &leaf, &out, &err),
                  FL_ERR_FORMAT);
    for (size_t n = 0; n < good_spki.size; n++)
        assert_status(
            fl_authority_issue(world.issuer, (struct fl_bytes){good_spki.data, n}, &leaf, &out, &err),
            FL_ERR_FORMAT);
    leaf.validity.now_s = 0; /* a clock that was never set */
    assert_status(fl_authority_issue(world.issuer, fl_buf_view(&good_spki), &leaf, &out, &err), FL_ERR_RANGE);
    assert_int_equal(out.size, 0);
    /* No room for the chain: the leaf alone must not stay behind. */
    leaf.validity.now_s = world.now;
    fl_buf_init(&out, 900);
    assert_status(fl_authority_issue(world.issuer, fl_buf_view(&good_spki), &leaf, &out, &err), FL_ERR_LIMIT);
    assert_int_equal(out.size, 0);
    fl_buf_done(&out);
    fl_buf_done(&good_spki);
    world_done(&world);
}

static void test_sixteen_long_names_fit(void **state)
{
    static char long_name[254];
    const char *names[FL_AUTHORITY_NAMES_MAX];
    struct world world;
    struct fl_buf out, spki;
    (void)state;

    for (size_t i = 0; i < 253; i++)
        long_name[i] = i % 60 == 59 ? '.' : 'a';
    for (size_t i = 0; i < FL_AUTHORITY_NAMES_MAX; i++)
        names[i] = long_name;
    world_init(&world);
    fl_buf_init(&out, CAP);
    fl_buf_init(&spki, CAP);
    assert_ok(fl_key_public(fl_buf_view(&world.root_key), &spki, NULL));
    struct fl_leaf leaf = {FL_LEAF_SERVER, "s", {world.now, DAY}, names, FL_AUTHORITY_NAMES_MAX};
    assert_ok(fl_authority_issue(world.issuer, fl_buf_view(&spki), &leaf, &out, NULL));
    assert_int_equal(verify(&out, &world.root_cert, long_name), 0);
    fl_buf_done(&out);
    fl_buf_done(&spki);
    world_done(&world);
}

static void test_authority_needs_its_own_key_and_an_authority_certificate(void **state)
{
    struct world world;
    struct fl_buf leaf, key, spki;
    struct fl_authority *authority = NULL;
    struct fl_error err;
    (void)state;

    world_init(&world);
    fl_buf_init(&leaf, CAP);
    fl_buf_init(&key, CAP);
    fl_buf_init(&spki, CAP);
    assert_status(
        fl_authority_new(fl_buf_view(&world.root_cert), fl_buf_view(&world.issuer_key), &authority, &err),
        FL_ERR_AUTH);
    assert_string_equal(err.text, "the authority's key does not belong to its certificate");
    assert_ok(fl_key_generate(&key, NULL));
    assert_ok(fl_key_public(fl_buf_view(&key), &spki, NULL));
    issue(&world, FL_LEAF_CLIENT, &spki, &leaf);
    assert_status(fl_authority_new(fl_buf_view(&leaf), fl_buf_view(&key), &authority, &err), FL_ERR_AUTH);
    for (size_t n = 0; n + 1 < world.root_cert.size; n += 1)
        assert_status(fl_authority_new((struct fl_bytes){world.root_cert.data, n},
                                       fl_buf_view(&world.root_key), &authority, &err),
                      FL_ERR_FORMAT);
    assert_null(authority);
    fl_buf_done(&leaf);
    fl_buf_done(&key);
    fl_buf_done(&spki);
    world_done(&world);
}

struct issuing {
    pthread_t thread;
    struct world *world;
    struct fl_buf spki, pem;
    enum fl_status st;
};

static void *issue_several(void *user)
{
    struct issuing *issuing = user;
    struct fl_leaf leaf = {FL_LEAF_CLIENT, "c", {issuing->world->now, DAY}, NULL, 0};

    for (int i = 0; i < 4 && !issuing->st; i++) {
        fl_buf_clear(&issuing->pem);
        issuing->st = fl_authority_issue(issuing->world->issuer, fl_buf_view(&issuing->spki), &leaf,
                                         &issuing->pem, NULL);
    }
    return NULL;
}

static void test_threads_may_share_an_authority(void **state)
{
    struct world world;
    struct issuing threads[4];
    (void)state;

    world_init(&world);
    for (int i = 0; i < 4; i++) {
        threads[i] = (struct issuing){.world = &world};
        fl_buf_init(&threads[i].spki, CAP);
        fl_buf_init(&threads[i].pem, CAP);
        assert_ok(fl_key_public(fl_buf_view(&world.root_key), &threads[i].spki, NULL));
    }
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i].thread, NULL, issue_several, &threads[i]), 0);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(pthread_join(threads[i].thread, NULL), 0);
        assert_ok(threads[i].st);
        assert_int_equal(verify(&threads[i].pem, &world.root_cert, NULL), 0);
        fl_buf_done(&threads[i].spki);
        fl_buf_done(&threads[i].pem);
    }
    world_done(&world);
}

static void test_authority_survives_any_failed_allocation(void **state)
{
    struct world world;
    struct fl_buf spki, pem;
    (void)state;

    world_init(&world);
    fl_buf_init(&spki, CAP);
    assert_ok(fl_key_public(fl_buf_view(&world.root_key), &spki, NULL));
    struct fl_leaf leaf = {FL_LEAF_CLIENT, "c", {world.now, DAY}, NULL, 0};
    for (size_t k = 0;; k++) {
        long before = fl_live_allocations();
        struct fl_authority *authority = NULL;
        fl_buf_init(&pem, CAP);
        fl_fail_alloc_after(k);
        enum fl_status st = fl_authority_new(fl_buf_view(&world.issuer_cert), fl_buf_view(&world.issuer_key),
                                             &authority, NULL);
        if (!st)
            st = fl_authority_issue(authority, fl_buf_view(&spki), &leaf, &pem, NULL);
        fl_fail_alloc_never();
        fl_authority_free(authority);
        fl_buf_done(&pem);
        assert_int_equal(fl_live_allocations(), before);
        if (st == FL_OK)
            break;
        assert_status(st, FL_ERR_NOMEM);
    }
    fl_buf_done(&spki);
    world_done(&world);
}

/* The second opinion of another library, where its tool is installed. */
static void test_chain_verifies_with_openssl(void **state)
{
    struct world world;
    struct fl_buf server, client;
    char dir[] = "/tmp/fl-test-XXXXXX", path[64], command[512];
    (void)state;

    if (system("openssl version >/dev/null 2>&1") != 0)
        skip();
    assert_non_null(mkdtemp(dir));
    world_init(&world);
    fl_buf_init(&server, CAP);
    fl_buf_init(&client, CAP);
    issue(&world, FL_LEAF_SERVER, NULL, &server);
    issue(&world, FL_LEAF_CLIENT, NULL, &client);
    const struct {
        const char *name;
        const struct fl_buf *pem;
    } files[] = {
        {"root", &world.root_cert}, {"issuer", &world.issuer_cert}, {"server", &server}, {"client", &client}};
    for (size_t i = 0; i < 4; i++) {
        snprintf(path, sizeof(path), "%s/%s", dir, files[i].name);
        assert_ok(fl_file_write_durable(path, fl_buf_view(files[i].pem), 0600, NULL));
    }
    static const struct {
        const char *purpose, *leaf, *more;
        bool accepted;
    } cases[] = {
        {"sslserver", "server", "-verify_hostname localhost", true},
        {"sslserver", "server", "-verify_ip 127.0.0.1", true},
        {"sslserver", "server", "-verify_ip 2001:db8::1", true},
        {"sslserver", "server", "-verify_hostname other.example", false},
        {"sslclient", "client", "", true},
        {"sslclient", "server", "", false},
        {"sslserver", "client", "", false},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        snprintf(command, sizeof(command),
                 "cd %s && openssl verify -x509_strict -CAfile root -untrusted issuer -purpose %s %s %s "
                 ">log 2>&1",
                 dir, cases[i].purpose, cases[i].more, cases[i].leaf);
        assert_int_equal(system(command) == 0, cases[i].accepted);
    }
    snprintf(command, sizeof(command), "rm -r %s", dir);
    assert_int_equal(system(command), 0);
    fl_buf_done(&server);
    fl_buf_done(&client);
    world_done(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_chain_verifies_with_mbedtls),
        cmocka_unit_test(test_R21_a_certificate_is_for_a_client_or_a_server_never_both),
        cmocka_unit_test(test_R21_only_the_public_key_is_taken_from_a_request),
        cmocka_unit_test(test_R22_certificates_begin_a_day_ago_and_never_outlive_their_authority),
        cmocka_unit_test(test_R22_names_chain_and_time_of_renewal_are_read_back),
        cmocka_unit_test(test_authorities_are_marked_and_bounded),
        cmocka_unit_test(test_path_length_stops_an_authority_below_the_issuing_one),
        cmocka_unit_test(test_wrong_leaves_are_refused_and_leave_no_output),
        cmocka_unit_test(test_sixteen_long_names_fit),
        cmocka_unit_test(test_authority_needs_its_own_key_and_an_authority_certificate),
        cmocka_unit_test(test_threads_may_share_an_authority),
        cmocka_unit_test(test_authority_survives_any_failed_allocation),
        cmocka_unit_test(test_chain_verifies_with_openssl),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
