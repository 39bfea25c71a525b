#include "test.h"

#include <math.h>

#include "client/data/load.h"
#include "fail_alloc.h"
#include "files.h"

#define ROWS    600
#define CLASSES 5

/* Rows "i, -1000 * i, 0, i%CLASSES": the first feature tells which row it is. */
static const char *numbered_file(const char *name)
{
    static char text[ROWS * 32];
    size_t size = 0;
    for (int i = 0; i < ROWS; i++)
        size += (size_t)sprintf(text + size, "%d,%d,0,%d\n", i, -1000 * i, i % CLASSES);
    return files_write_text(name, text);
}

static void check_numbered(const struct fl_dataset *data, int seen[ROWS])
{
    assert_int_equal(data->classes, CLASSES);
    assert_int_equal(data->features, 3);
    for (size_t i = 0; i < data->rows; i++) {
        int row = (int)data->x[3 * i];
        assert_true(data->x[3 * i + 1] == -1000.0f * (float)row && data->x[3 * i + 2] == 0.0f);
        assert_int_equal(data->labels[i], row % CLASSES);
        seen[row]++;
    }
}

static void test_parts_of_all_clients_are_the_file_exactly_once(void **state)
{
    static const enum fl_partition_kind kinds[] = {FL_PARTITION_IID, FL_PARTITION_DIRICHLET,
                                                   FL_PARTITION_SHARDS};
    const char *path = numbered_file("numbered.csv");
    (void)state;
    for (size_t k = 0; k < 3; k++)
        for (uint32_t count = 1; count <= 7; count += 3) {
            int seen[ROWS] = {0}, again[ROWS] = {0};
            size_t test_rows = 0;
            struct fl_data_config config;
            fl_data_config_init(&config);
            config.source.paths = &path;
            config.source.path_count = 1;
            config.partition.kind = kinds[k];
            config.partition.count = count;
            config.partition.seed = 42;
            for (config.index = 0; config.index < count; config.index++) {
                struct fl_data data;
                assert_ok(fl_data_load(&config, &data, NULL));
                check_numbered(&data.train, seen);
                check_numbered(&data.test, seen);
                check_numbered(&data.test, again);
                assert_true(data.train.rows >= 10);
                assert_in_range(data.test.rows, ROWS / 5 / count, ROWS / 5 / count + 1);
                test_rows += data.test.rows;
                fl_data_done(&data);
            }
            assert_int_equal(test_rows, ROWS / 5);
            for (int i = 0; i < ROWS; i++)
                assert_int_equal(seen[i], 1);
        }
}

/* What a client holds is what reading the whole file and picking rows by the partition gives, bit by bit. */
static void check_share(const struct fl_data_config *config, const struct fl_dataset *whole)
{
    static uint8_t held[ROWS];
    static uint32_t labels[ROWS], owner[ROWS];
    size_t train = 0, test = 0, at = 0, width = whole->features * sizeof(float);
    struct fl_data data;
    assert_ok(fl_partition_hold_out(0.25, config->partition.seed, whole->rows, held, NULL));
    for (size_t i = 0; i < whole->rows; i++)
        if (!held[i])
            labels[train++] = whole->labels[i];
    assert_ok(fl_partition_assign(&config->partition, labels, train, whole->classes, owner, NULL));
    assert_ok(fl_data_load(config, &data, NULL));
    train = 0;
    for (size_t i = 0; i < whole->rows; i++) {
        const struct fl_dataset *part = held[i] ? &data.test : &data.train;
        if (held[i] ? test++ % config->partition.count != config->index : owner[train++] != config->index)
            continue;
        size_t row = held[i] ? (test - 1) / config->partition.count : at++;
        assert_true(row < part->rows);
        assert_int_equal(part->labels[row], whole->labels[i]);
        assert_memory_equal(part->x + row * part->features, whole->x + i * whole->features, width);
    }
    assert_int_equal(at, data.train.rows);
    fl_data_done(&data);
}

