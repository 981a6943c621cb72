#include "values.h"

const uint64_t th_powers_of_ten[20] = {
    1ull, 10ull, 100ull, 1000ull, 10000ull, 100000ull, 1000000ull, 10000000ull, 100000000ull, 1000000000ull,
    10000000000ull, 100000000000ull, 1000000000000ull, 10000000000000ull, 100000000000000ull, 1000000000000000ull,
    10000000000000000ull, 100000000000000000ull, 1000000000000000000ull, 10000000000000000000ull,
};

/* Any decimal of the grammar, digit by digit. */
int th_decimal_slow(const uint8_t *p, int64_t length, int scale, int64_t *value) {
    const uint8_t *end = p + length;
    int negative = 0, digits = 0, decimals = 0;
    uint64_t total = 0;
    if (p < end && (*p == '-' || *p == '+')) negative = *p++ == '-';
    for (; p < end && is_digit(*p); p++, digits++) {
        if (__builtin_mul_overflow(total, 10ull, &total)) return 0;
        if (__builtin_add_overflow(total, (uint64_t)(*p - '0'), &total)) return 0;
    }
    if (p < end && *p == '.') {
        p++;
        int whole = digits;
        for (; p < end && is_digit(*p); p++, digits++) {
            if (decimals == scale) {
                if (*p != '0') return 0;
                continue;
            }
            decimals++;
            if (__builtin_mul_overflow(total, 10ull, &total)) return 0;
            if (__builtin_add_overflow(total, (uint64_t)(*p - '0'), &total)) return 0;
        }
        if (!whole && digits == 0) return 0; /* a point alone */
    }
    if (p != end || !digits) return 0;
    if (__builtin_mul_overflow(total, th_powers_of_ten[scale - decimals], &total)) return 0;
    if (total > (uint64_t)INT64_MAX + (uint64_t)negative) return 0;
    *value = negative ? (int64_t)(0 - total) : (int64_t)total;
    return 1;
}

static int two_digits(const uint8_t *p) {
    return is_digit(p[0]) && is_digit(p[1]) ? (p[0] - '0') * 10 + (p[1] - '0') : -1;
}

/* Days since 1970-01-01 of a date in the proleptic Gregorian calendar (Hinnant, days_from_civil). */
static int64_t days_of(int64_t year, int month, int day) {
    year -= month <= 2;
    int64_t era = (year >= 0 ? year : year - 399) / 400;
    int64_t of_era = year - era * 400;
    int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

/* YYYY-MM-DD[T ]HH:MM (16 bytes) as ns. Days that may leave int64 once a time or an offset is added are refused. */
int th_minute_value(const uint8_t *p, int64_t *ns) {
    static const uint8_t lengths[13] = {0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int century = two_digits(p), years = two_digits(p + 2), month = two_digits(p + 5), day = two_digits(p + 8);
    int hour = two_digits(p + 11), minute = two_digits(p + 14);
    if (p[4] != '-' || p[7] != '-' || (p[10] != 'T' && p[10] != ' ') || p[13] != ':') return 0;
    if (century < 0 || years < 0 || month < 1 || month > 12 || day < 1) return 0;
    if (hour < 0 || hour > 23 || minute < 0 || minute > 59) return 0;
    int year = century * 100 + years;
    int leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    if (day > lengths[month] + (month == 2 && leap)) return 0;
    int64_t days = days_of(year, month, day);
    /* floor(-2^63 / day) + 2 .. floor((2^63 - 1) / day) - 1 */
    if (days < -106752 + 2 || days > 106751 - 1) return 0;
    *ns = days * NS_PER_DAY + (hour * 60 + minute) * (60 * NS_PER_SECOND);
    return 1;
}

/* [+-]HH:MM as ns east of UTC. */
int th_offset_value(const uint8_t *p, int64_t *ns) {
    int hours = two_digits(p + 1), minutes = two_digits(p + 4);
    if ((*p != '+' && *p != '-') || p[3] != ':') return 0;
    if (hours < 0 || hours > 23 || minutes < 0 || minutes > 59) return 0;
    *ns = (*p == '-' ? -1 : 1) * (hours * 60 + minutes) * (60 * NS_PER_SECOND);
    return 1;
}
