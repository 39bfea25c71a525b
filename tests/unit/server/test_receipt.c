/* The receipt of a verdict: what it is a MAC of, and by which key. */
#include "test.h"

#include <stdio.h>

#include "platform/crypto.h"
#include "platform/env.h"
#include "server/core/receipt.h"

struct subject {
    const char *run;
    uint64_t origin;
    struct fl_receipt_row row;
    uint8_t key[FL_DIGEST_SIZE];
};

static struct subject subject(void)
{
    struct subject subject = {
        .run = "digits",
        .origin = 7,
        .row = {.seq = 18, .epoch = 9, .verdict = FL_VERDICT_LATE, .round = 17, .weight = 180, .total = 15}};

    snprintf(subject.row.client, sizeof subject.row.client, "c0ffee");
    memset(subject.row.digest, 0x5a, sizeof subject.row.digest);
    memset(subject.key, 0x11, sizeof subject.key);
    return subject;
}

static void receipt_of(const struct subject *subject, uint8_t ret_receipt[FL_DIGEST_SIZE])
{
    struct fl_env env = fl_env_system();

    fl_receipt_make(&env, subject->key, (struct fl_run_key){subject->run, subject->origin}, &subject->row,
                    ret_receipt);
}

/* The text of receipt.h, put together once more by hand. */
static void test_R4_the_receipt_is_the_documented_mac(void **state)
{
    (void)state;
    static const char head[] =
        "FLRECEIPT2digits\0\x07\0\0\0\0\0\0\0\x09\0\0\0\0\0\0\0c0ffee\0\x12\0\0\0\0\0\0\0";
    static const char tail[] = "\x01\0\0\0\0\0\0\0\x11\0\0\0\0\0\0\0\xb4\0\0\0\0\0\0\0\x0f\0\0\0\0\0\0\0";
    struct subject given = subject();
    uint8_t text[sizeof head - 1 + FL_DIGEST_SIZE + sizeof tail - 1], expected[FL_DIGEST_SIZE],
        receipt[FL_DIGEST_SIZE];

    memcpy(text, head, sizeof head - 1);
    memset(text + sizeof head - 1, 0x5a, FL_DIGEST_SIZE);
    memcpy(text + sizeof head - 1 + FL_DIGEST_SIZE, tail, sizeof tail - 1);
    fl_hmac_sha256((struct fl_bytes){given.key, sizeof given.key}, (struct fl_bytes){text, sizeof text},
                   expected);
    receipt_of(&given, receipt);
    assert_memory_equal(receipt, expected, sizeof receipt);
}

static void test_R4_nothing_that_a_receipt_proves_can_be_changed(void **state)
{
    (void)state;
    enum { RUN, ORIGIN, EPOCH, TOTAL, CLIENT, SEQ, DIGEST, VERDICT, ROUND, WEIGHT, KEY, CHANGES };
    uint8_t receipts[CHANGES + 1][FL_DIGEST_SIZE];

    for (int change = 0; change <= CHANGES; change++) {
        struct subject given = subject();
        given.run = change == RUN ? "digit" : given.run;
        given.origin += change == ORIGIN;
        given.row.epoch += change == EPOCH;
        given.row.total += change == TOTAL;
        given.row.client[5] ^= change == CLIENT;
        given.row.seq += change == SEQ;
        given.row.digest[31] ^= change == DIGEST;
        given.row.verdict = change == VERDICT ? FL_VERDICT_ACCEPTED : given.row.verdict;
        given.row.round += change == ROUND;
        given.row.weight += change == WEIGHT;
        given.key[0] ^= change == KEY;
        receipt_of(&given, receipts[change]);
        for (int before = 0; before < change; before++)
            assert_memory_not_equal(receipts[before], receipts[change], FL_DIGEST_SIZE);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_R4_the_receipt_is_the_documented_mac),
        cmocka_unit_test(test_R4_nothing_that_a_receipt_proves_can_be_changed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
