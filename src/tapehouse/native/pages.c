/* Values as Parquet's PLAIN pages have them. */
#include "tapehouse.h"

/* The `low` (1..8) lowest bytes of each value, one after the other. `out` has room for 8 bytes more than that. */
TH_API void th_low_bytes(const uint64_t *values, int64_t count, int64_t low, uint8_t *out) {
    for (int64_t i = 0; i < count; i++) {
        memcpy(out, &values[i], 8);
        out += low;
    }
}

/* Which numbers occur: `seen`, zeroed by the caller and longer than the greatest, gets a 1 at each. */
TH_API void th_seen(const uint16_t *numbers, int64_t count, uint8_t *seen) {
    for (int64_t i = 0; i < count; i++) seen[numbers[i]] = 1;
}

/* Each number's place in a dictionary, as a byte. */
TH_API void th_places(const uint16_t *numbers, int64_t count, const uint8_t *table, uint8_t *out) {
    for (int64_t i = 0; i < count; i++) out[i] = table[numbers[i]];
}

static inline const uint8_t *text_of(const th_view *view, const uint8_t *const *buffers) {
    if (view->length <= TH_INLINE_MAX) return (const uint8_t *)&view->prefix;
    return buffers[(uint32_t)view->rest] + (view->rest >> 32);
}

/* The order of two texts by their bytes, as memcmp has it. */
static inline int text_order(const th_view *one, const th_view *other, const uint8_t *const *buffers) {
    uint32_t a = __builtin_bswap32(one->prefix), b = __builtin_bswap32(other->prefix);
    if (a != b) return a < b ? -1 : 1;
    uint32_t shorter = one->length < other->length ? one->length : other->length;
    int order = memcmp(text_of(one, buffers), text_of(other, buffers), shorter);
    if (order) return order;
    return one->length < other->length ? -1 : one->length > other->length;
}

/* Length and bytes of each text, `count` at least 1; returns the bytes written. `out` has room for 16 bytes more.
 * `bounds` gets the positions of the least and the greatest text. */
TH_API int64_t th_plain_text(
    const th_view *views, const uint8_t *const *buffers, int64_t count, uint8_t *out, int64_t *bounds) {
    const uint8_t *start = out;
    int64_t least = 0, greatest = 0;
    for (int64_t i = 0; i < count; i++) {
        const th_view *view = &views[i];
        if (LIKELY(view->length <= TH_INLINE_MAX)) {
            memcpy(out, view, 16);
        } else {
            memcpy(out, &view->length, 4);
            memcpy(out + 4, text_of(view, buffers), view->length);
        }
        out += 4 + (int64_t)view->length;
        if (text_order(view, &views[least], buffers) < 0) least = i;
        if (text_order(view, &views[greatest], buffers) > 0) greatest = i;
    }
    bounds[0] = least;
    bounds[1] = greatest;
    return out - start;
}
