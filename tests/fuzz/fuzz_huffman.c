/*
 * Hostile Huffman codes and streams: a code that is accepted has one form, decodes what it encodes, and is no
 * shorter than the code made from the counts. Input: symbols - 1, count (16 bits), lengths, stream.
 */
#include <string.h>

#include "codec/huffman.h"
#include "fuzz.h"

#define HEAD_BYTES 3

static void check_same_stream(const uint8_t *lengths, size_t symbols, const uint8_t *values, size_t count,
                              const struct fl_bit_reader *reader)
{
    struct fl_huffman_encoder encoder;
    uint8_t *again = calloc(1, count * 2 + FL_BITS_SLACK);
    struct fl_bit_writer writer = {.at = again};
    FUZZ_CHECK(again && fl_huffman_encoder_init(lengths, symbols, &encoder) == FL_OK);
    fl_huffman_write(&encoder, values, count, &writer);
    FUZZ_CHECK((uint64_t)(writer.at - again) * 8 + writer.fill == reader->pos);
    FUZZ_CHECK(memcmp(again, reader->data, (size_t)(reader->pos / 8)) == 0);
    if (reader->pos % 8)
        FUZZ_CHECK(
            ((again[reader->pos / 8] ^ reader->data[reader->pos / 8]) & ((1u << reader->pos % 8) - 1)) == 0);
    free(again);
}

static void check_best_code(const uint8_t *lengths, size_t symbols, const uint8_t *values, size_t count)
{
    static struct fl_huffman_decoder decoder;
    uint64_t counts[FL_HUFFMAN_SYMBOLS_MAX] = {0};
    uint8_t best[FL_HUFFMAN_SYMBOLS_MAX];
    for (size_t i = 0; i < count; i++) {
        FUZZ_CHECK(values[i] < symbols && lengths[values[i]]);
        counts[values[i]]++;
    }
    fl_huffman_lengths(counts, symbols, best);
    FUZZ_CHECK(fl_huffman_decoder_init(best, symbols, &decoder) == FL_OK);
    FUZZ_CHECK(fl_huffman_bits(best, counts, symbols) <= fl_huffman_bits(lengths, counts, symbols));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct fl_huffman_decoder decoder;
    uint8_t lengths[FL_HUFFMAN_SYMBOLS_MAX], packed[FL_HUFFMAN_SYMBOLS_MAX / 2];
    if (size < HEAD_BYTES)
        return 0;
    size_t symbols = data[0] + (size_t)1, count = data[1] + data[2] * (size_t)256;
    size_t room = size - HEAD_BYTES, head = FL_HUFFMAN_LENGTHS_BYTES(symbols);
    head = head < room ? head : room;
    if (fl_huffman_get_lengths(data + HEAD_BYTES, head, symbols, lengths))
        return 0;
    fl_huffman_put_lengths(lengths, symbols, packed);
    FUZZ_CHECK(memcmp(packed, data + HEAD_BYTES, head) == 0);
    FUZZ_CHECK(fl_huffman_decoder_init(lengths, symbols, &decoder) == FL_OK);

    size_t stream_size = room - head;
    uint8_t *stream = malloc(stream_size ? stream_size : 1); /* exact size: a read too far is seen */
    uint8_t *values = malloc(count ? count : 1);
    FUZZ_CHECK(stream && values);
    memcpy(stream, data + HEAD_BYTES + head, stream_size);
    struct fl_bit_reader reader = {.data = stream, .size = stream_size};
    if (!fl_huffman_read(&decoder, &reader, count, values)) {
        check_same_stream(lengths, symbols, values, count, &reader);
        check_best_code(lengths, symbols, values, count);
    } else {
        FUZZ_CHECK(reader.pos == 0);
    }
    free(stream);
    free(values);
    return 0;
}
