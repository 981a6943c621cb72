/* Bars of trades that are sorted by symbol and time: see tapehouse.kernel.derive for what they mean. */
#include "tapehouse.h"

/* Prices are summed in two parts, so that 64 bits hold the sums of all but absurd values. */
#define LOW_BITS 20

typedef struct {
    int64_t *first, *start, *high, *low, *volume;
    int64_t *notional_high, *notional_low; /* sum(price x size) = high x 2^20 + low */
} th_bars_out;

static int64_t floor_to(int64_t time, int64_t interval) {
    int64_t rest = time % interval;
    if (rest < 0) rest += interval;
    int64_t start;
    return __builtin_sub_overflow(time, rest, &start) ? INT64_MIN : start;
}

/* One bar per run of rows with equal symbol (by code) and interval. Returns the number of bars, or -1 where a sum
 * leaves 64 bits. Arrays of `out` have room for `count`. */
TH_API int64_t th_bars(const int64_t *times, const uint32_t *symbols, const int64_t *prices, const int64_t *sizes,
                       int64_t count, int64_t interval, const th_bars_out *out) {
    int64_t bars = -1, start = 0, end = 0;
    int wide = 0;
    for (int64_t i = 0; i < count; i++) {
        int64_t price = prices[i], size = sizes[i], part;
        /* The end of the last interval of all is beyond 64 bits: there each row's interval is looked up. */
        if (bars < 0 || symbols[i] != symbols[i - 1] || times[i] < start || times[i] >= end) {
            int64_t begins = floor_to(times[i], interval);
            if (bars < 0 || symbols[i] != symbols[i - 1] || begins != start) {
                bars++;
                out->first[bars] = i, out->start[bars] = start = begins;
                out->high[bars] = out->low[bars] = price;
                out->volume[bars] = out->notional_high[bars] = out->notional_low[bars] = 0;
                if (__builtin_add_overflow(begins, interval, &end)) end = INT64_MIN;
            }
        }
        if (price > out->high[bars]) out->high[bars] = price;
        if (price < out->low[bars]) out->low[bars] = price;
        wide |= __builtin_add_overflow(out->volume[bars], size, &out->volume[bars]);
        wide |= __builtin_mul_overflow(price >> LOW_BITS, size, &part);
        wide |= __builtin_add_overflow(out->notional_high[bars], part, &out->notional_high[bars]);
        wide |= __builtin_mul_overflow(price & ((1 << LOW_BITS) - 1), size, &part);
        wide |= __builtin_add_overflow(out->notional_low[bars], part, &out->notional_low[bars]);
    }
    return wide ? -1 : bars + 1;
}
