/* Order and repetition of 64-bit keys. */
#include "tapehouse.h"

#include <stdlib.h>

#define DIGIT 11
#define BUCKETS (1 << DIGIT)
/* With more ascending runs than this in a bucket, sorting by digits is faster than merging. */
#define RUNS_MAX 16

typedef struct {
    uint64_t key;
    uint32_t at;
} item;

/* Merge [0, middle) and [middle, count), each ascending; equal keys keep their order. */
static void merge(const item *from, int64_t middle, int64_t count, item *to) {
    int64_t left = 0, right = middle;
    while (left < middle && right < count) {
        int take_right = from[right].key < from[left].key;
        *to++ = from[take_right ? right : left];
        left += !take_right, right += take_right;
    }
    memcpy(to, from + left, sizeof(item) * (size_t)(middle - left));
    to += middle - left;
    memcpy(to, from + right, sizeof(item) * (size_t)(count - right));
}

/* Merge neighbouring runs until one is left; returns where the result lies. */
static item *merge_runs(item *items, item *spare, int64_t *ends, int runs) {
    while (runs > 1) {
        int left = 0;
        for (int i = 0; i < runs; i += 2) {
            int64_t start = i ? ends[i - 1] : 0, middle = ends[i], end = i + 1 < runs ? ends[i + 1] : middle;
            merge(items + start, middle - start, end - start, spare + start);
            ends[left++] = end; /* never the one before the next pair: left stays below i */
        }
        runs = left;
        item *swap = items;
        items = spare, spare = swap;
    }
    return items;
}

/* Stable, by the lowest `bits` of the keys; returns where the result lies. */
static item *sort_by_digits(item *items, item *spare, int64_t count, int bits) {
    for (int shift = 0; shift < bits; shift += DIGIT) {
        uint32_t places[BUCKETS] = {0};
        for (int64_t i = 0; i < count; i++) places[(items[i].key >> shift) & (BUCKETS - 1)]++;
        if (places[(items[0].key >> shift) & (BUCKETS - 1)] == (uint32_t)count) continue;
        uint32_t total = 0;
        for (int b = 0; b < BUCKETS; b++) {
            uint32_t size = places[b];
            places[b] = total;
            total += size;
        }
        for (int64_t i = 0; i < count; i++) spare[places[(items[i].key >> shift) & (BUCKETS - 1)]++] = items[i];
        item *swap = items;
        items = spare, spare = swap;
    }
    return items;
}

static item *sort_bucket(item *items, item *spare, int64_t count, int bits) {
    int64_t ends[RUNS_MAX + 1];
    int runs = 0;
    for (int64_t i = 1; i < count && runs <= RUNS_MAX; i++)
        if (items[i].key < items[i - 1].key) ends[runs < RUNS_MAX ? runs : RUNS_MAX] = i, runs++;
    if (runs >= RUNS_MAX) return sort_by_digits(items, spare, count, bits);
    ends[runs++] = count;
    return merge_runs(items, spare, ends, runs);
}

/* The `names` (null: positions) of `keys`, all below 2^bits, in the order of these, ties in the order given. `order`
 * holds `count` < 2^32 of them. Returns 0, or 1 when there is no memory. */
TH_API int th_argsort(const uint64_t *keys, const uint32_t *names, int64_t count, int bits, uint32_t *order) {
    int shift = bits > DIGIT ? bits - DIGIT : 0;
    int64_t *ends = calloc(BUCKETS + 1, sizeof(int64_t));
    item *items = malloc(sizeof(item) * (size_t)(count + 1));
    int64_t largest = 0;
    if (!ends || !items) {
        free(ends), free(items);
        return 1;
    }
    for (int64_t i = 0; i < count; i++) ends[(keys[i] >> shift) + 1]++;
    for (int b = 0; b < BUCKETS; b++) {
        largest = ends[b + 1] > largest ? ends[b + 1] : largest;
        ends[b + 1] += ends[b];
    }
    /* ends[b] is now where bucket b begins, and moves to where it ends. */
    for (int64_t i = 0; i < count; i++) items[ends[keys[i] >> shift]++] = (item){keys[i], names ? names[i] : (uint32_t)i};
    item *spare = malloc(sizeof(item) * (size_t)(largest + 1));
    if (spare) {
        for (int64_t b = 0, from = 0; b < BUCKETS; from = ends[b++]) {
            int64_t size = ends[b] - from;
            if (!size) continue;
            item *sorted = sort_bucket(items + from, spare, size, shift);
            for (int64_t i = 0; i < size; i++) order[from + i] = sorted[i].at;
        }
    }
    int code = spare == NULL;
    free(ends), free(items), free(spare);
    return code;
}

