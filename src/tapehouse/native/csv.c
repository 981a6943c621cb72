/* A block of delimited text to typed columns in two steps per chunk: where separators and line ends are, 64 bytes at a
 * time, then each field of each record from between two of them. Blocks that need care (quotes that are doubled or out
 * of place, carriage returns alone, empty lines) are refused as a whole: the caller has a slower reader for those. */
#include "csv.h"

#include <stdlib.h>

#include "values.h"
#if defined(__SSE2__)
#include <emmintrin.h>
#endif

/* A chunk's positions stay in the second-level cache. */
#define CHUNK 32768
/* So many slots stay in the first-level cache. Their number grows fourfold, up to TH_DICTIONARY_SLOTS. */
#define SLOTS_FIRST 512

typedef struct {
    const uint8_t *data;
    int64_t size;
    uint8_t separator, line_end;
    int quote; /* negative: none occurs in the block */
} block;

static inline uint64_t equal64(const uint8_t *p, uint8_t byte) {
#if defined(__SSE2__)
    const __m128i wanted = _mm_set1_epi8((char)byte);
    uint64_t mask = 0;
    for (int i = 0; i < 4; i++) {
        __m128i part = _mm_loadu_si128((const __m128i *)(p + 16 * i));
        mask |= (uint64_t)(uint32_t)_mm_movemask_epi8(_mm_cmpeq_epi8(part, wanted)) << (16 * i);
    }
    return mask;
#else
    uint64_t mask = 0;
    for (int i = 0; i < 64; i++) mask |= (uint64_t)(p[i] == byte) << i;
    return mask;
#endif
}

/* Bit i: whether an odd number of bits is set up to and including i. */
static inline uint64_t odd_up_to(uint64_t bits) {
    for (int shift = 1; shift < 64; shift <<= 1) bits ^= bits << shift;
    return bits;
}

/* Positions in [from, from + CHUNK) of separators and line ends outside quotes; `inside` carries over. */
static int64_t index_chunk(const block *b, int64_t from, uint32_t *positions, uint64_t *inside, int64_t *quotes) {
    int64_t found = 0, end = from + CHUNK < b->size ? from + CHUNK : b->size;
    for (int64_t at = from; at < end; at += 64) {
        const uint8_t *p = b->data + at;
        uint8_t tail[64];
        if (UNLIKELY(at + 64 > b->size)) {
            memset(tail, 0, sizeof tail);
            memcpy(tail, p, (size_t)(b->size - at));
            p = tail;
        }
        uint64_t mask = equal64(p, b->separator) | equal64(p, b->line_end);
        if (b->quote >= 0) {
            uint64_t marks = equal64(p, (uint8_t)b->quote);
            uint64_t within = odd_up_to(marks) ^ *inside;
            *quotes += __builtin_popcountll(marks);
            *inside = 0 - (within >> 63);
            mask &= ~within;
        }
        uint32_t *out = positions + found;
        found += __builtin_popcountll(mask);
        for (; mask; mask &= mask - 1) *out++ = (uint32_t)at + (uint32_t)__builtin_ctzll(mask);
    }
    return found;
}

static int is_null(const th_column *c, const uint8_t *p, int64_t length) {
    if (!length) return c->empty_is_null;
    const uint8_t *text = c->nulls;
    for (int32_t i = 0; i < c->null_texts; i++) {
        uint32_t size = load32(text);
        if (size == (uint64_t)length && !memcmp(text + 4, p, size)) return 1;
        text += 4 + size;
    }
    return 0;
}

static inline th_view view_of(th_column *c, const uint8_t *p, uint32_t length, int readable) {
    static const uint64_t keep[9] = {0, 0xFF, 0xFFFF, 0xFFFFFF, 0xFFFFFFFF, 0xFFFFFFFFFF, 0xFFFFFFFFFFFF,
                                     0xFFFFFFFFFFFFFF, ~0ull};
    th_view view = {length, 0, 0};
    if (UNLIKELY(length > TH_INLINE_MAX)) {
        memcpy(c->side + c->side_used, p, length);
        view.prefix = load32(p);
        view.rest = (uint64_t)c->side_used << 32;
        c->side_used += length;
        return view;
    }
    if (LIKELY(readable)) {
        view.prefix = load32(p) & (uint32_t)keep[length < 4 ? length : 4];
        view.rest = length > 4 ? load64(p + 4) & keep[length - 4] : 0;
        return view;
    }
    uint8_t padded[16] = {0};
    memcpy(padded, p, length);
    view.prefix = load32(padded), view.rest = load64(padded + 4);
    return view;
}

static int same_text(const th_column *c, const th_view *a, const th_view *b) {
    if (a->length != b->length || a->prefix != b->prefix) return 0;
    if (a->length <= TH_INLINE_MAX) return a->rest == b->rest;
    return !memcmp(c->side + (a->rest >> 32), c->side + (b->rest >> 32), a->length);
}

