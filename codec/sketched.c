#include "codec/sketched.h"

#include <math.h>
#include <string.h>

#include "codec/bits.h"
#include "codec/floats.h"
#include "codec/layout.h"
#include "codec/seeded_support.h"
#include "codec/sketch.h"
#include "codec/varint.h"

/* The table as it lies in a payload. */
struct table {
    size_t dim, columns;
    unsigned rows, block, bits;
    uint64_t seed;
    struct fl_sketch_hash hash;
    struct fl_bit_reader counters;
};

/* What follows it: which coordinates it gives. */
struct found {
    size_t count;      /* coordinates in all */
    size_t heavy;      /* of them, by their estimates; the others from the seed */
    size_t ties;       /* of the heavy ones, how many have the least magnitude: the first */
    unsigned least;    /* magnitude, in units */
    const uint8_t *at; /* the values */
};

/* The table that is agreed. */
static struct table table_of(const struct fl_codec_params *params, size_t dim)
{
    struct table table = {.dim = dim,
                          .rows = 2 * params->rank + 1,
                          .block = params->id == FL_CODEC_SKETCH_BLOCK ? FL_SKETCH_BLOCK_MAX : 1,
                          .bits = params->bits};
    size_t wanted = fl_codec_top_count(params->ratio, dim), most = dim / table.rows / FL_SKETCHED_COLUMNS;
    table.columns = FL_SKETCHED_COLUMNS * (wanted < most ? wanted : most) / table.block * table.block;
    if (!table.columns)
        table.columns = table.block;
    return table;
}

static size_t counter_bytes(const struct table *table)
{
    return (table->rows * table->columns * table->bits + 7) / 8;
}

static int counter(const struct table *table, size_t i)
{
    uint64_t pos = (uint64_t)i * table->bits;
    int half = 1 << (table->bits - 1);
    return ((int)fl_bits_get(&table->counters, &pos, table->bits) ^ half) - half;
}

/* --- estimates --- */

/* A block of coordinates, on the way from the first to the last. */
struct block {
    uint64_t number;
    uint64_t spots[FL_SKETCH_ROWS_MAX]; /* of the block that comes next */
    int8_t counters[FL_SKETCH_ROWS_MAX][FL_SKETCH_BLOCK_MAX];
    uint8_t large[FL_SKETCH_BLOCK_MAX]; /* rows where a lane's counter reaches the least magnitude */
    uint64_t signs[FL_SKETCH_ROWS_MAX];
    uint64_t has_signs; /* a bit a row: few are needed */
};

/* Before the first one. */
static void begin_blocks(const struct table *table, struct block *ret_block)
{
    ret_block->number = UINT64_MAX;
    for (unsigned row = 0; row < table->rows; row++)
        ret_block->spots[row] = fl_sketch_spot(&table->hash, row, 0);
}

/* Goes on to the next. Most have no lane with enough large counters: rows end where that is sure. */
static void next_block(const struct table *table, unsigned least, struct block *block)
{
    unsigned most = 0, half = table->rows / 2;
    block->number++;
    block->has_signs = 0;
    memset(block->large, 0, sizeof block->large);
    for (unsigned row = 0; row < table->rows; row++) {
        size_t at = row * table->columns + fl_sketch_column(&table->hash, block->spots[row]);
        block->spots[row] = fl_sketch_spot_next(&table->hash, row, block->spots[row]);
        if (most + (table->rows - row) <= half)
            continue;
        most = 0;
        for (unsigned lane = 0; lane < table->block; lane++) {
            int value = counter(table, at + lane);
            block->counters[row][lane] = (int8_t)value;
            block->large[lane] += (unsigned)(value < 0 ? -value : value) >= least;
            most = block->large[lane] > most ? block->large[lane] : most;
        }
    }
}

static int is_negative(const struct table *table, struct block *block, unsigned row, size_t lane)
{
    if (!(block->has_signs >> row & 1))
        block->signs[row] = fl_sketch_signs(&table->hash, row, block->number);
    block->has_signs |= UINT64_C(1) << row;
    return block->signs[row] >> lane & 1;
}

/* Number nth of count magnitudes, from the largest down; they are put in order. */
static unsigned largest(unsigned *sizes, unsigned count, unsigned nth)
{
    for (unsigned i = 1; i < count; i++) {
        unsigned size = sizes[i], j = i;
        for (; j > 0 && sizes[j - 1] < size; j--)
            sizes[j] = sizes[j - 1];
        sizes[j] = size;
    }
    return sizes[nth];
}

