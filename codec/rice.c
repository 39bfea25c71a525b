#include "codec/rice.h"

/* 0, -1, 1, -2, ... to 0, 1, 2, 3, ...: a change of parameter, written in unary. */
static unsigned zigzag(int change)
{
    return change < 0 ? (unsigned)(-2 * change - 1) : (unsigned)(2 * change);
}

static unsigned parameter_bits(unsigned before, unsigned parameter)
{
    return before == FL_RICE_NO_PARAMETER ? 5 : zigzag((int)parameter - (int)before) + 1;
}

static unsigned largest_parameter(const struct fl_rice_stream *stream)
{
    return stream->plain_width < FL_RICE_PLAIN ? stream->plain_width - 1 : FL_RICE_PLAIN - 1;
}

/* Near the best Rice parameter lies log2 of the mean; numbers that cluster want a smaller one. */
static unsigned first_guess(uint64_t sum, size_t count)
{
    uint64_t mean = sum / count;
    return mean ? 63 - (unsigned)__builtin_clzll(mean) : 0;
}

unsigned fl_rice_choose(const struct fl_rice_stream *stream, const uint32_t *numbers, size_t count,
                        uint64_t *ret_bits)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += numbers[i];
    unsigned best = FL_RICE_PLAIN, largest = largest_parameter(stream), guess = first_guess(sum, count);
    uint64_t best_bits =
        (uint64_t)count * stream->plain_width + parameter_bits(stream->parameter, FL_RICE_PLAIN);
    for (unsigned k = guess < 3 ? 0 : guess - 3; k <= guess + 1 && k <= largest; k++) {
        uint64_t bits = (uint64_t)count * (k + 1) + parameter_bits(stream->parameter, k);
        for (size_t i = 0; i < count; i++)
            bits += numbers[i] >> k;
        if (bits < best_bits) {
            best = k;
            best_bits = bits;
        }
    }
    *ret_bits = best_bits;
    return best;
}

void fl_rice_write(struct fl_rice_stream *stream, unsigned parameter, const uint32_t *numbers, size_t count,
                   struct fl_bit_writer *writer)
{
    if (stream->parameter == FL_RICE_NO_PARAMETER)
        fl_bits_put(writer, parameter, 5);
    else
        fl_bits_put_unary(writer, zigzag((int)parameter - (int)stream->parameter));
    stream->parameter = parameter;
    if (parameter == FL_RICE_PLAIN) {
        for (size_t i = 0; i < count; i++)
            fl_bits_put(writer, numbers[i], stream->plain_width);
        return;
    }
    uint32_t mask = (UINT32_C(1) << parameter) - 1;
    if (parameter) {
        for (size_t i = 0; i < count; i++)
            fl_bits_put(writer, numbers[i] & mask, parameter);
    }
    for (size_t i = 0; i < count; i++)
        fl_bits_put_unary(writer, numbers[i] >> parameter);
}

static enum fl_status read_parameter(struct fl_rice_stream *stream, struct fl_bit_reader *reader)
{
    int parameter;
    if (stream->parameter == FL_RICE_NO_PARAMETER) {
        parameter = (int)fl_bits_get(reader, &reader->pos, 5);
    } else {
        uint64_t folded = fl_bits_get_unary(reader, &reader->pos, 64);
        if (folded > 64)
            return FL_ERR_FORMAT;
        int change = folded & 1 ? -(int)((folded + 1) / 2) : (int)(folded / 2);
        parameter = (int)stream->parameter + change;
    }
    if (parameter < 0 || ((unsigned)parameter > largest_parameter(stream) && parameter != FL_RICE_PLAIN))
        return FL_ERR_FORMAT;
    stream->parameter = (unsigned)parameter;
    return FL_OK;
}

enum fl_status fl_rice_read(struct fl_rice_stream *stream, struct fl_bit_reader *reader, size_t count,
                            uint32_t *ret_numbers)
{
    enum fl_status st = read_parameter(stream, reader);
    if (st)
        return st;
    uint64_t over = 0, pos = reader->pos;
    if (stream->parameter == FL_RICE_PLAIN) {
        for (size_t i = 0; i < count; i++) {
            ret_numbers[i] = fl_bits_get(reader, &pos, stream->plain_width);
            over |= ret_numbers[i] > stream->most;
        }
    } else {
        unsigned k = stream->parameter;
        uint64_t quotient_pos = pos + (uint64_t)count * k, most = stream->most >> k;
        for (size_t i = 0; i < count; i++) {
            uint64_t quotient = fl_bits_get_unary(reader, &quotient_pos, most);
            uint64_t number = (quotient << k) + fl_bits_get(reader, &pos, k);
            over |= quotient > most || number > stream->most;
            if (over)
                break;
            ret_numbers[i] = (uint32_t)number;
        }
        pos = quotient_pos;
    }
    if (pos > (uint64_t)reader->size * 8)
        return FL_ERR_TRUNCATED;
    if (over)
        return FL_ERR_RANGE;
    reader->pos = pos;
    return FL_OK;
}
