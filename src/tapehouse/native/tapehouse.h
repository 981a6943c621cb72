/* What the compiled loops share. Plain C over caller-owned memory: no Python, no allocation that outlives a call, no
 * global state, so any number of threads may call any function at once. */
#ifndef TAPEHOUSE_H
#define TAPEHOUSE_H

#include <stdint.h>
#include <string.h>

#define TH_API __attribute__((visibility("default")))
#define LIKELY(x) __builtin_expect(!!(x), 1)
#define UNLIKELY(x) __builtin_expect(!!(x), 0)

/* A text as Arrow's and Polars' string view has it: up to 12 bytes within, else prefix, buffer 0 and offset there. */
typedef struct {
    uint32_t length;
    uint32_t prefix;
    uint64_t rest; /* bytes 4..11, or buffer number (low half) and offset (high half) */
} th_view;

#define TH_INLINE_MAX 12

static inline uint64_t load64(const uint8_t *p) {
    uint64_t word;
    memcpy(&word, p, 8);
    return word;
}

static inline uint32_t load32(const uint8_t *p) {
    uint32_t word;
    memcpy(&word, p, 4);
    return word;
}

static inline void clear_bit(uint8_t *bits, int64_t at) { bits[at >> 3] &= (uint8_t) ~(1u << (at & 7)); }
static inline void set_bit(uint8_t *bits, int64_t at) { bits[at >> 3] |= (uint8_t)(1u << (at & 7)); }
static inline int get_bit(const uint8_t *bits, int64_t at) { return (bits[at >> 3] >> (at & 7)) & 1; }

#endif