/*
 * Magnitude of the estimate of coordinate lane of the block, in units, or 0 where it is below the least, for
 * which the block was entered. The estimate is the median over the rows, so it has that magnitude only if
 * more than half of the rows say so with one sign; then it is the middle one of the rows from the end of that
 * sign.
 */
static unsigned magnitude(const struct table *table, struct block *block, size_t lane, unsigned least)
{
    unsigned sizes[2][FL_SKETCH_ROWS_MAX], counts[2] = {0, 0}, half = table->rows / 2;
    unsigned left = block->large[lane];
    for (unsigned row = 0; row < table->rows && left; row++) {
        unsigned most = counts[0] > counts[1] ? counts[0] : counts[1];
        if (most + left <= half)
            return 0;
        int value = block->counters[row][lane];
        unsigned size = (unsigned)(value < 0 ? -value : value);
        if (size < least)
            continue;
        int side = (value < 0) != is_negative(table, block, row, lane);
        sizes[side][counts[side]++] = size;
        left--;
    }
    for (int side = 0; side < 2; side++)
        if (counts[side] > half)
            return largest(sizes[side], counts[side], half);
    return 0;
}

/* --- coordinates --- */

/* The coordinates that a table gives, in increasing order. */
struct search {
    const struct table *table;
    struct found found; /* ties go down as they are found */
    size_t heavy;       /* found so far */
    uint64_t at;        /* next coordinate to look at */
    struct block block;
    struct fl_support support; /* the others, by their ranks among those that are not heavy */
    uint32_t ranks[FL_SUPPORT_GROUP];
    size_t rank, ranks_at, ranks_size;
};

static enum fl_status search_begin(struct search *search, const struct table *table,
                                   const struct found *found)
{
    *search = (struct search){.table = table, .found = *found};
    begin_blocks(table, &search->block);
    if (found->count == found->heavy)
        return FL_OK;
    return fl_support_random(table->dim - found->heavy, found->count - found->heavy, ~table->seed,
                             &search->support);
}

static int is_heavy(struct search *search, size_t lane)
{
    if (!search->found.least)
        return 0;
    unsigned size = magnitude(search->table, &search->block, lane, search->found.least);
    if (!size || (size == search->found.least && !search->found.ties))
        return 0;
    search->found.ties -= size == search->found.least;
    search->heavy++;
    return 1;
}

static int is_other(struct search *search)
{
    if (search->found.count == search->found.heavy)
        return 0;
    if (search->ranks_at == search->ranks_size) {
        search->ranks_size = fl_support_next(&search->support, search->ranks);
        search->ranks_at = 0;
    }
    int is = search->ranks_size && search->ranks[search->ranks_at] == search->rank;
    search->ranks_at += (size_t)is;
    search->rank++;
    return is;
}

/* The next coordinates below end, at most a group of them; returns how many. */
static size_t search_next(struct search *search, uint64_t end, uint32_t *ret_indices)
{
    unsigned block = search->table->block;
    size_t size = 0;
    for (; search->at < end && size < FL_RICE_BLOCK; search->at++) {
        size_t lane = search->at % block;
        if (!lane)
            next_block(search->table, search->found.least, &search->block);
        if (is_heavy(search, lane) || is_other(search))
            ret_indices[size++] = (uint32_t)search->at;
    }
    return size;
}

/* --- writing --- */

static enum fl_status put_head(const struct table *table, struct fl_buf *out)
{
    uint8_t first = FL_PAYLOAD_SKETCHED | FL_LAYOUT_VERSION << 4, seed[8];
    uint8_t shape[3] = {(uint8_t)table->rows, (uint8_t)table->block, (uint8_t)table->bits};
    fl_store_le64(seed, table->seed);
    enum fl_status st = fl_buf_append(out, &first, 1);
    if (!st)
        st = fl_varint_put(out, table->dim);
    if (!st)
        st = fl_buf_append(out, shape, sizeof shape);
    if (!st)
        st = fl_varint_put(out, table->columns);
    return st ? st : fl_buf_append(out, seed, sizeof seed);
}

/* Counters of p, each no larger than its bits can say. table gets to know them. */
static enum fl_status put_counters(const struct fl_sketch *sketch, struct table *table, struct fl_buf *out)
{
    size_t bytes = counter_bytes(table), count = table->rows * table->columns;
    int64_t most = (INT64_C(1) << (table->bits - 1)) - 1;
    uint8_t *at;
    enum fl_status st = fl_buf_extend(out, bytes + FL_BITS_SLACK, &at);
    if (st)
        return st;
    struct fl_bit_writer writer = {.at = at};
    for (size_t i = 0; i < count; i++) {
        int64_t cell = sketch->cells[i];
        cell = cell > most ? most : cell < -most ? -most : cell;
        fl_bits_put(&writer, (uint64_t)cell & (2 * (uint64_t)most + 1), table->bits);
    }
    fl_buf_truncate(out, out->size - FL_BITS_SLACK);
    return FL_OK;
}