static void test_a_share_is_what_the_whole_file_would_give(void **state)
{
    static char csv[ROWS * 40], svm[ROWS * 40];
    static unsigned char images[16 + 6 * ROWS] = "\0\0\x08\x03\0\0\0\0\0\0\0\x02\0\0\0\x03";
    static unsigned char marks[8 + ROWS] = "\0\0\x08\x01";
    size_t csv_size = 0, svm_size = 0;
    (void)state;
    images[6] = marks[6] = ROWS >> 8;
    images[7] = marks[7] = ROWS & 255;
    for (int i = 0; i < ROWS; i++) {
        csv_size += (size_t)sprintf(csv + csv_size, "%d,%d.25,%d\n", i, i % 7, i % CLASSES);
        svm_size += (size_t)sprintf(svm + svm_size, "%d %d:%d.5 9:%d\n", i % 3 + 1, i % 8 + 1, i, i % 2);
        marks[8 + i] = (unsigned char)(i % CLASSES);
        for (int j = 0; j < 6; j++)
            images[16 + 6 * i + j] = (unsigned char)(i * 31 + j);
    }
    for (enum pack pack = PLAIN; pack <= XZ; pack++)
        for (enum fl_data_format format = FL_DATA_CSV; format <= FL_DATA_IDX; format++) {
            const char *path = format == FL_DATA_CSV ? files_write("share.csv", csv, csv_size, pack)
                               : format == FL_DATA_LIBSVM
                                   ? files_write("share.svm", svm, svm_size, pack)
                                   : files_write("share", images, sizeof(images), pack);
            const char *label_path = files_write("marks", marks, sizeof(marks), pack);
            struct fl_data_config config;
            struct fl_dataset whole;
            fl_data_config_init(&config);
            config.source.format = format;
            config.source.paths = &path;
            config.source.path_count = 1;
            config.source.label_paths = &label_path;
            config.source.label_path_count = format == FL_DATA_IDX;
            config.scale = 1;
            config.test_fraction = 0.25;
            config.partition = (struct fl_partition_spec){FL_PARTITION_DIRICHLET, 5, 0.3, 10, 9};
            assert_ok(fl_data_source_read(&config.source, &whole, NULL));
            assert_int_equal(whole.rows, ROWS);
            for (config.index = 0; config.index < 5; config.index++)
                check_share(&config, &whole);
            fl_dataset_done(&whole);
        }
}

static void test_groups_stay_together(void **state)
{
    static char text[ROWS * 8];
    const char *path = numbered_file("numbered.csv");
    int seen[ROWS] = {0}, owner[40];
    size_t size = 0;
    struct fl_data_config config;
    struct fl_error err = {""};
    struct fl_data data;
    (void)state;
    for (int i = 0; i < ROWS; i++) /* 40 groups */
        size += (size_t)sprintf(text + size, "x,%d\n", i * 7 % 40);
    fl_data_config_init(&config);
    config.source.paths = &path;
    config.source.path_count = 1;
    config.partition.kind = FL_PARTITION_GROUPS;
    config.partition.count = 6;
    assert_status(fl_data_load(&config, &data, &err), FL_ERR_CONFIG);
    assert_non_null(strstr(err.text, "needs a file of groups"));
    config.groups_path = files_write_text("groups", text);
    config.group_column = 1;
    memset(owner, -1, sizeof(owner));
    for (config.index = 0; config.index < 6; config.index++) {
        assert_ok(fl_data_load(&config, &data, NULL));
        check_numbered(&data.train, seen);
        check_numbered(&data.test, seen);
        for (size_t i = 0; i < data.train.rows; i++) {
            int group = (int)data.train.x[3 * i] * 7 % 40;
            assert_true(owner[group] == -1 || owner[group] == (int)config.index);
            owner[group] = (int)config.index;
        }
        fl_data_done(&data);
    }
    for (int i = 0; i < ROWS; i++)
        assert_int_equal(seen[i], 1);
    config.index = 0;
    config.groups_path = files_write_text("groups", "x,1\nx,2\n");
    assert_status(fl_data_load(&config, &data, &err), FL_ERR_FORMAT);
    assert_non_null(strstr(err.text, "groups of 2 examples, the data has 600"));
    config.partition.kind = FL_PARTITION_IID;
    assert_status(fl_data_load(&config, &data, &err), FL_ERR_CONFIG);
    assert_non_null(strstr(err.text, "for the partition by groups only"));
}

static void test_the_held_out_rows_depend_on_the_seed_only(void **state)
{
    const char *path = numbered_file("numbered.csv");
    struct fl_data_config config;
    struct fl_data a, b;
    (void)state;
    fl_data_config_init(&config);
    config.source.paths = &path;
    config.source.path_count = 1;
    assert_ok(fl_data_load(&config, &a, NULL));
    config.partition.kind = FL_PARTITION_DIRICHLET;
    assert_ok(fl_data_load(&config, &b, NULL));
    assert_memory_equal(a.test.x, b.test.x, a.test.rows * 3 * sizeof(float));
    fl_data_done(&b);
    config.partition.seed = 1;
    assert_ok(fl_data_load(&config, &b, NULL));
    assert_memory_not_equal(a.test.x, b.test.x, a.test.rows * 3 * sizeof(float));
    fl_data_done(&b);
    fl_data_done(&a);
}

