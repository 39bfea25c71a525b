#include "test.h"

#include <time.h>

#include "fail_alloc.h"
#include "platform/authority.h"
#include "platform/cert.h"
#include "platform/crypto.h"

#define CAP ((size_t)1 << 16)

struct identity {
    struct fl_buf root_key, root, key, chain;
};

/* A root, and a client's leaf that it has signed, begun at now_s. */
static void identity_init(struct identity *id, int64_t now_s)
{
    struct fl_authority *authority;
    struct fl_buf spki;
    struct fl_leaf leaf = {.common_name = "client", .validity = {now_s, 30}};

    fl_buf_init(&id->root_key, CAP);
    fl_buf_init(&id->root, CAP);
    fl_buf_init(&id->key, CAP);
    fl_buf_init(&id->chain, CAP);
    fl_buf_init(&spki, CAP);
    assert_ok(fl_key_generate(&id->root_key, NULL));
    assert_ok(fl_key_generate(&id->key, NULL));
    assert_ok(fl_authority_create_root(fl_buf_view(&id->root_key), "root", (struct fl_validity){now_s, 3650},
                                       &id->root, NULL));
    assert_ok(fl_authority_new(fl_buf_view(&id->root), fl_buf_view(&id->root_key), &authority, NULL));
    assert_ok(fl_key_public(fl_buf_view(&id->key), &spki, NULL));
    assert_ok(fl_authority_issue(authority, fl_buf_view(&spki), &leaf, &id->chain, NULL));
    fl_authority_free(authority);
    fl_buf_done(&spki);
}

static void identity_done(struct identity *id)
{
    fl_buf_done(&id->root_key);
    fl_buf_done(&id->root);
    fl_buf_done(&id->key);
    fl_buf_done(&id->chain);
}

static void test_what_belongs_together_passes_even_expired(void **state)
{
    const int64_t begins[] = {time(NULL), INT64_C(1000000000)};
    (void)state;
    for (size_t i = 0; i < sizeof begins / sizeof begins[0]; i++) {
        struct identity id;
        identity_init(&id, begins[i]);
        assert_ok(fl_cert_root_check(fl_buf_view(&id.root), NULL));
        assert_ok(fl_cert_chain_check(fl_buf_view(&id.chain), fl_buf_view(&id.root), NULL));
        assert_ok(fl_cert_key_check(fl_buf_view(&id.chain), fl_buf_view(&id.key), NULL));
        identity_done(&id);
    }
}

static void test_what_belongs_to_others_is_told_apart(void **state)
{
    struct identity a, b;
    (void)state;
    identity_init(&a, time(NULL));
    identity_init(&b, time(NULL));
    assert_int_equal(fl_cert_chain_check(fl_buf_view(&a.chain), fl_buf_view(&b.root), NULL), FL_ERR_AUTH);
    assert_int_equal(fl_cert_key_check(fl_buf_view(&a.chain), fl_buf_view(&b.key), NULL), FL_ERR_AUTH);
    assert_int_not_equal(fl_cert_root_check(fl_buf_view(&a.chain), NULL), FL_OK);
    identity_done(&a);
    identity_done(&b);
}

/* Bits that no check sees may only be such that the certificate's content is the same: spare bits of base64.
 */
static void test_every_flipped_bit_and_cut_of_content_is_seen(void **state)
{
    struct identity id;
    struct fl_cert_info before, after;
    (void)state;
    identity_init(&id, time(NULL));
    assert_ok(fl_cert_read(fl_buf_view(&id.root), &before, NULL));
    for (size_t i = 0; i < id.root.size; i++) {
        id.root.data[i] ^= 1;
        if (fl_cert_root_check(fl_buf_view(&id.root), NULL) == FL_OK) {
            assert_ok(fl_cert_read(fl_buf_view(&id.root), &after, NULL));
            assert_memory_equal(before.fingerprint, after.fingerprint, sizeof before.fingerprint);
        }
        id.root.data[i] ^= 1;
    }
    for (size_t size = 0; size < id.root.size; size += 7)
        assert_int_not_equal(fl_cert_root_check((struct fl_bytes){id.root.data, size}, NULL), FL_OK);
    identity_done(&id);
}

static void test_survives_any_failed_allocation(void **state)
{
    struct identity id;
    (void)state;
    identity_init(&id, time(NULL));
    for (size_t k = 0;; k++) {
        long before = fl_live_allocations();
        fl_fail_alloc_after(k);
        enum fl_status st = fl_cert_chain_check(fl_buf_view(&id.chain), fl_buf_view(&id.root), NULL);
        if (!st)
            st = fl_cert_key_check(fl_buf_view(&id.chain), fl_buf_view(&id.key), NULL);
        fl_fail_alloc_never();
        assert_int_equal(fl_live_allocations(), before);
        if (st == FL_OK)
            break;
        assert_status(st, FL_ERR_NOMEM);
    }
    identity_done(&id);
}

static void test_the_rest_of_a_chain(void **state)
{
    (void)state;
    struct identity id;
    struct fl_cert_info info;
    identity_init(&id, time(NULL));
    assert_ok(fl_buf_append(&id.chain, id.root.data, id.root.size));
    struct fl_bytes rest = fl_cert_chain_next(fl_buf_view(&id.chain));
    assert_ok(fl_cert_read(rest, &info, NULL));
    assert_string_equal(info.common_name, "root");
    while (rest.size)
        rest = fl_cert_chain_next(rest); /* comes to an end */
    assert_int_equal(fl_cert_chain_next((struct fl_bytes){(const uint8_t *)"junk", 4}).size, 0);
    identity_done(&id);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_rest_of_a_chain),
        cmocka_unit_test(test_what_belongs_together_passes_even_expired),
        cmocka_unit_test(test_what_belongs_to_others_is_told_apart),
        cmocka_unit_test(test_every_flipped_bit_and_cut_of_content_is_seen),
        cmocka_unit_test(test_survives_any_failed_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
