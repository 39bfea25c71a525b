#include "codec/low_rank.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/random.h"

#define DEPENDENT  1e-6 /* share of a column that must be left after the others are taken out */
#define ITERATIONS 3    /* power iterations for an added column */

enum fl_status fl_low_rank_init(struct fl_low_rank *low_rank, size_t rows, size_t columns)
{
    size_t longer = rows > columns ? rows : columns;
    if (rows == 0 || columns == 0 || columns > SIZE_MAX / rows / sizeof(double))
        return FL_ERR_SHAPE;
    double *work = malloc(longer * sizeof *work);
    if (!work)
        return FL_ERR_NOMEM;
    *low_rank = (struct fl_low_rank){.rows = rows, .columns = columns, .work = work};
    return FL_OK;
}

void fl_low_rank_done(struct fl_low_rank *low_rank)
{
    free(low_rank->left);
    free(low_rank->right);
    free(low_rank->work);
    *low_rank = (struct fl_low_rank){0};
}

/* Room for rank vectors in both factors; what is there stays. */
static enum fl_status reserve(struct fl_low_rank *low_rank, size_t rank)
{
    if (rank <= low_rank->room)
        return FL_OK;
    size_t room = rank > 2 * low_rank->room ? rank : 2 * low_rank->room;
    float *left = realloc(low_rank->left, room * low_rank->rows * sizeof *left);
    if (!left)
        return FL_ERR_NOMEM;
    low_rank->left = left;
    float *right = realloc(low_rank->right, room * low_rank->columns * sizeof *right);
    if (!right)
        return FL_ERR_NOMEM;
    low_rank->right = right;
    low_rank->room = room;
    return FL_OK;
}

static float *left_of(const struct fl_low_rank *low_rank, size_t j)
{
    return low_rank->left + j * low_rank->rows;
}

static float *right_of(const struct fl_low_rank *low_rank, size_t j)
{
    return low_rank->right + j * low_rank->columns;
}

/* About normal: twelve uniform numbers minus 6, exact in float64. */
static double draw_direction(struct fl_random *random)
{
    double sum = -6;
    for (int i = 0; i < 12; i++)
        sum += (double)fl_random_float(random);
    return sum;
}

static double squares(const double *x, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += x[i] * x[i];
    return sum;
}

static double squares_of(const float *x, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += (double)x[i] * (double)x[i];
    return sum;
}

/* ret = x / scale in float32. */
static void store_scaled(const double *x, size_t n, double scale, float *ret)
{
    for (size_t i = 0; i < n; i++)
        ret[i] = (float)(x[i] / scale);
}

static enum fl_status check_matrix(const struct fl_low_rank *low_rank, const struct fl_kernels *kernels,
                                   const float *matrix)
{
    size_t n = low_rank->rows * low_rank->columns;
    if (!kernels->all_finite(matrix, n))
        return FL_ERR_NOT_FINITE;
    return sqrt(kernels->sum_squares(matrix, n)) < 0.999 * (double)FLT_MAX ? FL_OK : FL_ERR_RANGE;
}

enum fl_status fl_low_rank_start(struct fl_low_rank *low_rank, size_t rank, uint64_t seed)
{
    size_t shorter = low_rank->rows < low_rank->columns ? low_rank->rows : low_rank->columns;
    struct fl_random random;
    if (rank == 0)
        return FL_ERR_RANGE;
    rank = rank < shorter ? rank : shorter;
    enum fl_status st = reserve(low_rank, rank);
    if (st)
        return st;
    low_rank->rank = rank;
    fl_random_init(&random, seed, 0);
    for (size_t i = 0; i < rank * low_rank->columns; i++)
        low_rank->right[i] = (float)draw_direction(&random);
    return FL_OK;
}

/* ret = matrix x, a sum for each row. */
static void multiply(const float *matrix, size_t rows, size_t columns, const float *x, double *ret)
{
    for (size_t i = 0; i < rows; i++) {
        double sum = 0;
        for (size_t k = 0; k < columns; k++)
            sum += (double)matrix[i * columns + k] * (double)x[k];
        ret[i] = sum;
    }
}

/* ret = matrix^T x, added up row by row. */
static void multiply_transposed(const float *matrix, size_t rows, size_t columns, const float *x, double *ret)
{
    for (size_t k = 0; k < columns; k++)
        ret[k] = 0;
    for (size_t i = 0; i < rows; i++) {
        for (size_t k = 0; k < columns; k++)
            ret[k] += (double)matrix[i * columns + k] * (double)x[i];
    }
}

static double length_or_one(double square)
{
    return square > 0 ? sqrt(square) : 1;
}