static void test_a_test_file_is_shared_out_and_scaled_like_the_source(void **state)
{
    const char *path = files_write_text("train", "1,10,0\n-4,20,1\n2,-5,1\n3,5,2\n");
    const char *test_path = files_write_text("test", "8,40,0\n1,1,1\n1,1,1\n");
    struct fl_data_config config;
    struct fl_data data;
    struct fl_error err;
    (void)state;
    fl_data_config_init(&config);
    config.source.paths = &path;
    config.source.path_count = 1;
    config.test_paths = &test_path;
    config.test_path_count = 1;
    config.partition.count = 2;
    config.scale_columns = true;
    assert_ok(fl_data_load(&config, &data, NULL));
    assert_int_equal(data.train.rows, 2);
    assert_int_equal(data.test.rows, 2); /* rows 0 and 2 */
    assert_true(data.test.x[0] == 2.0f && data.test.x[1] == 2.0f && data.test.x[2] == 0.25f);
    for (size_t i = 0; i < 4; i++)
        assert_true(fabsf(data.train.x[i]) <= 1.0f);
    fl_data_done(&data);
    config.scale_columns = false;
    config.scale = 0.5;
    config.index = 1;
    assert_ok(fl_data_load(&config, &data, NULL));
    assert_int_equal(data.test.rows, 1);
    assert_true(data.test.x[0] == 0.5f);
    assert_int_equal(data.test.classes, 3);
    fl_data_done(&data);

    test_path = files_write_text("wrong", "1,2,3,0\n");
    assert_status(fl_data_load(&config, &data, &err), FL_ERR_RANGE);
    assert_non_null(strstr(err.text, "wrong:1: 3 features, expected 2"));
    test_path = files_write_text("wrong", "1,2,0\n1,2,3\n");
    assert_status(fl_data_load(&config, &data, &err), FL_ERR_RANGE);
    assert_non_null(strstr(err.text, "wrong:2: label 3, expected 0 to 2"));
}

static void test_a_libsvm_test_file_is_read_like_its_source(void **state)
{
    const char *path = files_write_text("train", "1 1:1 3:1\n2 2:1\n1 1:2\n");
    const char *test_path = files_write_text("test", "2 1:1\n"); /* alone it would be class 1 of {1}: 0 */
    struct fl_data_config config;
    struct fl_data data;
    (void)state;
    fl_data_config_init(&config);
    config.source.format = FL_DATA_LIBSVM;
    config.source.paths = &path;
    config.source.path_count = 1;
    config.test_paths = &test_path;
    config.test_path_count = 1;
    assert_ok(fl_data_load(&config, &data, NULL));
    assert_int_equal(data.test.features, 3);
    assert_int_equal(data.test.labels[0], 1);
    fl_data_done(&data);
}

static void test_a_file_of_its_own_belongs_to_the_client(void **state)
{
    const char *path = numbered_file("numbered.csv");
    struct fl_data_config config;
    struct fl_data data;
    (void)state;
    fl_data_config_init(&config);
    config.source.paths = &path;
    config.source.path_count = 1;
    config.partition.kind = FL_PARTITION_NONE;
    config.partition.count = 4;
    config.index = 3;
    assert_ok(fl_data_load(&config, &data, NULL));
    assert_int_equal(data.train.rows, ROWS - ROWS / 5);
    assert_int_equal(data.test.rows, ROWS / 5);
    fl_data_done(&data);
}

static void test_contradictions_are_refused(void **state)
{
    const char *path = numbered_file("numbered.csv");
    struct fl_data_config base, config;
    struct fl_data data;
    struct fl_error err;
    (void)state;
    fl_data_config_init(&base);
    base.source.paths = &path;
    base.source.path_count = 1;

    config = base;
    config.index = 1;
    assert_status(fl_data_load(&config, &data, &err), FL_ERR_CONFIG);
    assert_string_equal(err.text, "data of client 1 of 1: clients count from 0");
    config = base;
    config.scale = NAN;
    assert_status(fl_data_load(&config, &data, &err), FL_ERR_CONFIG);
    config = base;
    config.scale = 2;
    config.scale_columns = true;
    assert_status(fl_data_load(&config, &data, &err), FL_ERR_CONFIG);
    config = base;
    config.partition.kind = FL_PARTITION_NONE;
    config.scale_columns = true;
    assert_status(fl_data_load(&config, &data, &err), FL_ERR_CONFIG);
    config = base;
    config.source.format = FL_DATA_IDX;
    assert_status(fl_data_load(&config, &data, &err), FL_ERR_CONFIG);
    config = base;
    config.scale = 1e38;
    assert_status(fl_data_load(&config, &data, &err), FL_ERR_NOT_FINITE);
    config = base;
    config.test_fraction = 1.5;
    assert_status(fl_data_load(&config, &data, &err), FL_ERR_RANGE);
    config = base;
    config.partition.count = 1000;
    assert_status(fl_data_load(&config, &data, &err), FL_ERR_RANGE);
}