/* The largest estimates: how many reach each magnitude says where the least lies. */
static struct found choose(const struct table *table, size_t count)
{
    size_t reach[128] = {0};
    struct block block;
    struct found found = {.count = count};
    begin_blocks(table, &block);
    for (uint64_t i = 0; i < table->dim; i++) {
        if (i % table->block == 0)
            next_block(table, 1, &block);
        reach[magnitude(table, &block, i % table->block, 1)]++;
    }
    for (unsigned size = 127; size > 0 && found.heavy < count; size--) {
        size_t room = count - found.heavy;
        if (!reach[size])
            continue;
        found.least = size;
        found.ties = reach[size] < room ? reach[size] : room;
        found.heavy += found.ties;
    }
    return found;
}

static enum fl_status put_found(const struct found *found, struct fl_buf *out)
{
    uint8_t least = (uint8_t)found->least;
    enum fl_status st = fl_varint_put(out, found->count);
    if (!st)
        st = fl_varint_put(out, found->heavy);
    if (!st)
        st = fl_varint_put(out, found->ties);
    return st ? st : fl_buf_append(out, &least, 1);
}

static enum fl_status put_values(const struct table *table, const struct found *found, const float *p,
                                 struct fl_buf *out)
{
    struct search search;
    uint32_t indices[FL_RICE_BLOCK];
    size_t size;
    enum fl_status st = search_begin(&search, table, found);
    while (!st && (size = search_next(&search, table->dim, indices)) > 0) {
        uint8_t bytes[4 * FL_RICE_BLOCK];
        for (size_t i = 0; i < size; i++)
            fl_store_le32(bytes + 4 * i, fl_float_bits(p[indices[i]]));
        st = fl_buf_append(out, bytes, 4 * size);
    }
    return st;
}

/* HEAVYMIX's threshold ||p|| / sqrt(k), rounded down to a power of two. */
static int unit_of(const struct fl_kernels *kernels, const float *p, size_t dim, size_t count)
{
    double threshold = sqrt(kernels->sum_squares(p, dim) / (double)count);
    int exponent = threshold > 0 ? ilogb(threshold) : -149;
    return exponent < -149 ? -149 : exponent > 127 ? 127 : exponent;
}

enum fl_status fl_sketched_encode(const struct fl_kernels *kernels, const struct fl_codec_params *params,
                                  const float *p, size_t dim, struct fl_buf *payload)
{
    struct table table = table_of(params, dim);
    size_t count = fl_codec_top_count(params->ratio, dim), counters_at = 0;
    struct fl_sketch_shape shape = {.dim = dim,
                                    .columns = table.columns,
                                    .rows = table.rows,
                                    .block = table.block,
                                    .unit_log2 = unit_of(kernels, p, dim, count),
                                    .seed = params->seed};
    struct fl_sketch *sketch = NULL;
    enum fl_status st = fl_sketch_new(&shape, &sketch);
    table.seed = params->seed;
    if (!st)
        st = fl_sketch_insert(sketch, p, dim);
    if (!st)
        st = put_head(&table, payload);
    if (!st) {
        counters_at = payload->size;
        st = put_counters(sketch, &table, payload);
        table.hash = sketch->hash;
    }
    fl_sketch_free(sketch);
    if (st)
        return st;
    struct fl_buf rest;
    fl_buf_init(&rest, payload->limit);
    table.counters =
        (struct fl_bit_reader){.data = payload->data + counters_at, .size = counter_bytes(&table)};
    struct found found = choose(&table, count);
    st = put_found(&found, &rest);
    if (!st)
        st = put_values(&table, &found, p, &rest);
    if (!st)
        st = fl_buf_append(payload, rest.data, rest.size);
    fl_buf_done(&rest);
    return st;
}

/* --- reading --- */

