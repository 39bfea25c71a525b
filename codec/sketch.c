#include "codec/sketch.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef unsigned __int128 wide;

/* The hash of one block in one row: its first column, and a sign for each of its elements as a bit. */
struct place {
    size_t column;
    uint64_t signs;
};

static struct place locate_block(const struct fl_sketch *sketch, unsigned row, uint64_t block)
{
    return (struct place){fl_sketch_column(&sketch->hash, fl_sketch_spot(&sketch->hash, row, block)),
                          fl_sketch_signs(&sketch->hash, row, block)};
}

void fl_sketch_locate(const struct fl_sketch *sketch, unsigned row, size_t i, size_t *ret_column,
                      int *ret_sign)
{
    size_t lane = i % sketch->shape.block;
    struct place place = locate_block(sketch, row, i / sketch->shape.block);
    *ret_column = place.column + lane;
    *ret_sign = (int)fl_sketch_signed(1, place.signs, lane);
}

static size_t cell_count(const struct fl_sketch *sketch)
{
    return sketch->shape.columns * sketch->shape.rows;
}

static enum fl_status check_shape(const struct fl_sketch_shape *shape)
{
    if (shape->dim == 0 || shape->dim > UINT32_MAX || shape->columns == 0 || shape->columns > UINT32_MAX)
        return FL_ERR_SHAPE;
    if (shape->rows % 2 == 0 || shape->rows > FL_SKETCH_ROWS_MAX)
        return FL_ERR_SHAPE;
    if (shape->block == 0 || shape->block > FL_SKETCH_BLOCK_MAX || (shape->block & (shape->block - 1)) ||
        shape->columns % shape->block)
        return FL_ERR_SHAPE;
    return shape->unit_log2 < -149 || shape->unit_log2 > 127 ? FL_ERR_RANGE : FL_OK;
}

enum fl_status fl_sketch_new(const struct fl_sketch_shape *shape, struct fl_sketch **ret_sketch)
{
    enum fl_status st = check_shape(shape);
    if (st)
        return st;
    struct fl_sketch *sketch = calloc(1, sizeof *sketch);
    if (!sketch)
        return FL_ERR_NOMEM;
    sketch->shape = *shape;
    sketch->cells = calloc(cell_count(sketch), sizeof *sketch->cells);
    if (!sketch->cells) {
        fl_sketch_free(sketch);
        return FL_ERR_NOMEM;
    }
    fl_sketch_hash_init(&sketch->hash, shape->columns, shape->block, shape->rows, shape->seed);
    *ret_sketch = sketch;
    return FL_OK;
}

void fl_sketch_free(struct fl_sketch *sketch)
{
    if (sketch)
        free(sketch->cells);
    free(sketch);
}

void fl_sketch_clear(struct fl_sketch *sketch)
{
    memset(sketch->cells, 0, cell_count(sketch) * sizeof *sketch->cells);
    sketch->load = 0;
}

void fl_sketch_clear_cells(struct fl_sketch *sketch, const uint32_t *indices, size_t count)
{
    for (unsigned row = 0; row < sketch->shape.rows; row++) {
        for (size_t i = 0; i < count; i++) {
            size_t column;
            int sign;
            fl_sketch_locate(sketch, row, indices[i], &column, &sign);
            sketch->cells[row * sketch->shape.columns + column] = 0;
        }
    }
    sketch->load = 0;
    for (size_t i = 0; i < cell_count(sketch); i++) {
        uint64_t size = (uint64_t)llabs(sketch->cells[i]);
        sketch->load = size > sketch->load ? size : sketch->load;
    }
}

static enum fl_status weigh(const struct fl_sketch *sketch, const float *x, double per_unit,
                            uint64_t *ret_load)
{
    uint64_t load = sketch->load;
    int in_range = 1;
    for (size_t i = 0; i < sketch->shape.dim; i++) {
        if (!isfinite(x[i]))
            return FL_ERR_NOT_FINITE;
        if (fabs((double)x[i] * per_unit) < FL_SKETCH_LEVEL_LIMIT && load <= FL_SKETCH_LOAD_MAX)
            load += (uint64_t)llabs(fl_sketch_level(x[i], per_unit));
        else
            in_range = 0; /* and look on for what is not finite */
    }
    *ret_load = load;
    return in_range && load <= FL_SKETCH_LOAD_MAX ? FL_OK : FL_ERR_RANGE;
}

enum fl_status fl_sketch_insert(struct fl_sketch *sketch, const float *x, size_t dim)
{
    uint64_t load;
    double per_unit = ldexp(1, -sketch->shape.unit_log2);
    if (dim != sketch->shape.dim)
        return FL_ERR_SHAPE;
    enum fl_status st = weigh(sketch, x, per_unit, &load);
    if (st)
        return st;
    sketch->load = load;
    size_t block = sketch->shape.block;
    for (size_t start = 0; start < dim; start += block) {
        size_t lanes = dim - start < block ? dim - start : block, quiet = 1;
        int64_t levels[FL_SKETCH_BLOCK_MAX];
        for (size_t lane = 0; lane < lanes; lane++) {
            levels[lane] = fl_sketch_level(x[start + lane], per_unit);
            quiet &= levels[lane] == 0;
        }
        for (unsigned row = 0; row < sketch->shape.rows && !quiet; row++) {
            struct place place = locate_block(sketch, row, start / block);
            int64_t *cells = sketch->cells + row * sketch->shape.columns + place.column;
            for (size_t lane = 0; lane < lanes; lane++)
                cells[lane] += fl_sketch_signed(levels[lane], place.signs, lane);
        }
    }
    return FL_OK;
}