static void test_loading_survives_any_failed_allocation(void **state)
{
    const char *path = files_write_text("small", "1,0\n2,1\n3,0\n4,1\n5,0\n6,1\n");
    const char *test_path = files_write_text("smalltest", "1,0\n2,1\n");
    long before = fl_live_allocations();
    (void)state;
    for (int test_file = 0; test_file < 2; test_file++)
        for (size_t k = 0;; k++) {
            struct fl_data_config config;
            struct fl_data data = {0};
            fl_data_config_init(&config);
            config.source.paths = &path;
            config.source.path_count = 1;
            config.test_paths = &test_path;
            config.test_path_count = (size_t)test_file;
            config.partition.count = 2;
            fl_fail_alloc_after(k);
            enum fl_status st = fl_data_load(&config, &data, NULL);
            fl_fail_alloc_never();
            fl_data_done(&data);
            assert_int_equal(fl_live_allocations(), before);
            if (st == FL_OK)
                break;
            assert_status(st, FL_ERR_NOMEM);
        }
}

/* Shapes as the publishers give them; skipped without $FL_DATA. */
static void test_real_files_have_their_published_shapes(void **state)
{
    static const struct {
        enum fl_data_format format;
        const char *name;
        size_t rows, features;
        uint32_t classes;
    } cases[] = {
        {FL_DATA_CSV, "small/digits.csv.gz", 1797, 64, 10},
        {FL_DATA_CSV, "small/breast_cancer.csv.xz", 569, 30, 2},
        {FL_DATA_LIBSVM, "libsvm/a9a.xz", 32561, 123, 2},
        {FL_DATA_LIBSVM, "libsvm/madelon.xz", 2000, 500, 2},
        {FL_DATA_LIBSVM, "libsvm/mushrooms.xz", 8124, 112, 2},
    };
    (void)state;
    if (!files_real(cases[0].name))
        skip();
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const char *path = files_real(cases[i].name);
        struct fl_data_source source;
        struct fl_dataset data;
        assert_non_null(path);
        fl_data_source_init(&source);
        source.format = cases[i].format;
        source.paths = &path;
        source.path_count = 1;
        assert_ok(fl_data_source_read(&source, &data, NULL));
        assert_int_equal(data.rows, cases[i].rows);
        assert_int_equal(data.features, cases[i].features);
        assert_int_equal(data.classes, cases[i].classes);
        fl_dataset_done(&data);
    }
}

static void test_mnist_is_read_from_its_parts(void **state)
{
    const char *parts[] = {files_real("mnist/train-images-idx3-ubyte.part1.xz"),
                           files_real("mnist/train-images-idx3-ubyte.part2.xz")};
    const char *labels = files_real("mnist/train-labels-idx1-ubyte.xz");
    const char *test_path = files_real("mnist/t10k-images-idx3-ubyte.xz");
    const char *test_labels = files_real("mnist/t10k-labels-idx1-ubyte.xz");
    struct fl_data_config config;
    struct fl_data data;
    size_t outside = 0;
    (void)state;
    if (!parts[0] || !parts[1] || !labels || !test_path || !test_labels)
        skip();
    fl_data_config_init(&config);
    config.source.format = FL_DATA_IDX;
    config.source.paths = parts;
    config.source.path_count = 2;
    config.source.label_paths = &labels;
    config.source.label_path_count = 1;
    config.test_paths = &test_path;
    config.test_path_count = 1;
    config.test_label_paths = &test_labels;
    config.test_label_path_count = 1;
    config.partition.count = 20;
    config.index = 7;
    assert_ok(fl_data_load(&config, &data, NULL));
    assert_int_equal(data.train.rows, 3000);
    assert_int_equal(data.test.rows, 500);
    assert_int_equal(data.train.features, 784);
    for (size_t i = 0; i < data.train.rows * 784; i++)
        outside += !(data.train.x[i] >= 0.0f && data.train.x[i] <= 1.0f);
    assert_int_equal(outside, 0);
    fl_data_done(&data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parts_of_all_clients_are_the_file_exactly_once),
        cmocka_unit_test(test_a_share_is_what_the_whole_file_would_give),
        cmocka_unit_test(test_groups_stay_together),
        cmocka_unit_test(test_the_held_out_rows_depend_on_the_seed_only),
        cmocka_unit_test(test_a_test_file_is_shared_out_and_scaled_like_the_source),
        cmocka_unit_test(test_a_libsvm_test_file_is_read_like_its_source),
        cmocka_unit_test(test_a_file_of_its_own_belongs_to_the_client),
        cmocka_unit_test(test_contradictions_are_refused),
        cmocka_unit_test(test_loading_survives_any_failed_allocation),
        cmocka_unit_test(test_real_files_have_their_published_shapes),
        cmocka_unit_test(test_mnist_is_read_from_its_parts),
    };
    return cmocka_run_group_tests(tests, files_setup, files_teardown);
}
