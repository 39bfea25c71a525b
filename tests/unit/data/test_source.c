#include "test.h"

#include "client/data/source.h"
#include "fail_alloc.h"
#include "files.h"

static enum fl_status read_file(enum fl_data_format format, const char *path, struct fl_dataset *ret,
                                struct fl_error *err)
{
    struct fl_data_source source;
    fl_data_source_init(&source);
    source.format = format;
    source.paths = &path;
    source.path_count = 1;
    return fl_data_source_read(&source, ret, err);
}

static void test_csv_reads_numbers_and_labels(void **state)
{
    static const struct {
        const char *text;
        int32_t label_column;
        enum fl_csv_header header;
    } cases[] = {
        {"1,2.5,0\n-3,4e-1,2\n", FL_CSV_LAST_COLUMN, FL_CSV_HEADER_AUTO},
        {"1,2.5,0\r\n-3,4e-1,2", FL_CSV_LAST_COLUMN, FL_CSV_HEADER_AUTO},
        {"\xef\xbb\xbf"
         "1, 2.5 ,0\n\n-3,.4,2.0\n",
         FL_CSV_LAST_COLUMN, FL_CSV_HEADER_NO},
        {"0,1,2.5\n2,-3,0.4\n", 0, FL_CSV_HEADER_AUTO},
        {"1,0,2.5\n-3,2,0.4\n", 1, FL_CSV_HEADER_AUTO},
        {"a,b,label\n1,2.5,0\n-3,0.4,2\n", 2, FL_CSV_HEADER_AUTO},
        {"\"1\",b,label\n1,2.5,0\n-3,0.4,2\n", 2, FL_CSV_HEADER_AUTO},
        {"569,2,malignant,benign\n1,2.5,0\n-3,0.4,2\n", FL_CSV_LAST_COLUMN, FL_CSV_HEADER_AUTO},
        {"7,8,9\n1,2.5,0\n-3,0.4,2\n", FL_CSV_LAST_COLUMN, FL_CSV_HEADER_YES},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const char *path = files_write_text("good.csv", cases[i].text);
        struct fl_data_source source;
        struct fl_dataset data;
        struct fl_error err;
        fl_data_source_init(&source);
        source.paths = &path;
        source.path_count = 1;
        source.label_column = cases[i].label_column;
        source.header = cases[i].header;
        assert_ok(fl_data_source_read(&source, &data, &err));
        assert_int_equal(data.rows, 2);
        assert_int_equal(data.features, 2);
        assert_int_equal(data.classes, 3);
        assert_true(data.x[0] == 1.0f && data.x[1] == 2.5f && data.x[2] == -3.0f && data.x[3] == 0.4f);
        assert_int_equal(data.labels[0], 0);
        assert_int_equal(data.labels[1], 2);
        fl_dataset_done(&data);
    }
}

static void test_libsvm_reads_sparse_rows_and_maps_labels(void **state)
{
    static const struct {
        const char *text;
        uint32_t labels[2];
    } cases[] = {
        {"-1 1:0.5 3:2\n+1 2:1\n", {0, 1}},
        {"1 1:0.5 3:2\n2 2:1 # comment\n", {0, 1}},
        {"# comment\n\n0 1:0.5\t3:2 \n3 2:1", {0, 3}},
    };
    static const float expected[] = {0.5f, 0, 2, 0, 1, 0};
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct fl_dataset data;
        assert_ok(read_file(FL_DATA_LIBSVM, files_write_text("good.svm", cases[i].text), &data, NULL));
        assert_int_equal(data.rows, 2);
        assert_int_equal(data.features, 3);
        assert_memory_equal(data.x, expected, sizeof(expected));
        assert_memory_equal(data.labels, cases[i].labels, sizeof(cases[i].labels));
        fl_dataset_done(&data);
    }
}