#define PART(hash) (bits ? (hash) >> (64 - bits) : 0)
#define MINE(hash) ((int)((hash) & 1) == half)

/* Hash values that occur more than once, each at least once, in no order, into `found` (room for all hashes); returns
 * how many, or -1 when there is no memory. Only those of one half of all values are looked at: the ones whose lowest
 * bit is `half`. Hashes are parted by their top bits so that each part's table fits the first-level cache. */
TH_API int64_t th_repeated(
    const uint64_t *const *arrays, const int64_t *sizes, int64_t array_count, int half, uint64_t *found) {
    int64_t all = 0, count = 0, repeats = 0;
    for (int64_t a = 0; a < array_count; a++) all += sizes[a];
    int bits = 0;
    while (bits < 14 && (all >> bits) > 2048) bits++;
    int64_t parts = 1ll << bits, largest = 0;
    int64_t *ends = calloc((size_t)parts + 1, sizeof(int64_t));
    for (int64_t a = 0; ends && a < array_count; a++)
        for (int64_t i = 0; i < sizes[a]; i++) ends[PART(arrays[a][i]) + 1] += MINE(arrays[a][i]);
    for (int64_t p = 0; ends && p < parts; p++) count += ends[p + 1];
    uint64_t *parted = malloc(sizeof(uint64_t) * (size_t)(count + 1));
    if (!ends || !parted) {
        free(ends), free(parted);
        return -1;
    }
    for (int64_t p = 0; p < parts; p++) {
        largest = ends[p + 1] > largest ? ends[p + 1] : largest;
        ends[p + 1] += ends[p];
    }
    for (int64_t a = 0; a < array_count; a++)
        for (int64_t i = 0; i < sizes[a]; i++) {
            uint64_t hash = arrays[a][i];
            if (MINE(hash)) parted[ends[PART(hash)]++] = hash;
        }
    uint64_t slots = 16;
    while (slots < (uint64_t)largest * 2) slots *= 2;
    uint64_t *table = malloc(sizeof(uint64_t) * (size_t)slots);
    if (!table) repeats = -1;
    for (int64_t p = 0, from = 0; table && p < parts; from = ends[p++]) {
        int zeros = 0; /* an empty slot is zero, so the hash zero is counted apart */
        memset(table, 0, sizeof(uint64_t) * (size_t)slots);
        for (int64_t i = from; i < ends[p]; i++) {
            uint64_t hash = parted[i], slot = (hash >> 1) & (slots - 1);
            if (!hash) {
                if (zeros++) found[repeats++] = hash;
                continue;
            }
            while (table[slot] && table[slot] != hash) slot = (slot + 1) & (slots - 1);
            if (table[slot] == hash) found[repeats++] = hash;
            table[slot] = hash;
        }
    }
    free(ends), free(parted), free(table);
    return repeats;
}

/* Positions whose hash is among `value_count` ascending `values`, into `found` (room for `count`); returns how many.
 * `filter`, 2^16 bits zeroed by the caller, passes over nearly all others. */
TH_API int64_t th_candidates(const uint64_t *hashes, int64_t count, const uint64_t *values, int64_t value_count,
                             uint8_t *filter, int64_t *found) {
    int64_t candidates = 0;
    for (int64_t i = 0; i < value_count; i++) set_bit(filter, (int64_t)(values[i] >> 48));
    for (int64_t i = 0; i < count; i++) {
        if (LIKELY(!get_bit(filter, (int64_t)(hashes[i] >> 48)))) continue;
        int64_t low = 0, high = value_count;
        while (low < high) {
            int64_t middle = (low + high) / 2;
            if (values[middle] < hashes[i]) low = middle + 1;
            else high = middle;
        }
        if (low < value_count && values[low] == hashes[i]) found[candidates++] = i;
    }
    return candidates;
}
