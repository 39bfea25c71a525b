#include "protocol/reader.h"

#include <float.h>
#include <math.h>
#include <string.h>

_Static_assert(sizeof(float) == 4 && sizeof(double) == 8, "IEEE 754 binary32 and binary64");

/* What the first bytes of a value say. */
struct head {
    enum fl_reader_type type;
    size_t size;    /* bytes of the head itself */
    uint64_t value; /* the integer (two's complement), the bits of a float, a count, or a length in bytes */
    int wide;       /* a float of 64 bits */
};

void fl_reader_init(struct fl_reader *reader, struct fl_bytes bytes)
{
    *reader = (struct fl_reader){.bytes = bytes};
}

static void fail(struct fl_reader *reader, enum fl_status st)
{
    if (!reader->status)
        reader->status = st;
}

static uint64_t load_be(const uint8_t *at, size_t size)
{
    uint64_t value = 0;
    for (size_t i = 0; i < size; i++)
        value = value << 8 | at[i];
    return value;
}

static uint64_t sign_extend(uint64_t value, size_t size)
{
    uint64_t sign = (uint64_t)1 << (8 * size - 1);
    return (value ^ sign) - sign;
}

/* Formats 0xc0 to 0xdf: type, and the bytes of number that follow the first byte. */
static const struct {
    uint8_t type, size;
} formats[32] = {
    {FL_TYPE_NIL, 0},   {FL_TYPE_NONE, 0},  {FL_TYPE_BOOL, 0}, {FL_TYPE_BOOL, 0}, /* c0 nil, c2 c3 bool */
    {FL_TYPE_BIN, 1},   {FL_TYPE_BIN, 2},   {FL_TYPE_BIN, 4},                     /* c4 */
    {FL_TYPE_EXT, 1},   {FL_TYPE_EXT, 2},   {FL_TYPE_EXT, 4},                     /* c7 */
    {FL_TYPE_FLOAT, 4}, {FL_TYPE_FLOAT, 8},                                       /* ca */
    {FL_TYPE_UINT, 1},  {FL_TYPE_UINT, 2},  {FL_TYPE_UINT, 4}, {FL_TYPE_UINT, 8}, /* cc */
    {FL_TYPE_INT, 1},   {FL_TYPE_INT, 2},   {FL_TYPE_INT, 4},  {FL_TYPE_INT, 8},  /* d0 */
    {FL_TYPE_EXT, 0},   {FL_TYPE_EXT, 0},   {FL_TYPE_EXT, 0},  {FL_TYPE_EXT, 0},
    {FL_TYPE_EXT, 0},                                          /* d4: 1, 2, 4, 8, 16 bytes */
    {FL_TYPE_TEXT, 1},  {FL_TYPE_TEXT, 2},  {FL_TYPE_TEXT, 4}, /* d9 */
    {FL_TYPE_ARRAY, 2}, {FL_TYPE_ARRAY, 4},                    /* dc */
    {FL_TYPE_MAP, 2},   {FL_TYPE_MAP, 4},                      /* de */
};

static struct head short_head(uint8_t first)
{
    if (first < 0x80)
        return (struct head){FL_TYPE_UINT, 1, first, 0};
    if (first < 0x90)
        return (struct head){FL_TYPE_MAP, 1, first & 0x0f, 0};
    if (first < 0xa0)
        return (struct head){FL_TYPE_ARRAY, 1, first & 0x0f, 0};
    if (first < 0xc0)
        return (struct head){FL_TYPE_TEXT, 1, first & 0x1f, 0};
    return (struct head){FL_TYPE_INT, 1, sign_extend(first, 1), 0};
}

