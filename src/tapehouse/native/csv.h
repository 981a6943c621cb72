#ifndef TAPEHOUSE_CSV_H
#define TAPEHOUSE_CSV_H

#include "tapehouse.h"

/* Texts that a dictionary holds at most; beyond, the column is not one of few values. */
#define TH_DICTIONARY_MAX 8192
#define TH_DICTIONARY_SLOTS 32768

enum th_kind { TH_VIEWS, TH_CODES, TH_INTEGER, TH_DECIMAL, TH_ISO8601 };
enum th_outcome { TH_READ, TH_NOT_PLAIN, TH_DICTIONARY_FULL, TH_NO_MEMORY };

/* One column to be filled from field number `field`. The caller owns all memory: `values` (a view, a uint32 code or an
 * int64 per row), `valid` (bits, all set), `refused` (bits, all clear), and for texts `side` (as many bytes as the
 * block), for codes also `dictionary` (TH_DICTIONARY_MAX views) and `slots` (TH_DICTIONARY_SLOTS zeros). */
typedef struct {
    int32_t field, kind;
    int64_t factor, limit; /* integers: value x factor, refused beyond +-limit (negative: any int64 is good) */
    int32_t scale;         /* decimals: places kept */
    int32_t empty_is_null;
    int32_t null_texts; /* further texts that mean null: each its uint32 length and its bytes, in `nulls` */
    int32_t distinct;   /* out: texts in the dictionary */
    const uint8_t *nulls;
    void *values;
    uint8_t *valid, *refused;
    uint8_t *side;
    th_view *dictionary;
    uint32_t *slots;
    int64_t side_used, nulls_found, refusals; /* out */
    uint32_t slot_mask;                       /* of the slots in use, which are few while the texts are few */
} th_column;

/* Where records lie in the block. Good ones have a row each; `odd` ones have another number of fields than asked for,
 * and `odd_rows` tells their place among all records of the block. */
typedef struct {
    uint32_t *starts, *ends;
    uint32_t *odd_starts, *odd_ends, *odd_rows, *odd_fields;
    int64_t good, odd, odd_max, bytes_max;
    int32_t full; /* the column whose dictionary was full */
} th_records;

TH_API int64_t th_count(const uint8_t *data, int64_t size, uint8_t byte);

/* Whether every byte is ASCII and none is NUL. */
TH_API int th_ascii(const uint8_t *data, int64_t size);

/* Reads a block of whole records. `quote` is negative where fields are never quoted. A carriage return before a line
 * feed belongs to the line end; with another line end it is data. */
TH_API int th_csv_read(const uint8_t *data, int64_t size, uint8_t separator, uint8_t line_end, int quote, int32_t width,
                       th_column *columns, int32_t column_count, th_records *records);

#endif
