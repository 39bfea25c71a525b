#include "base/random.h"

#include <math.h>

#include "base/philox.h"

void fl_philox(const uint32_t counter[4], const uint32_t key[2], uint32_t ret_block[4])
{
    fl_philox_block(counter, key, ret_block);
}

void fl_random_init(struct fl_random *random, uint64_t seed, uint64_t stream)
{
    *random = (struct fl_random){.key = seed, .stream = stream, .used = 4};
}

uint32_t fl_random_u32(struct fl_random *random)
{
    if (random->used == 4) {
        uint32_t counter[4] = {(uint32_t)random->counter, (uint32_t)(random->counter >> 32),
                               (uint32_t)random->stream, (uint32_t)(random->stream >> 32)};
        uint32_t key[2] = {(uint32_t)random->key, (uint32_t)(random->key >> 32)};
        fl_philox(counter, key, random->block);
        random->counter++;
        random->used = 0;
    }
    return random->block[random->used++];
}

uint64_t fl_random_u64(struct fl_random *random)
{
    uint64_t low = fl_random_u32(random);
    return low | (uint64_t)fl_random_u32(random) << 32;
}

uint64_t fl_random_below(struct fl_random *random, uint64_t bound)
{
    if (bound == 0)
        return 0;
    uint64_t threshold = (0 - bound) % bound; /* 2^64 mod bound: draws below it would favour small results */
    uint64_t draw;
    do {
        draw = fl_random_u64(random);
    } while (draw < threshold);
    return draw % bound;
}

float fl_random_float(struct fl_random *random)
{
    return (float)(fl_random_u32(random) >> 8) * 0x1p-24f;
}

double fl_random_double(struct fl_random *random)
{
    return ((double)(fl_random_u64(random) >> 12) + 0.5) * 0x1p-52;
}

double fl_random_normal(struct fl_random *random)
{
    double radius = sqrt(-2.0 * log(fl_random_double(random)));
    return radius * cos(6.283185307179586 * fl_random_double(random));
}

double fl_random_log_gamma(struct fl_random *random, double shape)
{
    double boost = 0.0;
    if (shape < 1.0) { /* Gamma(a) = Gamma(a + 1) U^(1/a) */
        boost = log(fl_random_double(random)) / shape;
        shape += 1.0;
    }
    double d = shape - 1.0 / 3.0, c = 1.0 / sqrt(9.0 * d);
    for (;;) {
        double x = fl_random_normal(random), t = 1.0 + c * x;
        if (t <= 0.0)
            continue;
        double v = t * t * t;
        if (log(fl_random_double(random)) < 0.5 * x * x + d - d * v + d * log(v))
            return log(d * v) + boost;
    }
}

void fl_random_shuffle(struct fl_random *random, uint32_t *indices, size_t count)
{
    for (size_t i = count; i > 1; i--) {
        size_t j = (size_t)fl_random_below(random, i);
        uint32_t swap = indices[i - 1];
        indices[i - 1] = indices[j];
        indices[j] = swap;
    }
}

uint64_t fl_mix64(uint64_t a, uint64_t b)
{
    uint64_t z = a + 0x9E3779B97F4A7C15u * (b + 1);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}