/* The head of the next value; type NONE after an error. */
static struct head peek_head(struct fl_reader *reader)
{
    const struct head none = {FL_TYPE_NONE, 0, 0, 0};
    size_t left = reader->bytes.size - reader->at;
    if (reader->status)
        return none;
    if (left == 0) {
        fail(reader, FL_ERR_TRUNCATED);
        return none;
    }
    const uint8_t *at = reader->bytes.data + reader->at;
    if (*at < 0xc0 || *at >= 0xe0)
        return short_head(*at);
    size_t size = formats[*at - 0xc0].size;
    struct head head = {(enum fl_reader_type)formats[*at - 0xc0].type, 1 + size, 0, size == 8};
    if (head.type == FL_TYPE_NONE) {
        fail(reader, FL_ERR_FORMAT);
        return none;
    }
    if (head.size > left) {
        fail(reader, FL_ERR_TRUNCATED);
        return none;
    }
    head.value = load_be(at + 1, size);
    if (head.type == FL_TYPE_INT) {
        head.value = sign_extend(head.value, size);
        if (head.value <= INT64_MAX)
            head.type = FL_TYPE_UINT;
    } else if (head.type == FL_TYPE_BOOL) {
        head.value = *at & 1;
    } else if (head.type == FL_TYPE_EXT) {
        head.value = 1 + (size ? head.value : (uint64_t)1 << (*at - 0xd4)); /* and its type byte */
    }
    return head;
}

static int is_container(enum fl_reader_type type)
{
    return type == FL_TYPE_ARRAY || type == FL_TYPE_MAP;
}

/* One value is behind us: leave every container that it completed. */
static void value_done(struct fl_reader *reader)
{
    while (reader->depth > 0 && --reader->left[reader->depth - 1] == 0)
        reader->depth--;
}

/* Consumes the head (and the body of anything but a container) that peek_head() gave. */
static void consume(struct fl_reader *reader, const struct head *head)
{
    size_t left = reader->bytes.size - reader->at - head->size;
    uint64_t values = head->type == FL_TYPE_MAP ? 2 * head->value : head->value;
    int has_body = head->type == FL_TYPE_TEXT || head->type == FL_TYPE_BIN || head->type == FL_TYPE_EXT;
    if ((has_body || is_container(head->type)) && values > left) {
        fail(reader, FL_ERR_TRUNCATED);
        return;
    }
    if (is_container(head->type) && reader->depth == FL_LIMIT_DEPTH) {
        fail(reader, FL_ERR_LIMIT);
        return;
    }
    reader->at += head->size + (has_body ? (size_t)head->value : 0);
    if (is_container(head->type) && values > 0)
        reader->left[reader->depth++] = values;
    else
        value_done(reader);
}

/* The head of the next value when it is of the given type, consumed when its value is at most cap. */
static struct head take(struct fl_reader *reader, enum fl_reader_type type, uint64_t cap,
                        enum fl_status above)
{
    struct head head = peek_head(reader);
    if (!reader->status && head.type != type)
        fail(reader, FL_ERR_FORMAT);
    if (!reader->status && head.value > cap)
        fail(reader, above);
    if (!reader->status)
        consume(reader, &head);
    if (reader->status)
        return (struct head){FL_TYPE_NONE, 0, 0, 0};
    return head;
}

enum fl_reader_type fl_reader_peek(struct fl_reader *reader)
{
    if (reader->at == reader->bytes.size)
        return FL_TYPE_NONE;
    return peek_head(reader).type;
}

void fl_reader_get_nil(struct fl_reader *reader)
{
    take(reader, FL_TYPE_NIL, 0, FL_ERR_FORMAT);
}

int fl_reader_get_bool(struct fl_reader *reader)
{
    return (int)take(reader, FL_TYPE_BOOL, 1, FL_ERR_FORMAT).value;
}

uint64_t fl_reader_get_uint(struct fl_reader *reader, uint64_t max)
{
    if (fl_reader_peek(reader) == FL_TYPE_INT)
        fail(reader, FL_ERR_RANGE);
    return take(reader, FL_TYPE_UINT, max, FL_ERR_RANGE).value;
}

int64_t fl_reader_get_int(struct fl_reader *reader, int64_t min, int64_t max)
{
    int negative = fl_reader_peek(reader) == FL_TYPE_INT;
    struct head head = peek_head(reader);
    int64_t value = negative ? -(int64_t)(~head.value) - 1 : (int64_t)(head.value & INT64_MAX);
    int fits = (negative || head.value <= INT64_MAX) && value >= min && value <= max;
    if ((negative || head.type == FL_TYPE_UINT) && !fits)
        fail(reader, FL_ERR_RANGE);
    take(reader, negative ? FL_TYPE_INT : FL_TYPE_UINT, UINT64_MAX, FL_ERR_RANGE);
    return reader->status ? 0 : value;
}