static inline uint64_t mix(uint64_t word) {
    word *= 0x9E3779B97F4A7C15ull;
    return word ^ (word >> 29);
}

static uint64_t hash_of(const th_column *c, const th_view *view) {
    uint64_t head = view->length | (uint64_t)view->prefix << 32;
    if (view->length <= TH_INLINE_MAX) return mix(mix(head) ^ view->rest);
    uint64_t hash = mix(head);
    const uint8_t *p = c->side + (view->rest >> 32);
    for (uint32_t left = view->length; left; left--) hash = mix(hash ^ *p++);
    return hash;
}

static void enter(th_column *c, uint32_t code) {
    uint32_t slot = (uint32_t)(hash_of(c, &c->dictionary[code]) >> 32) & c->slot_mask;
    while (c->slots[slot]) slot = (slot + 1) & c->slot_mask;
    c->slots[slot] = code + 1;
}

/* Code of a text in the column's dictionary, which it joins; negative when there is no room for it. */
static inline int64_t code_of(th_column *c, const uint8_t *p, uint32_t length, int readable) {
    int64_t before = c->side_used;
    th_view view = view_of(c, p, length, readable);
    uint32_t slot = (uint32_t)(hash_of(c, &view) >> 32) & c->slot_mask;
    for (; c->slots[slot]; slot = (slot + 1) & c->slot_mask) {
        uint32_t code = c->slots[slot] - 1;
        if (LIKELY(same_text(c, &c->dictionary[code], &view))) {
            c->side_used = before;
            return code;
        }
    }
    if (c->distinct == TH_DICTIONARY_MAX) return -1;
    c->dictionary[c->distinct] = view;
    c->slots[slot] = (uint32_t)++c->distinct;
    if (UNLIKELY((uint32_t)c->distinct * 2 > c->slot_mask)) {
        c->slot_mask = c->slot_mask * 4 + 3;
        memset(c->slots, 0, sizeof(uint32_t) * ((size_t)c->slot_mask + 1));
        for (int32_t code = 0; code < c->distinct; code++) enter(c, (uint32_t)code);
    }
    return c->distinct - 1;
}

static inline void put_null(th_column *c, int64_t row) {
    clear_bit(c->valid, row);
    c->nulls_found++;
}

static inline void put_refused(th_column *c, int64_t row) {
    put_null(c, row);
    set_bit(c->refused, row);
    c->refusals++;
}

/* One field into one column; 0 when the column's dictionary is full. */
static inline int put(th_column *c, th_minute *minute, int64_t row, const uint8_t *p, int64_t length, int readable) {
    int64_t value = 0;
    int good = 1;
    int64_t *numbers = c->values;
    if (UNLIKELY(!length || c->null_texts) && is_null(c, p, length)) {
        put_null(c, row);
        if (c->kind == TH_VIEWS) ((th_view *)c->values)[row] = (th_view){0, 0, 0};
        else if (c->kind == TH_CODES) ((uint32_t *)c->values)[row] = 0;
        else numbers[row] = 0;
        return 1;
    }
    switch (c->kind) {
    case TH_VIEWS:
        ((th_view *)c->values)[row] = view_of(c, p, (uint32_t)length, readable);
        return 1;
    case TH_CODES:
        value = code_of(c, p, (uint32_t)length, readable);
        ((uint32_t *)c->values)[row] = (uint32_t)value;
        return value >= 0;
    case TH_INTEGER:
        good = integer_value(p, length, readable, &value);
        if (good && c->limit >= 0) good = value <= c->limit && value >= -c->limit;
        value *= c->factor;
        break;
    case TH_DECIMAL:
        good = decimal_value(p, length, readable, c->scale, &value);
        break;
    case TH_ISO8601:
        good = iso8601_value(p, length, readable, minute, &value);
        break;
    }
    numbers[row] = good ? value : 0;
    if (UNLIKELY(!good)) put_refused(c, row);
    return 1;
}

/* Trim the quotes of each quoted field of a record; returns how many fields had them, or -1 for one left open. */
static int64_t unquote(const block *b, uint32_t *starts, uint32_t *ends, int32_t width) {
    int64_t quoted = 0;
    for (int32_t i = 0; i < width; i++) {
        if (starts[i] == ends[i] || b->data[starts[i]] != b->quote) continue;
        if (ends[i] - starts[i] < 2 || b->data[ends[i] - 1] != b->quote) return -1;
        starts[i]++, ends[i]--, quoted++;
    }
    return quoted;
}

typedef struct {
    const block *b;
    th_column *columns;
    th_minute *minutes;
    th_records *records;
    uint32_t *starts, *ends;
    int64_t quoted, returns;
    uint32_t start; /* of the record */
    int32_t width, column_count, fields;
} reader;

