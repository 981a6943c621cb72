/* Text of one field to a canonical value. Each function returns 1 and the value, or 0: the text is not of the grammar.
 * The grammars are those of tapehouse.contracts.model.Grammar, and the tests hold these functions against the slower
 * readers value by value. */
#ifndef TAPEHOUSE_VALUES_H
#define TAPEHOUSE_VALUES_H

#include "tapehouse.h"

#define ZEROS 0x3030303030303030ull
#define NS_PER_SECOND 1000000000ll
#define NS_PER_DAY (86400ll * NS_PER_SECOND)

extern const uint64_t th_powers_of_ten[20];

static inline int is_digit(uint8_t byte) { return (uint8_t)(byte - '0') < 10; }

/* Whether all eight bytes are ASCII digits. */
static inline int eight_digits(uint64_t word) {
    return ((word & (word + 0x0606060606060606ull) & 0xF0F0F0F0F0F0F0F0ull) == ZEROS);
}

/* The number that eight ASCII digits write, the first one in the lowest byte. */
static inline uint64_t number_of(uint64_t word) {
    word -= ZEROS;
    word = (word * 10) + (word >> 8);
    return (((word & 0x000000FF000000FFull) * 0x000F424000000064ull) +
            (((word >> 16) & 0x000000FF000000FFull) * 0x0000271000000001ull)) >> 32;
}

/* The first `count` (1..8) bytes of a word as the last digits of a word padded with zeros. */
static inline uint64_t right_aligned(uint64_t word, int count) {
    return count == 8 ? word : (word << (8 * (8 - count))) | (ZEROS >> (8 * count));
}

/* 1..19 digits. `readable`: 8 bytes from any digit on may be read. */
static inline int digits_value(const uint8_t *p, int64_t length, int readable, uint64_t *value) {
    if (LIKELY(readable)) {
        int head = (int)(length & 7);
        uint64_t total = 0;
        if (head) {
            uint64_t word = right_aligned(load64(p), head);
            if (!eight_digits(word)) return 0;
            total = number_of(word);
            p += head;
        }
        for (int64_t left = length - head; left; left -= 8, p += 8) {
            uint64_t word = load64(p);
            if (!eight_digits(word)) return 0;
            total = total * 100000000ull + number_of(word);
        }
        *value = total;
        return 1;
    }
    uint64_t total = 0;
    for (int64_t i = 0; i < length; i++) {
        if (!is_digit(p[i])) return 0;
        total = total * 10 + (uint64_t)(p[i] - '0');
    }
    *value = total;
    return 1;
}

/* [+-]?[0-9]+ within int64. */
static inline int integer_value(const uint8_t *p, int64_t length, int readable, int64_t *value) {
    int negative = 0;
    if (length && (*p == '-' || *p == '+')) {
        negative = *p == '-';
        p++, length--;
    }
    if (!length) return 0;
    while (UNLIKELY(length > 19)) {
        if (*p != '0') return 0;
        p++, length--;
    }
    uint64_t size;
    if (!digits_value(p, length, readable, &size)) return 0;
    if (size > (uint64_t)INT64_MAX + (uint64_t)negative) return 0;
    *value = negative ? (int64_t)(0 - size) : (int64_t)size;
    return 1;
}

int th_decimal_slow(const uint8_t *p, int64_t length, int scale, int64_t *value);

/* [+-]?([0-9]+(.[0-9]{0,scale}0*)?|.[0-9]{1,scale}0*) times 10^scale, within int64. */
static inline int decimal_value(const uint8_t *p, int64_t length, int readable, int scale, int64_t *value) {
    if (LIKELY(readable && length <= 9 && length > 1 && *p >= '0')) {
        /* Digits with a point somewhere among the first eight bytes: take it out and read the rest as one number. */
        uint64_t word = load64(p);
        uint64_t point = word ^ 0x2E2E2E2E2E2E2E2Eull;
        uint64_t found = (point - 0x0101010101010101ull) & ~point & 0x8080808080808080ull;
        if (found) {
            int at = __builtin_ctzll(found) >> 3;
            int decimals = (int)length - at - 1;
            if (LIKELY(at < length && decimals >= 0 && decimals <= scale)) {
                uint64_t before = at ? word & (~0ull >> (8 * (8 - at))) : 0;
                uint64_t after = load64(p + 1) & ~(at ? ~0ull >> (8 * (8 - at)) : 0);
                uint64_t joined = right_aligned(before | after, (int)length - 1);
                if (!eight_digits(joined)) return 0;
                uint64_t size = number_of(joined), factor = th_powers_of_ten[scale - decimals];
                uint64_t scaled;
                if (__builtin_mul_overflow(size, factor, &scaled) || scaled > INT64_MAX) return 0;
                *value = (int64_t)scaled;
                return 1;
            }
        }
    }
    return th_decimal_slow(p, length, scale, value);
}

/* The last minute read: a tape is nearly sorted, so most rows share theirs with the row before. */
typedef struct {
    uint64_t first, second; /* bytes 0..15: YYYY-MM-DDTHH:MM */
    int64_t ns;
} th_minute;

int th_minute_value(const uint8_t *p, int64_t *ns);
int th_offset_value(const uint8_t *p, int64_t *ns);

/* YYYY-MM-DD[T ]HH:MM:SS[.f{1,9}](Z|[+-]HH:MM) as ns since 1970 UTC. A text without offset is refused. */
static inline int iso8601_value(const uint8_t *p, int64_t length, int readable, th_minute *minute, int64_t *value) {
    if (length < 20 || length > 35) return 0;
    int64_t ns, shift = 0;
    uint64_t first = load64(p), second = load64(p + 8);
    if (LIKELY(first == minute->first && second == minute->second)) {
        ns = minute->ns;
    } else {
        if (!th_minute_value(p, &ns)) return 0;
        minute->first = first, minute->second = second, minute->ns = ns;
    }
    uint8_t tens = p[17] - '0', units = p[18] - '0';
    if (p[16] != ':' || tens > 5 || units > 9) return 0;
    ns += (tens * 10 + units) * NS_PER_SECOND;
    int64_t ending = 1;
    if (UNLIKELY(p[length - 1] != 'Z')) {
        if (length < 25 || !th_offset_value(p + length - 6, &shift)) return 0;
        ending = 6;
    }
    int64_t decimals = length - 19 - ending - 1;
    if (decimals >= 0) {
        uint64_t fraction;
        if (decimals < 1 || decimals > 9 || p[19] != '.') return 0;
        if (!digits_value(p + 20, decimals, readable, &fraction)) return 0;
        ns += (int64_t)(fraction * th_powers_of_ten[9 - decimals]);
    }
    *value = ns - shift;
    return 1;
}

#endif