static double float_of_head(const struct head *head)
{
    if (head->wide) {
        double value;
        memcpy(&value, &head->value, sizeof value);
        return value;
    }
    uint32_t bits = (uint32_t)head->value;
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

double fl_reader_get_double(struct fl_reader *reader)
{
    const int64_t exact = (int64_t)1 << 53;
    enum fl_reader_type type = fl_reader_peek(reader);
    if (type == FL_TYPE_UINT || type == FL_TYPE_INT)
        return (double)fl_reader_get_int(reader, -exact, exact);
    struct head head = peek_head(reader);
    if (type == FL_TYPE_FLOAT && !isfinite(float_of_head(&head)))
        fail(reader, FL_ERR_NOT_FINITE);
    head = take(reader, FL_TYPE_FLOAT, UINT64_MAX, FL_ERR_RANGE);
    return reader->status ? 0.0 : float_of_head(&head);
}

float fl_reader_get_float(struct fl_reader *reader)
{
    double value = fl_reader_get_double(reader);
    if (fabs(value) > FLT_MAX) {
        fail(reader, FL_ERR_RANGE);
        return 0.0f;
    }
    return (float)value;
}

static struct fl_bytes body_before(const struct fl_reader *reader, uint64_t size)
{
    if (reader->status || size == 0)
        return (struct fl_bytes){NULL, 0};
    return (struct fl_bytes){reader->bytes.data + reader->at - size, (size_t)size};
}

struct fl_bytes fl_reader_get_text(struct fl_reader *reader, size_t cap)
{
    struct head head = take(reader, FL_TYPE_TEXT, cap, FL_ERR_LIMIT);
    return body_before(reader, head.value);
}

struct fl_bytes fl_reader_get_bin(struct fl_reader *reader, size_t cap)
{
    struct head head = take(reader, FL_TYPE_BIN, cap, FL_ERR_LIMIT);
    return body_before(reader, head.value);
}

uint32_t fl_reader_get_array(struct fl_reader *reader, uint32_t cap)
{
    return (uint32_t)take(reader, FL_TYPE_ARRAY, cap, FL_ERR_LIMIT).value;
}

uint32_t fl_reader_get_map(struct fl_reader *reader, uint32_t cap)
{
    return (uint32_t)take(reader, FL_TYPE_MAP, cap, FL_ERR_LIMIT).value;
}

void fl_reader_skip(struct fl_reader *reader)
{
    /* The value is over when as many values are left around it as before, less one: that is, when the
     * containers it opened are closed again. */
    unsigned depth = reader->depth;
    do {
        struct head head = peek_head(reader);
        if (reader->status)
            return;
        consume(reader, &head);
    } while (!reader->status && reader->depth > depth);
}

enum fl_status fl_reader_finish(struct fl_reader *reader)
{
    if (reader->depth > 0)
        fail(reader, FL_ERR_TRUNCATED);
    if (reader->at < reader->bytes.size)
        fail(reader, FL_ERR_FORMAT);
    return reader->status;
}

/* Length of the well-formed UTF-8 sequence at the start of text, which is not empty; 0 when there is none
 * (Unicode 15, table 3-7). */
static size_t utf8_length(struct fl_bytes text)
{
    uint8_t first = text.data[0], low = 0x80, high = 0xbf;
    if (first < 0x80)
        return 1;
    size_t length = first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
    if (first < 0xc2 || first > 0xf4 || text.size < length)
        return 0;
    if (first == 0xe0)
        low = 0xa0;
    if (first == 0xed)
        high = 0x9f;
    if (first == 0xf0)
        low = 0x90;
    if (first == 0xf4)
        high = 0x8f;
    if (text.data[1] < low || text.data[1] > high)
        return 0;
    for (size_t i = 2; i < length; i++)
        if (text.data[i] < 0x80 || text.data[i] > 0xbf)
            return 0;
    return length;
}

int fl_text_valid(struct fl_bytes text)
{
    while (text.size > 0) {
        size_t length = utf8_length(text);
        if (length == 0 || text.data[0] < 0x20 || text.data[0] == 0x7f)
            return 0;
        text.data += length;
        text.size -= length;
    }
    return 1;
}