enum fl_status fl_low_rank_left(struct fl_low_rank *low_rank, const struct fl_kernels *kernels,
                                const float *matrix)
{
    enum fl_status st = check_matrix(low_rank, kernels, matrix);
    if (st)
        return st;
    if (!kernels->all_finite(low_rank->right, low_rank->rank * low_rank->columns))
        return FL_ERR_NOT_FINITE;
    for (size_t j = 0; j < low_rank->rank; j++) {
        multiply(matrix, low_rank->rows, low_rank->columns, right_of(low_rank, j), low_rank->work);
        store_scaled(low_rank->work, low_rank->rows,
                     length_or_one(squares_of(right_of(low_rank, j), low_rank->columns)),
                     left_of(low_rank, j));
    }
    return FL_OK;
}

/* Takes the first count columns of left out of work, twice; returns the squared length that is left. */
static double take_out(struct fl_low_rank *low_rank, size_t count)
{
    for (size_t pass = 0; pass < 2; pass++) {
        for (size_t j = 0; j < count; j++) {
            const float *column = left_of(low_rank, j);
            double product = 0;
            for (size_t i = 0; i < low_rank->rows; i++)
                product += low_rank->work[i] * (double)column[i];
            for (size_t i = 0; i < low_rank->rows; i++)
                low_rank->work[i] -= product * (double)column[i];
        }
    }
    return squares(low_rank->work, low_rank->rows);
}

enum fl_status fl_low_rank_orthonormalise(struct fl_low_rank *low_rank, uint64_t seed)
{
    struct fl_random random;
    for (size_t i = 0; i < low_rank->rank * low_rank->rows; i++) {
        if (!isfinite(low_rank->left[i]))
            return FL_ERR_NOT_FINITE;
    }
    fl_random_init(&random, seed, 1);
    for (size_t j = 0; j < low_rank->rank; j++) {
        float *column = left_of(low_rank, j);
        double before = squares_of(column, low_rank->rows), after;
        for (size_t i = 0; i < low_rank->rows; i++)
            low_rank->work[i] = (double)column[i];
        after = take_out(low_rank, j);
        while (!(after > DEPENDENT * DEPENDENT * before)) {
            for (size_t i = 0; i < low_rank->rows; i++)
                low_rank->work[i] = draw_direction(&random);
            before = squares(low_rank->work, low_rank->rows);
            after = take_out(low_rank, j);
        }
        store_scaled(low_rank->work, low_rank->rows, sqrt(after), column);
    }
    return FL_OK;
}

enum fl_status fl_low_rank_right(struct fl_low_rank *low_rank, const struct fl_kernels *kernels,
                                 const float *matrix)
{
    enum fl_status st = check_matrix(low_rank, kernels, matrix);
    for (size_t j = 0; j < low_rank->rank && !st; j++) {
        multiply_transposed(matrix, low_rank->rows, low_rank->columns, left_of(low_rank, j), low_rank->work);
        store_scaled(low_rank->work, low_rank->columns, 1, right_of(low_rank, j));
    }
    return st;
}

void fl_low_rank_expand(const struct fl_low_rank *low_rank, float *ret_matrix)
{
    for (size_t i = 0; i < low_rank->rows; i++) {
        double *sums = low_rank->work;
        memset(sums, 0, low_rank->columns * sizeof *sums);
        for (size_t j = 0; j < low_rank->rank; j++) {
            const float *right = right_of(low_rank, j);
            double left = (double)left_of(low_rank, j)[i];
            for (size_t k = 0; k < low_rank->columns; k++)
                sums[k] += left * (double)right[k];
        }
        store_scaled(sums, low_rank->columns, 1, ret_matrix + i * low_rank->columns);
    }
}

double fl_low_rank_kappa2(size_t rows, size_t columns, double tau)
{
    return (double)(rows < columns ? rows : columns) * tau * tau;
}

/* The search for factors: what they decode to so far, and what of the matrix is left. */
struct search {
    const float *matrix;
    double *decoded;  /* shape (rows, columns) */
    float *remainder; /* shape (rows, columns), for finding directions */
    double left_out;  /* squared norm of the matrix minus what is decoded, as float32 */
    size_t most;      /* largest rank: cheaper than dense, and not above rank_max */
    struct fl_random random;
};

/* Takes vector j of both factors into what is decoded; with j = SIZE_MAX nothing. */
static void decode_column(const struct fl_low_rank *low_rank, size_t j, struct search *search)
{
    double left_out = 0;
    for (size_t i = 0; i < low_rank->rows; i++) {
        size_t start = i * low_rank->columns;
        for (size_t k = 0; k < low_rank->columns; k++) {
            if (j != SIZE_MAX)
                search->decoded[start + k] +=
                    (double)left_of(low_rank, j)[i] * (double)right_of(low_rank, j)[k];
            double rest = (double)search->matrix[start + k] - (double)(float)search->decoded[start + k];
            search->remainder[start + k] = (float)rest;
            left_out += rest * rest;
        }
    }
    search->left_out = left_out;
}