static int same_shape(const struct fl_sketch_shape *a, const struct fl_sketch_shape *b)
{
    return a->dim == b->dim && a->columns == b->columns && a->rows == b->rows && a->block == b->block &&
           a->unit_log2 == b->unit_log2 && a->seed == b->seed;
}

enum fl_status fl_sketch_merge(struct fl_sketch *sketch, const struct fl_sketch *other)
{
    if (!same_shape(&sketch->shape, &other->shape))
        return FL_ERR_SHAPE;
    if (other->load > FL_SKETCH_LOAD_MAX - sketch->load)
        return FL_ERR_RANGE;
    for (size_t i = 0; i < cell_count(sketch); i++)
        sketch->cells[i] += other->cells[i];
    sketch->load += other->load;
    return FL_OK;
}

/* The nearest integer to value * mantissa * 2^exponent, half away from zero; mantissa < 2^53, value < 2^63.
 * FL_SKETCH_LOAD_MAX + 1 when it is above FL_SKETCH_LOAD_MAX. */
static uint64_t scaled(uint64_t value, uint64_t mantissa, int exponent)
{
    wide product = (wide)value * mantissa; /* below 2^116 */
    if (exponent < 0)
        product = exponent < -117 ? 0 : (product + ((wide)1 << (-exponent - 1))) >> -exponent;
    else if (product && (exponent > 62 || product > (wide)FL_SKETCH_LOAD_MAX >> exponent))
        return FL_SKETCH_LOAD_MAX + 1;
    else
        product <<= exponent & 63;
    return product > FL_SKETCH_LOAD_MAX ? FL_SKETCH_LOAD_MAX + 1 : (uint64_t)product;
}

enum fl_status fl_sketch_scale(struct fl_sketch *sketch, double factor)
{
    int exponent;
    if (!isfinite(factor))
        return FL_ERR_NOT_FINITE;
    uint64_t mantissa = (uint64_t)(frexp(fabs(factor), &exponent) * 0x1p53);
    exponent -= 53;
    /* Rounding is monotonic, so |cell| <= load stays true for the rounded ones. */
    uint64_t load = scaled(sketch->load, mantissa, exponent);
    if (load > FL_SKETCH_LOAD_MAX)
        return FL_ERR_RANGE;
    for (size_t i = 0; i < cell_count(sketch); i++) {
        int64_t cell = sketch->cells[i];
        int64_t size = (int64_t)scaled((uint64_t)llabs(cell), mantissa, exponent);
        sketch->cells[i] = (cell < 0) != (factor < 0) ? -size : size;
    }
    sketch->load = load;
    return FL_OK;
}

/* The middle one of an odd number of values: that with half of the others before it. No branch to mispredict.
 */
static int64_t median(const int64_t *values, size_t count)
{
    int64_t middle = 0;
    for (size_t i = 0; i < count; i++) {
        size_t before = 0;
        for (size_t j = 0; j < count; j++)
            before += (size_t)((values[j] < values[i]) | ((values[j] == values[i]) & (j < i)));
        middle = before == count / 2 ? values[i] : middle;
    }
    return middle;
}

double fl_sketch_estimate(const struct fl_sketch *sketch, size_t i)
{
    int64_t values[FL_SKETCH_ROWS_MAX];
    for (unsigned row = 0; row < sketch->shape.rows; row++) {
        size_t column;
        int sign;
        fl_sketch_locate(sketch, row, i, &column, &sign);
        values[row] = sign * sketch->cells[row * sketch->shape.columns + column];
    }
    return ldexp((double)median(values, sketch->shape.rows), sketch->shape.unit_log2);
}

void fl_sketch_estimates(const struct fl_sketch *sketch, float *ret_estimates)
{
    size_t block = sketch->shape.block, rows = sketch->shape.rows, dim = sketch->shape.dim;
    double unit = ldexp(1, sketch->shape.unit_log2);
    for (size_t start = 0; start < dim; start += block) {
        struct place places[FL_SKETCH_ROWS_MAX];
        for (unsigned row = 0; row < rows; row++)
            places[row] = locate_block(sketch, row, start / block);
        for (size_t lane = 0; lane < block && start + lane < dim; lane++) {
            int64_t values[FL_SKETCH_ROWS_MAX];
            for (size_t row = 0; row < rows; row++)
                values[row] =
                    fl_sketch_signed(sketch->cells[row * sketch->shape.columns + places[row].column + lane],
                                     places[row].signs, lane);
            ret_estimates[start + lane] = (float)((double)median(values, rows) * unit);
        }
    }
}

double fl_sketch_norm(const struct fl_sketch *sketch)
{
    double sums[FL_SKETCH_ROWS_MAX];
    size_t rows = sketch->shape.rows, columns = sketch->shape.columns;
    for (size_t row = 0; row < rows; row++) {
        double sum = 0;
        for (size_t i = 0; i < columns; i++) {
            double cell = (double)sketch->cells[row * columns + i];
            sum += cell * cell;
        }
        size_t j = row;
        for (; j > 0 && sums[j - 1] > sum; j--)
            sums[j] = sums[j - 1];
        sums[j] = sum;
    }
    return ldexp(sqrt(sums[rows / 2]), sketch->shape.unit_log2);
}
