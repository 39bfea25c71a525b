#include "test.h"

#include "platform/crypto.h"
#include "platform/env.h"

#define CAP ((size_t)1 << 16)

static struct fl_bytes text(const char *t)
{
    return fl_bytes_from_text(t);
}

static void assert_hex(const uint8_t digest[FL_DIGEST_SIZE], const char *expected)
{
    char hex[2 * FL_DIGEST_SIZE + 1];

    fl_hex_encode(digest, FL_DIGEST_SIZE, hex);
    assert_string_equal(hex, expected);
}

/* Examples of FIPS 180-4 and RFC 4231 (cases 1, 2, 6 with a key longer than a block). */
static void test_digests_match_published_vectors(void **state)
{
    uint8_t digest[FL_DIGEST_SIZE], key[131];
    (void)state;

    fl_sha256((struct fl_bytes){NULL, 0}, digest);
    assert_hex(digest, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    fl_sha256(text("abc"), digest);
    assert_hex(digest, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    memset(key, 0x0b, 20);
    fl_hmac_sha256((struct fl_bytes){key, 20}, text("Hi There"), digest);
    assert_hex(digest, "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
    fl_hmac_sha256(text("Jefe"), text("what do ya want for nothing?"), digest);
    assert_hex(digest, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    memset(key, 0xaa, 131);
    fl_hmac_sha256((struct fl_bytes){key, 131},
                   text("Test Using Larger Than Block-Size Key - Hash Key First"), digest);
    assert_hex(digest, "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
}

static void test_environment_gives_the_same_digests_and_running_clocks(void **state)
{
    struct fl_env env = fl_env_system();
    uint8_t a[FL_DIGEST_SIZE], b[FL_DIGEST_SIZE];
    (void)state;

    env.sha256(env.user, text("abc"), a);
    fl_sha256(text("abc"), b);
    assert_memory_equal(a, b, sizeof(a));
    env.hmac(env.user, text("k"), text("abc"), a);
    fl_hmac_sha256(text("k"), text("abc"), b);
    assert_memory_equal(a, b, sizeof(a));
    env.entropy(env.user, a, sizeof(a));
    env.entropy(env.user, b, sizeof(b));
    assert_memory_not_equal(a, b, sizeof(a));
    uint64_t before = env.monotonic_ms(env.user);
    assert_true(env.monotonic_ms(env.user) >= before);
    assert_true(env.wall_ms(env.user) > INT64_C(1600000000000));
}

static void test_secret_equal_sees_each_byte(void **state)
{
    uint8_t a[16] = {0}, b[16] = {0};
    (void)state;

    assert_true(fl_secret_equal(a, b, 16));
    assert_true(fl_secret_equal(a, b, 0));
    for (size_t i = 0; i < 16; i++) {
        b[i] = 0x80;
        assert_false(fl_secret_equal(a, b, 16));
        b[i] = 0;
    }
}

static void test_request_carries_the_public_key(void **state)
{
    struct fl_buf key, csr, from_key, from_csr;
    struct fl_error err;
    (void)state;

    fl_buf_init(&key, CAP);
    fl_buf_init(&csr, CAP);
    fl_buf_init(&from_key, CAP);
    fl_buf_init(&from_csr, CAP);
    assert_ok(fl_key_generate(&key, &err));
    assert_memory_equal(key.data, "-----BEGIN EC PRIVATE KEY-----", 30);
    assert_ok(fl_csr_create(fl_buf_view(&key), "client-1", &csr, &err));
    assert_ok(fl_key_public(fl_buf_view(&key), &from_key, &err));
    assert_ok(fl_csr_public_key(fl_buf_view(&csr), &from_csr, &err));
    assert_true(fl_bytes_equal(fl_buf_view(&from_key), fl_buf_view(&from_csr)));
    assert_int_equal(from_key.size, 91);
    fl_buf_done(&key);
    fl_buf_done(&csr);
    fl_buf_done(&from_key);
    fl_buf_done(&from_csr);
}

static void test_common_names_are_held_to_plain_letters(void **state)
{
    static const struct {
        const char *name;
        enum fl_status expected;
    } cases[] = {
        {"client-1", FL_OK},
        {"Residue root 2.x_y", FL_OK},
        {"0123456789012345678901234567890123456789012345678901234567890123", FL_OK},
        {"01234567890123456789012345678901234567890123456789012345678901234", FL_ERR_RANGE},
        {"", FL_ERR_RANGE},
        {" a", FL_ERR_RANGE},
        {"a ", FL_ERR_RANGE},
        {"a,O=b", FL_ERR_RANGE},
        {"a=b", FL_ERR_RANGE},
        {"caf\xc3\xa9", FL_ERR_RANGE},
        {"a\nb", FL_ERR_RANGE},
    };
    struct fl_buf key, csr;
    (void)state;

    fl_buf_init(&key, CAP);
    fl_buf_init(&csr, CAP);
    assert_ok(fl_key_generate(&key, NULL));
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_status(fl_csr_create(fl_buf_view(&key), cases[i].name, &csr, NULL), cases[i].expected);
    fl_buf_done(&key);
    fl_buf_done(&csr);
}

/* DER of a PEM text, by our own base64 reader, so that hostile DER can be made. */
static size_t pem_to_der(const struct fl_buf *pem, uint8_t *der)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *at = memchr(pem->data, '\n', pem->size);
    const char *end = (const char *)pem->data + pem->size;
    uint32_t bits = 0;
    size_t n = 0;
    int have = 0;

    for (; at < end && *at != '-' && *at != '='; at++) {
        const char *digit = *at == '\n' ? NULL : strchr(digits, *at);
        if (!digit)
            continue;
        bits = bits << 6 | (uint32_t)(digit - digits);
        have += 6;
        if (have < 8)
            continue;
        have -= 8;
        der[n++] = (uint8_t)(bits >> have);
    }
    return n;
}

static void test_R21_request_with_any_changed_bit_gives_no_other_key(void **state)
{
    struct fl_buf key, csr, spki, got;
    uint8_t der[2048];
    size_t size;
    (void)state;

    fl_buf_init(&key, CAP);
    fl_buf_init(&csr, CAP);
    fl_buf_init(&spki, CAP);
    fl_buf_init(&got, CAP);
    assert_ok(fl_key_generate(&key, NULL));
    assert_ok(fl_csr_create(fl_buf_view(&key), "client-1", &csr, NULL));
    assert_ok(fl_key_public(fl_buf_view(&key), &spki, NULL));
    size = pem_to_der(&csr, der);
    assert_ok(fl_csr_to_der(fl_buf_view(&csr), &got, NULL));
    assert_true(fl_bytes_equal(fl_buf_view(&got), (struct fl_bytes){der, size}));
    assert_status(fl_csr_to_der((struct fl_bytes){der, size - 1}, &got, NULL), FL_ERR_FORMAT);
    fl_buf_clear(&got);
    assert_ok(fl_csr_public_key((struct fl_bytes){der, size}, &got, NULL));
    /* The last byte belongs to the signature: it parses still, and must not verify. */
    der[size - 1] ^= 1;
    assert_status(fl_csr_public_key((struct fl_bytes){der, size}, &got, NULL), FL_ERR_AUTH);
    der[size - 1] ^= 1;
    for (size_t i = 0; i < size; i++) {
        fl_buf_clear(&got);
        der[i] ^= 0x04;
        if (fl_csr_public_key((struct fl_bytes){der, size}, &got, NULL) == FL_OK)
            assert_true(fl_bytes_equal(fl_buf_view(&got), fl_buf_view(&spki)));
        else
            assert_int_equal(got.size, 0);
        der[i] ^= 0x04;
    }
    fl_buf_done(&key);
    fl_buf_done(&csr);
    fl_buf_done(&spki);
    fl_buf_done(&got);
}

/* Each start of the text must be refused, and read only within its size (ASan watches the copies). */
static void test_truncated_input_is_refused_at_every_length(void **state)
{
    struct fl_buf key, csr, out;
    struct fl_cert_info info;
    struct fl_error err;
    uint8_t der[2048];
    (void)state;

    fl_buf_init(&key, CAP);
    fl_buf_init(&csr, CAP);
    fl_buf_init(&out, CAP);
    assert_ok(fl_key_generate(&key, NULL));
    assert_ok(fl_csr_create(fl_buf_view(&key), "client-1", &csr, NULL));
    size_t size = pem_to_der(&csr, der);
    for (size_t n = 0; n < size; n++)
        assert_status(fl_csr_public_key((struct fl_bytes){der, n}, &out, &err), FL_ERR_FORMAT);
    for (size_t n = 0; n + 1 < csr.size; n++) /* the last newline may go */
        assert_status(fl_csr_public_key((struct fl_bytes){csr.data, n}, &out, &err), FL_ERR_FORMAT);
    size = pem_to_der(&key, der);
    for (size_t n = 0; n < size; n++)
        assert_status(fl_key_public((struct fl_bytes){der, n}, &out, &err), FL_ERR_FORMAT);
    for (size_t n = 0; n + 1 < key.size; n++)
        assert_status(fl_key_public((struct fl_bytes){key.data, n}, &out, &err), FL_ERR_FORMAT);
    assert_status(fl_cert_read(fl_buf_view(&key), &info, &err), FL_ERR_FORMAT);
    assert_status(fl_cert_read((struct fl_bytes){NULL, 0}, &info, &err), FL_ERR_FORMAT);
    assert_int_equal(out.size, 0);
    fl_buf_done(&key);
    fl_buf_done(&csr);
    fl_buf_done(&out);
}

static void test_keys_of_other_curves_and_oversized_input_are_refused(void **state)
{
    /* openssl ecparam -name secp256k1 -genkey -noout: 256 bits, another curve. */
    static const char secp256k1[] = "-----BEGIN EC PRIVATE KEY-----\n"
                                    "MHQCAQEEINhnKKd6cOSUd22e6/GFMh2SCkuO04vT7yL5GU0JvgmDoAcGBSuBBAAK\n"
                                    "oUQDQgAEI+RSI3ZGwCAo+RRqq5zh2Slb0Jiyse68dPyDwYXFZwro4rB4U95z48gu\n"
                                    "aFRwu8fX3Tf0fP6hXd96DbFA2e0+JA==\n"
                                    "-----END EC PRIVATE KEY-----\n";
    struct fl_buf out, big;
    struct fl_error err;
    (void)state;

    fl_buf_init(&out, CAP);
    fl_buf_init(&big, FL_CRYPTO_INPUT_MAX + 1);
    assert_status(fl_key_public(text(secp256k1), &out, &err), FL_ERR_FORMAT);
    uint8_t *at;
    assert_ok(fl_buf_extend(&big, FL_CRYPTO_INPUT_MAX + 1, &at));
    memset(at, 0x30, FL_CRYPTO_INPUT_MAX + 1);
    assert_status(fl_csr_public_key(fl_buf_view(&big), &out, &err), FL_ERR_LIMIT);
    fl_buf_done(&big);
    fl_buf_done(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_digests_match_published_vectors),
        cmocka_unit_test(test_environment_gives_the_same_digests_and_running_clocks),
        cmocka_unit_test(test_secret_equal_sees_each_byte),
        cmocka_unit_test(test_request_carries_the_public_key),
        cmocka_unit_test(test_common_names_are_held_to_plain_letters),
        cmocka_unit_test(test_R21_request_with_any_changed_bit_gives_no_other_key),
        cmocka_unit_test(test_truncated_input_is_refused_at_every_length),
        cmocka_unit_test(test_keys_of_other_curves_and_oversized_input_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