/* P = orth(M B), B = M^T P from the columns of warm, without those shorter than tau. */
static enum fl_status begin_warm(struct fl_low_rank *low_rank, const struct fl_low_rank *warm,
                                 const struct fl_kernels *kernels, struct search *search, double tau,
                                 uint64_t seed)
{
    size_t rank = warm->rank < search->most ? warm->rank : search->most, kept = 0;
    enum fl_status st = rank ? fl_low_rank_start(low_rank, rank, seed) : FL_OK;
    if (st || !rank)
        return st;
    memcpy(low_rank->right, warm->right, rank * warm->columns * sizeof *warm->right);
    if ((st = fl_low_rank_left(low_rank, kernels, search->matrix)) ||
        (st = fl_low_rank_orthonormalise(low_rank, seed)) ||
        (st = fl_low_rank_right(low_rank, kernels, search->matrix)))
        return st;
    for (size_t j = 0; j < rank; j++) {
        if (sqrt(squares_of(right_of(low_rank, j), low_rank->columns)) < tau)
            continue;
        memmove(left_of(low_rank, kept), left_of(low_rank, j), low_rank->rows * sizeof *low_rank->left);
        memmove(right_of(low_rank, kept), right_of(low_rank, j), low_rank->columns * sizeof *low_rank->right);
        decode_column(low_rank, kept++, search);
    }
    low_rank->rank = kept;
    return FL_OK;
}

/* Vector number rank of both factors, from the remainder; returns the squared length of the right one. */
static double find_column(struct fl_low_rank *low_rank, struct search *search)
{
    float *left = left_of(low_rank, low_rank->rank), *right = right_of(low_rank, low_rank->rank);
    size_t rows = low_rank->rows, columns = low_rank->columns;
    for (size_t k = 0; k < columns; k++)
        right[k] = (float)draw_direction(&search->random);
    for (int i = 1; i <= ITERATIONS; i++) {
        multiply(search->remainder, rows, columns, right, low_rank->work);
        store_scaled(low_rank->work, rows, length_or_one(squares(low_rank->work, rows)), left);
        multiply_transposed(search->remainder, rows, columns, left, low_rank->work);
        store_scaled(low_rank->work, columns,
                     i < ITERATIONS ? length_or_one(squares(low_rank->work, columns)) : 1, right);
    }
    return squares_of(right, columns);
}

/* Adds columns until none as long as tau is found and the bound holds; *ret_dense = 1 when that is not
 * cheaper. */
static enum fl_status extend(struct fl_low_rank *low_rank, struct search *search, double tau, int *ret_dense)
{
    double kappa2 = fl_low_rank_kappa2(low_rank->rows, low_rank->columns, tau), tau2 = tau * tau;
    *ret_dense = 0;
    while (!(search->left_out == 0 || search->left_out < tau2)) {
        int holds = search->left_out <= kappa2;
        double room = (double)(search->most - low_rank->rank);
        if (room == 0 && holds)
            break;
        enum fl_status st = reserve(low_rank, low_rank->rank + 1);
        if (st)
            return st;
        double gain = find_column(low_rank, search);
        if (holds && gain < tau2)
            break;
        /* a remainder that all columns with room, each four times as large as this, would not bring down */
        if (!holds && !(search->left_out - kappa2 < 4 * gain * room)) {
            *ret_dense = 1;
            break;
        }
        decode_column(low_rank, low_rank->rank++, search);
    }
    return FL_OK;
}

enum fl_status fl_low_rank_threshold(struct fl_low_rank *low_rank, const struct fl_kernels *kernels,
                                     const float *matrix, double tau, size_t rank_max, uint64_t seed,
                                     int *ret_dense)
{
    size_t rows = low_rank->rows, columns = low_rank->columns, n = rows * columns;
    struct fl_low_rank next = {0};
    struct search search = {.matrix = matrix, .most = (size_t)(((double)n - 1) / (double)(rows + columns))};
    int dense = 1;
    search.most = search.most < rank_max ? search.most : rank_max;
    if (!(tau > 0) || !isfinite(tau))
        return FL_ERR_RANGE;
    enum fl_status st = check_matrix(low_rank, kernels, matrix);
    if (st == FL_ERR_NOT_FINITE)
        return st;
    if (st == FL_ERR_RANGE) { /* no factors in float32 */
        *ret_dense = 1;
        return FL_OK;
    }
    st = FL_ERR_NOMEM;
    search.decoded = calloc(n, sizeof *search.decoded);
    search.remainder = malloc(n * sizeof *search.remainder);
    if (!search.decoded || !search.remainder)
        goto out;
    fl_random_init(&search.random, seed, 2);
    decode_column(low_rank, SIZE_MAX, &search);
    if ((st = fl_low_rank_init(&next, rows, columns)) ||
        (st = begin_warm(&next, low_rank, kernels, &search, tau, seed)) ||
        (st = extend(&next, &search, tau, &dense)))
        goto out;
    *ret_dense = dense;
    if (!dense) {
        struct fl_low_rank before = *low_rank;
        *low_rank = next;
        next = before;
    }
out:
    fl_low_rank_done(&next);
    free(search.decoded);
    free(search.remainder);
    return st;
}