/* The record that ends before `at`. Returns 0, or why the block cannot be read here. */
static int end_record(reader *r, uint32_t at) {
    const uint8_t *data = r->b->data;
    th_records *out = r->records;
    uint32_t end = at;
    if (r->b->line_end == '\n' && end > r->start && data[end - 1] == '\r') end--, r->returns++;
    if (end == r->start || end - r->start > out->bytes_max) return TH_NOT_PLAIN;
    if (UNLIKELY(r->fields + 1 != r->width)) {
        if (r->b->quote >= 0 || out->odd == out->odd_max) return TH_NOT_PLAIN;
        out->odd_starts[out->odd] = r->start, out->odd_ends[out->odd] = end;
        out->odd_rows[out->odd] = (uint32_t)(out->good + out->odd);
        out->odd_fields[out->odd++] = (uint32_t)r->fields + 1;
        return 0;
    }
    r->ends[r->fields] = end;
    if (r->b->quote >= 0) {
        int64_t quoted = unquote(r->b, r->starts, r->ends, r->width);
        if (quoted < 0) return TH_NOT_PLAIN;
        r->quoted += quoted;
    }
    int64_t row = out->good++;
    out->starts[row] = r->start, out->ends[row] = end;
    for (int32_t i = 0; i < r->column_count; i++) {
        th_column *c = &r->columns[i];
        uint32_t from = r->starts[c->field];
        int readable = (int64_t)from + 40 <= r->b->size;
        if (UNLIKELY(!put(c, &r->minutes[i], row, data + from, r->ends[c->field] - from, readable))) {
            out->full = i;
            return TH_DICTIONARY_FULL;
        }
    }
    return 0;
}

static int read_records(reader *r, uint32_t *positions) {
    const block *b = r->b;
    uint64_t inside = 0;
    int64_t quotes = 0;
    int code = 0;
    r->starts[0] = 0;
    for (int64_t from = 0; from < b->size; from += CHUNK) {
        int64_t found = index_chunk(b, from, positions, &inside, &quotes);
        for (int64_t i = 0; i < found; i++) {
            uint32_t at = positions[i];
            if (b->data[at] == b->line_end) {
                if ((code = end_record(r, at))) return code;
                r->start = at + 1, r->fields = 0;
                r->starts[0] = at + 1;
            } else if (LIKELY(r->fields + 1 < r->width)) {
                r->ends[r->fields++] = at;
                r->starts[r->fields] = at + 1;
            } else {
                r->fields++; /* too many: only counted */
            }
        }
    }
    if (r->start < b->size && (code = end_record(r, (uint32_t)b->size))) return code;
    if (inside || quotes != 2 * r->quoted) return TH_NOT_PLAIN;
    return 0;
}

TH_API int64_t th_count(const uint8_t *data, int64_t size, uint8_t byte) {
    int64_t total = 0, at = 0;
    for (; at + 64 <= size; at += 64) total += __builtin_popcountll(equal64(data + at, byte));
    for (; at < size; at++) total += data[at] == byte;
    return total;
}

TH_API int th_ascii(const uint8_t *data, int64_t size) {
    for (int64_t at = 0; at < size; at += CHUNK) {
        int64_t end = at + CHUNK < size ? at + CHUNK : size;
        uint8_t bad = 0;
        for (int64_t i = at; i < end; i++) bad |= (uint8_t)((data[i] & 0x80) | (data[i] == 0));
        if (bad) return 0;
    }
    return 1;
}

TH_API int th_csv_read(const uint8_t *data, int64_t size, uint8_t separator, uint8_t line_end, int quote, int32_t width,
                       th_column *columns, int32_t column_count, th_records *records) {
    if (size >= UINT32_MAX || width < 1) return TH_NOT_PLAIN;
    if (quote >= 0 && !memchr(data, quote, (size_t)size)) quote = -1;
    block b = {data, size, separator, line_end, quote};
    reader r = {.b = &b, .columns = columns, .records = records, .width = width, .column_count = column_count};
    uint32_t *positions = malloc(sizeof(uint32_t) * (CHUNK + 64));
    r.starts = malloc(sizeof(uint32_t) * (size_t)(width + 1) * 2);
    r.minutes = calloc((size_t)column_count + 1, sizeof(th_minute));
    int code = TH_NO_MEMORY;
    for (int32_t i = 0; i < column_count; i++) columns[i].slot_mask = SLOTS_FIRST - 1;
    if (positions && r.starts && r.minutes) {
        r.ends = r.starts + width + 1;
        code = read_records(&r, positions);
        int returns = line_end == '\n' && memchr(data, '\r', (size_t)size);
        if (!code && returns && th_count(data, size, '\r') != r.returns) code = TH_NOT_PLAIN;
    }
    free(positions), free(r.starts), free(r.minutes);
    return code;
}
