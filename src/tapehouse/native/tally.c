/* Fingerprints and exact sums of rows: see tapehouse.kernel.fingerprint, which says what they mean. */
#include "tapehouse.h"

/* Rows handled at once: their words stay in the first-level cache while the columns pass by. */
#define BLOCK 1024
#define GOLDEN 0x9E3779B97F4A7C15ull
#define NULL_BITS (-0x5A5A5A5A5A5A5A5All)
#define NAN_BITS 0x7FF8000000000000ull

enum th_field_kind { TH_INT64, TH_INT32, TH_BITS, TH_DOUBLE, TH_VIEW_LENGTHS, TH_CODE_LENGTHS };

/* One column. `offset` counts rows into `values` and `valid` (null: no nulls). `lengths` by code. */
typedef struct {
    const void *values;
    const uint8_t *valid;
    const int64_t *lengths;
    int64_t offset;
    uint64_t multiplier;
    int32_t kind;
} th_field;

typedef struct {
    const int64_t *values;
    const uint8_t *valid;
    int64_t offset;
} th_measure;

static inline int64_t value_of(const th_field *f, int64_t at) {
    switch (f->kind) {
    case TH_INT32: return ((const int32_t *)f->values)[at];
    case TH_BITS: return get_bit(f->values, at);
    default: return ((const int64_t *)f->values)[at];
    }
}

static inline uint64_t double_bits(const double *value) {
    double positive = *value + 0.0; /* -0.0 becomes 0.0 */
    uint64_t bits;
    memcpy(&bits, &positive, 8);
    return bits;
}

static inline uint64_t null_of(const th_field *f) {
    if (f->kind == TH_DOUBLE) return NAN_BITS;
    return f->kind == TH_VIEW_LENGTHS || f->kind == TH_CODE_LENGTHS ? (uint64_t)-1 : (uint64_t)NULL_BITS;
}

#define MIX_EACH(bits_of)                                                                                              \
    for (int64_t i = 0; i < count; i++) words[i] += (uint64_t)(bits_of) * f->multiplier

static void mix_column(const th_field *f, int64_t first, int64_t count, uint64_t *words) {
    int64_t from = first + f->offset;
    if (f->valid) {
        uint64_t missing = null_of(f);
        const th_view *views = f->values;
        const uint32_t *codes = f->values;
        const double *doubles = f->values;
        for (int64_t i = 0; i < count; i++) {
            uint64_t bits = missing;
            if (get_bit(f->valid, from + i)) {
                if (f->kind == TH_VIEW_LENGTHS) bits = views[from + i].length;
                else if (f->kind == TH_CODE_LENGTHS) bits = (uint64_t)f->lengths[codes[from + i]];
                else if (f->kind == TH_DOUBLE) bits = double_bits(doubles + from + i);
                else bits = (uint64_t)value_of(f, from + i);
            }
            words[i] += bits * f->multiplier;
        }
        return;
    }
    switch (f->kind) {
    case TH_INT64: { const int64_t *v = (const int64_t *)f->values + from; MIX_EACH(v[i]); break; }
    case TH_INT32: { const int32_t *v = (const int32_t *)f->values + from; MIX_EACH((int64_t)v[i]); break; }
    case TH_BITS: MIX_EACH(get_bit(f->values, from + i)); break;
    case TH_DOUBLE: { const double *v = (const double *)f->values + from; MIX_EACH(double_bits(v + i)); break; }
    case TH_VIEW_LENGTHS: { const th_view *v = (const th_view *)f->values + from; MIX_EACH(v[i].length); break; }
    case TH_CODE_LENGTHS: {
        const uint32_t *v = (const uint32_t *)f->values + from;
        MIX_EACH(f->lengths[v[i]]);
        break;
    }
    }
}

/* The SplitMix64 finaliser (Steele, Lea and Flood, 2014). */
static inline uint64_t finished(uint64_t word) {
    word ^= word >> 30;
    word *= 0xBF58476D1CE4E5B9ull;
    word ^= word >> 27;
    word *= 0x94D049BB133111EBull;
    return word ^ (word >> 31);
}

static void add_measure(const th_measure *m, const uint32_t *batch, int64_t first, int64_t count, int64_t *highs,
                        int64_t *lows, int64_t stride) {
    for (int64_t i = first; i < first + count; i++) {
        int64_t value = m->values[m->offset + i], place = (int64_t)batch[i] * stride;
        if (m->valid && !get_bit(m->valid, m->offset + i)) continue;
        highs[place] += value >> 32;
        lows[place] += value & 0xFFFFFFFFll;
    }
}

/* Adds `count` rows to the totals of their batches. `batch` and `row` identify each row; `salts`, `rows` and `prints`
 * are by batch, `highs` and `lows` (sums of the halves of each measure's values) by batch and measure. */
TH_API void th_tally(const th_field *fields, int32_t field_count, const th_measure *measures, int32_t measure_count,
                     int64_t count, const uint32_t *batch, const int64_t *row, const uint64_t *salts, int64_t *rows,
                     uint64_t *prints, int64_t *highs, int64_t *lows) {
    uint64_t words[BLOCK];
    for (int64_t first = 0; first < count; first += BLOCK) {
        int64_t size = count - first < BLOCK ? count - first : BLOCK;
        for (int64_t i = 0; i < size; i++) words[i] = salts[batch[first + i]] + (uint64_t)row[first + i] * GOLDEN;
        for (int32_t c = 0; c < field_count; c++) mix_column(&fields[c], first, size, words);
        for (int64_t i = 0; i < size; i++) {
            uint32_t owner = batch[first + i];
            prints[owner] += finished(words[i]);
            rows[owner]++;
        }
        for (int32_t m = 0; m < measure_count; m++)
            add_measure(&measures[m], batch, first, size, highs + m, lows + m, measure_count);
    }
}