/* Table and what follows it, from behind d on; whether they are the agreed ones is not asked here. */
static enum fl_status get_sketched(struct fl_cursor *cursor, size_t dim, struct table *ret_table,
                                   struct found *ret_found)
{
    const uint8_t *shape, *seed, *counters, *least;
    uint64_t columns, count, heavy, ties;
    struct table table = {.dim = dim};
    enum fl_status st = fl_cursor_bytes(cursor, 3, &shape);
    if (!st)
        st = fl_cursor_varint(cursor, &columns);
    if (!st)
        st = fl_cursor_bytes(cursor, 8, &seed);
    if (st)
        return st;
    table.rows = shape[0], table.block = shape[1], table.bits = shape[2];
    table.columns = (size_t)columns;
    table.seed = fl_load_le64(seed);
    if (table.rows > FL_SKETCH_ROWS_MAX || table.rows % 2 == 0 || !table.block || !table.columns ||
        table.block > FL_SKETCH_BLOCK_MAX || table.columns % table.block || table.columns > UINT32_MAX ||
        table.bits < 2 || table.bits > 8)
        return FL_ERR_RANGE;
    table.counters.size = counter_bytes(&table);
    st = fl_cursor_bytes(cursor, table.counters.size, &counters);
    if (!st)
        st = fl_cursor_varint(cursor, &count);
    if (!st)
        st = fl_cursor_varint(cursor, &heavy);
    if (!st)
        st = fl_cursor_varint(cursor, &ties);
    if (!st)
        st = fl_cursor_bytes(cursor, 1, &least);
    if (st)
        return st;
    table.counters.data = counters;
    fl_sketch_hash_init(&table.hash, table.columns, table.block, table.rows, table.seed);
    *ret_table = table;
    *ret_found = (struct found){.count = (size_t)count,
                                .heavy = (size_t)heavy,
                                .ties = (size_t)ties,
                                .least = *least,
                                .at = cursor->bytes.data + cursor->at};
    return FL_OK;
}

/* No counter has the one value without an opposite, and nothing is behind the last. */
static enum fl_status check_counters(const struct table *table)
{
    size_t count = table->rows * table->columns;
    uint64_t pos = (uint64_t)count * table->bits, end = (uint64_t)table->counters.size * 8;
    for (size_t i = 0; i < count; i++) {
        if (counter(table, i) == -(1 << (table->bits - 1)))
            return FL_ERR_RANGE;
    }
    return pos == end || !fl_bits_get(&table->counters, &pos, (unsigned)(end - pos)) ? FL_OK : FL_ERR_FORMAT;
}

static enum fl_status check_found(const struct table *table, const struct found *found)
{
    if (found->heavy > found->count || found->ties > found->heavy ||
        (found->heavy == 0) != (found->ties == 0) || (found->heavy == 0) != (found->least == 0))
        return FL_ERR_RANGE;
    return found->least < 1u << (table->bits - 1) ? FL_OK : FL_ERR_RANGE;
}

enum fl_status fl_sketched_check_head(const struct fl_codec_params *params, struct fl_cursor *cursor,
                                      struct fl_payload *payload)
{
    struct table table, agreed = table_of(params, payload->dim);
    struct found found;
    payload->bodies_at = cursor->at;
    enum fl_status st = get_sketched(cursor, payload->dim, &table, &found);
    if (st)
        return st;
    if (table.rows != agreed.rows || table.block != agreed.block || table.bits != agreed.bits ||
        table.columns != agreed.columns || found.count != fl_codec_top_count(params->ratio, payload->dim))
        return FL_ERR_RANGE;
    payload->count = found.count;
    st = check_counters(&table);
    if (!st)
        st = check_found(&table, &found);
    if (st)
        return st;
    size_t left = fl_cursor_left(cursor);
    return left == 4 * found.count ? FL_OK : left < 4 * found.count ? FL_ERR_TRUNCATED : FL_ERR_FORMAT;
}

enum fl_status fl_sketched_walk(const struct fl_payload *payload, uint64_t end, fl_group_fn fn, void *user)
{
    struct fl_cursor cursor = {payload->bytes, payload->bodies_at};
    struct table table;
    struct found found;
    struct search search;
    struct fl_group group;
    size_t given = 0;
    enum fl_status st = get_sketched(&cursor, payload->dim, &table, &found);
    if (!st)
        st = search_begin(&search, &table, &found);
    while (!st && (group.size = search_next(&search, end, group.indices)) > 0) {
        if (group.size > found.count - given) /* more than are said to be heavy */
            return FL_ERR_FORMAT;
        for (size_t i = 0; i < group.size; i++)
            group.words[i] = fl_load_le32(found.at + 4 * given++);
        st = fn(user, &group);
    }
    if (st || end < payload->dim)
        return st;
    return search.heavy == found.heavy && !search.found.ties && given == found.count ? FL_OK : FL_ERR_FORMAT;
}
