/* Values of rows that lie in several pieces, in a given order. A row's name is the number of its piece, and in the
 * lowest `bits` bits its position there.
 *
 * Rows sorted by symbol and time visit all pieces again for each symbol, so that every value would come from memory.
 * They are therefore visited by tiles, parts of a piece that stay in the second-level cache, and within a tile by runs:
 * neighbours in the order that lie in the same tile. */
#include "tapehouse.h"

#include <stdlib.h>

/* One column of a piece: its first value lies `offset` values (bits, where values are bits) behind `values`. `valid` is
 * null where no value is missing. `buffers` is what has to be added to the buffer numbers of its texts. */
typedef struct {
    const uint8_t *values, *valid;
    int64_t offset, rows;
    uint64_t buffers;
} th_piece;

typedef struct {
    uint32_t start, end; /* positions in the order */
} th_run;

typedef struct {
    const th_piece *pieces;
    const uint32_t *names;
    const th_run *runs;
    int64_t run_count;
    int32_t bits;
} th_order;

#define TILE_BITS 14
#define LINE 64

/* The runs of an order of `count` rows, those of one tile after the other, into `runs` (room for `count`). Returns how
 * many, or -1 when there is no memory. */
TH_API int64_t th_runs(const uint32_t *names, int64_t count, int bits, th_run *runs) {
    int shift = bits < TILE_BITS ? bits : TILE_BITS;
    uint32_t greatest = 0;
    for (int64_t i = 0; i < count; i++) greatest = names[i] > greatest ? names[i] : greatest;
    int64_t tiles = (int64_t)(greatest >> shift) + 1, found = 0;
    uint32_t *places = calloc((size_t)tiles + 1, sizeof(uint32_t));
    if (!places) return -1;
    for (int64_t i = 0; i < count; i++)
        if (!i || names[i] >> shift != names[i - 1] >> shift) places[(names[i] >> shift) + 1]++, found++;
    for (int64_t t = 0; t < tiles; t++) places[t + 1] += places[t];
    for (int64_t i = 0; i < count;) {
        uint32_t tile = names[i] >> shift;
        th_run *run = &runs[places[tile]++];
        run->start = (uint32_t)i;
        while (i < count && names[i] >> shift == tile) i++;
        run->end = (uint32_t)i;
    }
    free(places);
    return found;
}

/* Brings a tile into the cache from its beginning to its end, which memory is much faster at than at jumping about. */
static void warm(const th_piece *piece, int64_t first, int width) {
    int64_t last = first + (1 << TILE_BITS) < piece->rows ? first + (1 << TILE_BITS) : piece->rows;
    const uint8_t *end = piece->values + (piece->offset + last) * width;
    for (const uint8_t *p = piece->values + (piece->offset + first) * width; p < end; p += LINE)
        (void)*(const volatile uint8_t *)p;
}

/* `body` for each row i of each run: its place in `piece` is `at`. Values take `width` bytes, or 0: a part of one. */
#define EACH_ROW(width, body)                                                       \
    const uint32_t *names = o->names, mask = (1u << o->bits) - 1;                   \
    uint32_t tile = UINT32_MAX;                                                     \
    for (int64_t r = 0; r < o->run_count; r++) {                                    \
        const uint32_t first = names[o->runs[r].start];                             \
        const th_piece *piece = &o->pieces[first >> o->bits];                       \
        const int64_t offset = piece->offset;                                       \
        const uint8_t *values = piece->values, *valid = piece->valid;               \
        const uint64_t buffers = piece->buffers;                                    \
        (void)values, (void)valid, (void)buffers;                                   \
        if (width && first >> TILE_BITS != tile) {                                  \
            tile = first >> TILE_BITS;                                              \
            warm(piece, (first & mask) >> TILE_BITS << TILE_BITS, width);           \
        }                                                                           \
        for (int64_t i = o->runs[r].start, end = o->runs[r].end; i < end; i++) {    \
            const int64_t at = offset + (int64_t)(names[i] & mask);                 \
            body                                                                    \
        }                                                                           \
    }

TH_API void th_gather_4(const th_order *o, uint32_t *restrict out) {
    EACH_ROW(4, out[i] = ((const uint32_t *)values)[at];)
}

TH_API void th_gather_8(const th_order *o, uint64_t *restrict out) {
    EACH_ROW(8, out[i] = ((const uint64_t *)values)[at];)
}

TH_API void th_gather_views(const th_order *o, th_view *restrict out) {
    EACH_ROW(16, th_view view = ((const th_view *)values)[at];
             if (view.length > TH_INLINE_MAX) view.rest += buffers;
             out[i] = view;)
}

/* Bits, of what is there or (where `what` is 0) of the values. `out` is zeroed by the caller. */
TH_API void th_gather_bits(const th_order *o, int what, uint8_t *restrict out) {
    EACH_ROW(0, const uint8_t *from = what ? valid : values;
             out[i >> 3] |= (uint8_t)((from ? get_bit(from, at) : 1) << (i & 7));)
}