static void test_text_files_say_what_is_wrong_and_where(void **state)
{
    static const struct {
        enum fl_data_format format;
        const char *text;
        enum fl_status status;
        const char *says;
    } cases[] = {
        {FL_DATA_CSV, "1,2,0\n1,0\n", FL_ERR_FORMAT, "bad:2: 2 columns, expected 3"},
        {FL_DATA_CSV, "1,2,0\n1,2,3,0\n", FL_ERR_FORMAT, "bad:2: 4 columns, expected 3"},
        {FL_DATA_CSV, "1,2,0\n1,x,0\n", FL_ERR_FORMAT, "bad:2: column 2: \"x\" is not a number"},
        {FL_DATA_CSV, "1,2,0\n1,,0\n", FL_ERR_FORMAT, "bad:2: column 2: \"\" is not a number"},
        {FL_DATA_CSV, "63,?,2\n", FL_ERR_FORMAT, "bad:1: column 2: \"?\" is not a number"},
        {FL_DATA_CSV, "1,1 2,0\n", FL_ERR_FORMAT, "column 2"},
        {FL_DATA_CSV, "nan,2,0\n", FL_ERR_NOT_FINITE, "bad:1: column 1: nan is NaN or infinite"},
        {FL_DATA_CSV, "1,-inf,0\n", FL_ERR_NOT_FINITE, "bad:1: column 2"},
        {FL_DATA_CSV, "1,1e39,0\n", FL_ERR_NOT_FINITE, "bad:1: column 2: 1e39"},
        {FL_DATA_CSV, "1,2,0.5\n", FL_ERR_RANGE, "bad:1: column 3: label 0.5, expected a whole number"},
        {FL_DATA_CSV, "1,2,nan\n", FL_ERR_NOT_FINITE, "bad:1: column 3"},
        {FL_DATA_CSV, "1,2,1e12\n", FL_ERR_RANGE, "bad:1: column 3"},
        {FL_DATA_CSV, "1,2,0\n1,2,-1\n", FL_ERR_RANGE, "bad:2: label -1, expected 0 to"},
        {FL_DATA_CSV, "1,2,0\n1,2,70000\n", FL_ERR_RANGE, "bad:2: label 70000, expected 0 to 65535"},
        {FL_DATA_CSV, "", FL_ERR_FORMAT, "bad: holds no examples"},
        {FL_DATA_CSV, "a,b,c\n", FL_ERR_FORMAT, "bad: holds no examples"},
        {FL_DATA_CSV, "1\n", FL_ERR_FORMAT, "bad:1: no features"},
        {FL_DATA_LIBSVM, "", FL_ERR_FORMAT, "bad: holds no examples"},
        {FL_DATA_LIBSVM, "1 2:1 2:1\n", FL_ERR_FORMAT, "bad:1: column 7: index 2 is not above 2"},
        {FL_DATA_LIBSVM, "1 1:1\n1 3:1 2:1\n", FL_ERR_FORMAT, "bad:2: column 7: index 2 is not above 3"},
        {FL_DATA_LIBSVM, "1 0:1\n", FL_ERR_RANGE, "bad:1: column 3: index"},
        {FL_DATA_LIBSVM, "1 99999999999999999999:1\n", FL_ERR_RANGE, "bad:1: column 3: index"},
        {FL_DATA_LIBSVM, "1 -1:1\n", FL_ERR_FORMAT, "expected INDEX:VALUE"},
        {FL_DATA_LIBSVM, "1 qid:1\n", FL_ERR_FORMAT, "expected INDEX:VALUE"},
        {FL_DATA_LIBSVM, "1 17\n", FL_ERR_FORMAT, "expected INDEX:VALUE"},
        {FL_DATA_LIBSVM, "1 1:\n", FL_ERR_FORMAT, "\"\" is not a number"},
        {FL_DATA_LIBSVM, "1 1:nan\n", FL_ERR_NOT_FINITE, "bad:1: column 3"},
        {FL_DATA_LIBSVM, "x 1:1\n", FL_ERR_FORMAT, "bad:1: column 1: \"x\" is not a number"},
        {FL_DATA_LIBSVM, "-1 1:1\n2 1:1\n", FL_ERR_RANGE, "example 2: label 2, expected -1 or +1"},
        {FL_DATA_LIBSVM, "1\n2\n", FL_ERR_FORMAT, "no features"},
        {FL_DATA_LIBSVM,
         "1 16777216:1\n1 1:1\n1 1:1\n1 1:1\n1 1:1\n1 1:1\n1 1:1\n1 1:1\n1 1:1\n1 1:1\n"
         "1 1:1\n1 1:1\n1 1:1\n1 1:1\n1 1:1\n1 1:1\n1 1:1\n1 1:1\n1 1:1\n1 1:1\n1 1:1\n"
         "1 1:1\n1 1:1\n1 1:1\n1 1:1\n1 1:1\n1 1:1\n1 1:1\n1 1:1\n1 1:1\n1 1:1\n1 1:1\n1 1:1\n",
         FL_ERR_LIMIT, "of memory, the limit"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct fl_dataset data;
        struct fl_error err = {""};
        long live = fl_live_allocations();
        const char *path = files_write_text("bad", cases[i].text);
        assert_status(read_file(cases[i].format, path, &data, &err), cases[i].status);
        if (!strstr(err.text, cases[i].says))
            fail_msg("case %zu says: %s", i, err.text);
        assert_int_equal(fl_live_allocations(), live);
    }
}

static void test_binary_text_is_refused(void **state)
{
    struct fl_dataset data;
    struct fl_error err;
    (void)state;
    assert_status(read_file(FL_DATA_CSV, files_write("bad", "1,2\0,0\n", 7, PLAIN), &data, &err),
                  FL_ERR_FORMAT);
    assert_non_null(strstr(err.text, "bad:1: zero byte"));
    assert_status(read_file(FL_DATA_CSV, "/nonexistent/file", &data, &err), FL_ERR_NOT_FOUND);
    assert_string_equal(err.text, "/nonexistent/file: No such file or directory");
    assert_status(read_file(FL_DATA_CSV, "/", &data, &err), FL_ERR_IO);
}

static void test_expected_features_and_classes_are_held(void **state)
{
    const char *path = files_write_text("one.csv", "1,2,0\n1,2,3\n");
    struct fl_data_source source;
    struct fl_dataset data;
    struct fl_error err;
    (void)state;
    fl_data_source_init(&source);
    source.paths = &path;
    source.path_count = 1;
    source.features = 3;
    assert_status(fl_data_source_read(&source, &data, &err), FL_ERR_RANGE);
    assert_non_null(strstr(err.text, "one.csv:1: 2 features, expected 3"));
    source.features = 2;
    source.classes = 3;
    assert_status(fl_data_source_read(&source, &data, &err), FL_ERR_RANGE);
    assert_non_null(strstr(err.text, "one.csv:2: label 3, expected 0 to 2"));
    source.classes = 7;
    assert_ok(fl_data_source_read(&source, &data, &err));
    assert_int_equal(data.classes, 7);
    fl_dataset_done(&data);
    source.label_column = 3;
    assert_status(fl_data_source_read(&source, &data, &err), FL_ERR_FORMAT);
    assert_non_null(strstr(err.text, "one.csv:1: 3 columns, and the label is column 4"));
    source.label_column = FL_CSV_LAST_COLUMN;
    source.path_count = 0;
    assert_status(fl_data_source_read(&source, &data, &err), FL_ERR_CONFIG);

    path = files_write_text("few.svm", "1 2:1\n2 1:1\n");
    source =
        (struct fl_data_source){.format = FL_DATA_LIBSVM, .paths = &path, .path_count = 1, .features = 5};
    assert_ok(fl_data_source_read(&source, &data, &err));
    assert_int_equal(data.features, 5);
    fl_dataset_done(&data);
    source.features = 1;
    assert_status(fl_data_source_read(&source, &data, &err), FL_ERR_RANGE);
}

#define MANY 4000

/* MANY rows "i,7,i%3". */
static size_t many_rows(char *text)
{
    size_t size = 0;
    for (int i = 0; i < MANY; i++)
        size += (size_t)sprintf(text + size, "%d,7,%d\n", i, i % 3);
    return size;
}

static void check_many(const struct fl_dataset *data)
{
    assert_int_equal(data->rows, MANY);
    for (size_t i = 0; i < MANY; i++) {
        assert_true(data->x[2 * i] == (float)i && data->x[2 * i + 1] == 7.0f);
        assert_int_equal(data->labels[i], i % 3);
    }
}

static void test_packed_files_read_like_plain_ones_in_any_parts(void **state)
{
    static char text[MANY * 16], packed[MANY * 16];
    size_t size = many_rows(text);
    (void)state;
    for (enum pack pack = PLAIN; pack <= XZ; pack++) {
        struct fl_dataset data;
        size_t whole = files_pack(pack, text, size, packed, sizeof(packed));
        assert_ok(read_file(FL_DATA_CSV, files_write("many", packed, whole, PLAIN), &data, NULL));
        check_many(&data);
        fl_dataset_done(&data);

        /* one stream, its bytes in three files, one of them empty */
        const char *parts[3] = {files_write("part1", packed, 3, PLAIN), files_write("part2", "", 0, PLAIN),
                                files_write("part3", packed + 3, whole - 3, PLAIN)};
        struct fl_data_source source;
        fl_data_source_init(&source);
        source.paths = parts;
        source.path_count = 3;
        assert_ok(fl_data_source_read(&source, &data, NULL));
        check_many(&data);
        fl_dataset_done(&data);

        /* two streams, one after the other; the cut is inside a line */
        size_t first = files_pack(pack, text, size / 2, packed, sizeof(packed));
        parts[0] = files_write("part1", packed, first, PLAIN);
        size_t second = files_pack(pack, text + size / 2, size - size / 2, packed, sizeof(packed));
        parts[1] = files_write("part2", packed, second, PLAIN);
        source.path_count = 2;
        assert_ok(fl_data_source_read(&source, &data, NULL));
        check_many(&data);
        fl_dataset_done(&data);
    }
}

static void test_damaged_packed_files_are_refused(void **state)
{
    static char text[MANY * 16];
    static unsigned char packed[MANY * 16];
    size_t size = many_rows(text);
    (void)state;
    for (enum pack pack = GZIP; pack <= XZ; pack++) {
        size_t whole = files_pack(pack, text, size, packed, sizeof(packed));
        size_t cuts[] = {10, 25, whole / 2, whole - 1};
        struct fl_dataset data;
        struct fl_error err;
        for (size_t i = 0; i < 4; i++) {
            const char *path = files_write("cut", packed, cuts[i], PLAIN);
            assert_status(read_file(FL_DATA_CSV, path, &data, &err), FL_ERR_TRUNCATED);
            assert_non_null(strstr(err.text, "cut: ends inside compressed data"));
        }
        memcpy(packed + whole, "junk after the end", 16);
        assert_status(read_file(FL_DATA_CSV, files_write("junk", packed, whole + 16, PLAIN), &data, &err),
                      FL_ERR_FORMAT);
        assert_non_null(strstr(err.text, "compressed data is damaged"));
        packed[whole / 2] ^= 0x55;
        enum fl_status st = read_file(FL_DATA_CSV, files_write("flip", packed, whole, PLAIN), &data, &err);
        assert_int_not_equal(st, FL_OK); /* found by a checksum, or by what it made of the text */
    }
}

static void test_decompression_bombs_are_capped(void **state)
{
    size_t size = (size_t)24 << 20;
    char *zeros = calloc(1, size);
    static unsigned char packed[1 << 20];
    struct fl_data_source source;
    struct fl_dataset data;
    struct fl_error err;
    const char *path;
    (void)state;
    assert_non_null(zeros);
    fl_data_source_init(&source);
    source.paths = &path;
    source.path_count = 1;
    for (enum pack pack = GZIP; pack <= XZ; pack++) {
        memset(zeros, '\n', size); /* empty lines: nothing to keep, so only the cap on text stops it */
        path = files_write("bomb", packed, files_pack(pack, zeros, size, packed, sizeof(packed)), PLAIN);
        source.max_bytes = 1 << 20;
        assert_status(fl_data_source_read(&source, &data, &err), FL_ERR_LIMIT);
        assert_non_null(strstr(err.text, "bomb: holds more data than is allowed to be read"));
        memset(zeros, '1', size); /* one endless line */
        path = files_write("line", packed, files_pack(pack, zeros, size, packed, sizeof(packed)), PLAIN);
        source.max_bytes = 0;
        assert_status(fl_data_source_read(&source, &data, &err), FL_ERR_LIMIT);
        assert_non_null(strstr(err.text, "line:1: line is longer than"));
    }
    free(zeros);
    path = files_write_text("rows", "1,0\n2,1\n3,0\n");
    source.max_bytes = 16; /* two rows of 8 bytes */
    assert_status(fl_data_source_read(&source, &data, &err), FL_ERR_LIMIT);
    assert_non_null(strstr(err.text, "3 examples of 1 features need more than 16 bytes"));
    path = files_write_text("rows", "1 1:1 4:1\n"); /* 20 bytes when dense */
    source.format = FL_DATA_LIBSVM;
    assert_status(fl_data_source_read(&source, &data, &err), FL_ERR_LIMIT);
}

#define IMAGES "\0\0\x08\x03\0\0\0\x02\0\0\0\x01\0\0\0\x03"
#define LABELS "\0\0\x08\x01\0\0\0\x02"

static enum fl_status read_idx(const void *images, size_t images_size, const void *labels, size_t labels_size,
                               struct fl_dataset *ret, struct fl_error *err)
{
    const char *images_path = files_write("images", images, images_size, GZIP);
    const char *labels_path = files_write("labels", labels, labels_size, PLAIN);
    struct fl_data_source source = {.format = FL_DATA_IDX,
                                    .paths = &images_path,
                                    .path_count = 1,
                                    .label_paths = &labels_path,
                                    .label_path_count = 1};
    return fl_data_source_read(&source, ret, err);
}

static void test_idx_reads_images_and_labels(void **state)
{
    static const float expected[] = {1, 2, 255, 0, 5, 6};
    struct fl_dataset data;
    (void)state;
    assert_ok(read_idx(IMAGES "\1\2\xff\0\5\6", 22, LABELS "\0\4", 10, &data, NULL));
    assert_int_equal(data.rows, 2);
    assert_int_equal(data.features, 3);
    assert_int_equal(data.classes, 5);
    assert_memory_equal(data.x, expected, sizeof(expected));
    fl_dataset_done(&data);
}

static void test_idx_that_lies_is_refused(void **state)
{
    static const struct {
        const char *images;
        size_t images_size;
        const char *labels;
        size_t labels_size;
        enum fl_status status;
        const char *says;
    } cases[] = {
        {"", 0, LABELS "\0\4", 10, FL_ERR_FORMAT, "images: does not open like an IDX file"},
        {"\1\0\x08\x03", 4, LABELS "\0\4", 10, FL_ERR_FORMAT, "images: does not open like an IDX file"},
        {"\0\0\x0d\x03", 4, LABELS "\0\4", 10, FL_ERR_FORMAT, "element type 0x0d, expected 0x08"},
        {"\0\0\x08\xff", 4, LABELS "\0\4", 10, FL_ERR_FORMAT, "255 dimensions, expected 2 to 4"},
        {"\0\0\x08\x03\0\0\0\x02", 8, LABELS "\0\4", 10, FL_ERR_TRUNCATED, "ends inside its header"},
        {IMAGES "\1\2\3\4\5", 21, LABELS "\0\4", 10, FL_ERR_TRUNCATED,
         "images: declares 2 examples, ends inside number 2"},
        {IMAGES "\1\2\3\4\5\6\7", 23, LABELS "\0\4", 10, FL_ERR_FORMAT, "images: declares 2 examples, more"},
        {IMAGES "\1\2\3\4\5\6", 22, LABELS "\0", 9, FL_ERR_TRUNCATED, "labels: declares 2 examples"},
        {IMAGES "\1\2\3\4\5\6", 22, LABELS "\0\1\2", 11, FL_ERR_FORMAT, "labels: declares 2 examples, more"},
        {IMAGES "\1\2\3\4\5\6", 22, "\0\0\x08\x01\0\0\0\x03\1\2\3", 11, FL_ERR_FORMAT,
         "labels: 3 labels, expected 2 as in"},
        {IMAGES "\1\2\3\4\5\6", 22, IMAGES "\1\2\3\4\5\6", 22, FL_ERR_FORMAT, "labels: 3 dimensions"},
        {"\0\0\x08\x03\xff\xff\xff\xff\0\0\0\x01\0\0\0\x03", 16, "\0\0\x08\x01\xff\xff\xff\xff", 8,
         FL_ERR_LIMIT, "4294967295 examples, at most 16777216"},
        {"\0\0\x08\x03\0\x90\0\0\0\0\1\0\0\0\1\0", 16, "\0\0\x08\x01\0\x90\0\0", 8, FL_ERR_TRUNCATED,
         "labels: declares 9437184 examples, ends inside number 1"},
        {"\0\0\x08\x03\0\0\0\x01\xff\xff\xff\xff\xff\xff\xff\xff", 16, LABELS "\0\4", 10, FL_ERR_LIMIT,
         "images: dimension 2 is 4294967295"},
        {"\0\0\x08\x03\0\0\0\x02\0\0\0\0\0\0\0\3", 16, LABELS "\0\4", 10, FL_ERR_LIMIT, "dimension 2 is 0"},
        {"\0\0\x08\x02\0\0\0\0\0\0\0\3", 12, "\0\0\x08\x01\0\0\0\0", 8, FL_ERR_FORMAT, "holds no examples"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct fl_dataset data;
        struct fl_error err = {""};
        assert_status(read_idx(cases[i].images, cases[i].images_size, cases[i].labels, cases[i].labels_size,
                               &data, &err),
                      cases[i].status);
        if (!strstr(err.text, cases[i].says))
            fail_msg("case %zu says: %s", i, err.text);
    }
}

static void test_reading_survives_any_failed_allocation(void **state)
{
    static const struct {
        enum fl_data_format format;
        const char *text;
        enum pack pack;
    } cases[] = {{FL_DATA_CSV, "1,2,0\n3,4,1\n", GZIP},
                 {FL_DATA_CSV, "1,2,0\n3,4,1", XZ},
                 {FL_DATA_LIBSVM, "1 2:1\n2 1:1\n", PLAIN},
                 {FL_DATA_IDX, NULL, PLAIN}};
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int idx = cases[i].format == FL_DATA_IDX;
        const char *path = idx ? files_write("images", IMAGES "\1\2\3\4\5\6", 22, PLAIN)
                               : files_write("file", cases[i].text, strlen(cases[i].text), cases[i].pack);
        const char *labels = idx ? files_write("labels", LABELS "\0\1", 10, PLAIN) : NULL;
        struct fl_data_source source;
        long before = fl_live_allocations();
        fl_data_source_init(&source);
        source.format = cases[i].format;
        source.paths = &path;
        source.path_count = 1;
        source.label_paths = &labels;
        source.label_path_count = idx;
        for (size_t k = 0;; k++) {
            struct fl_dataset data = {0};
            fl_fail_alloc_after(k);
            enum fl_status st = fl_data_source_read(&source, &data, NULL);
            fl_fail_alloc_never();
            fl_dataset_done(&data);
            assert_int_equal(fl_live_allocations(), before);
            if (st == FL_OK)
                break;
            assert_status(st, FL_ERR_NOMEM);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_csv_reads_numbers_and_labels),
        cmocka_unit_test(test_libsvm_reads_sparse_rows_and_maps_labels),
        cmocka_unit_test(test_text_files_say_what_is_wrong_and_where),
        cmocka_unit_test(test_binary_text_is_refused),
        cmocka_unit_test(test_expected_features_and_classes_are_held),
        cmocka_unit_test(test_packed_files_read_like_plain_ones_in_any_parts),
        cmocka_unit_test(test_damaged_packed_files_are_refused),
        cmocka_unit_test(test_decompression_bombs_are_capped),
        cmocka_unit_test(test_idx_reads_images_and_labels),
        cmocka_unit_test(test_idx_that_lies_is_refused),
        cmocka_unit_test(test_reading_survives_any_failed_allocation),
    };
    return cmocka_run_group_tests(tests, files_setup, files_teardown);
}
