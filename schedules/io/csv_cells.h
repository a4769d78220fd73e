/* The cells of a CSV file, whoever saved it: what spreadsheets change is undone here.
 *
 *     encoding    UTF-8 with or without a byte-order mark; UTF-16, both byte orders
 *     separator   comma; where the file has none, semicolon; where it has neither, tab
 *     row ends    LF, CR LF, CR
 *     quotes      "0F1": separators and row ends within belong to the cell
 *
 * Blanks around a cell are dropped.  In a file with semicolons (0F7;7B3)OVERLAP_F_B is one cell, with quotes or without.
 *
 *     struct weir_csv_cells cells;
 *     weir_status status = weir_csv_cells_open(&cells, text, bytes);
 *     while (weir_csv_row_next(&cells))
 *         while (weir_csv_cell_next(&cells, &cell))
 *             ...
 *     weir_csv_cells_release(&cells); */
#ifndef WEIR_SCHEDULES_IO_CSV_CELLS_H
#define WEIR_SCHEDULES_IO_CSV_CELLS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/status.h"

struct weir_csv_cells {
    const char *at, *end;
    char *decoded; /* the UTF-8 of a file in UTF-16, or NULL */
    char separator;
    bool in_row;
};

struct weir_csv_cell {
    const char *text; /* without quotes and blanks around; points into the file */
    size_t length;
    bool unclosed; /* a quote that the file does not close */
};

/* Get ready to read `text`, which must stay.  WEIR_ERR_INVALID: UTF-16 that ends within a character; WEIR_ERR_NOMEM. */
weir_status weir_csv_cells_open(struct weir_csv_cells *cells, const char *text, size_t bytes);
void weir_csv_cells_release(struct weir_csv_cells *cells);

/* Go to the next row, once all cells of the one before have been taken.  false at the end of the file. */
bool weir_csv_row_next(struct weir_csv_cells *cells);

/* The next cell of the row, which may be empty.  false at the end of the row. */
bool weir_csv_cell_next(struct weir_csv_cells *cells, struct weir_csv_cell *cell_out);

/* ---- characters that are not seen -------------------------------------------------------------------------------- */

/* What a cell may not hold: anything but visible ASCII and blanks. */
struct weir_csv_stranger {
    size_t place;    /* character of the cell, counted from 1 */
    char name[64];   /* "U+00A0 (no-break space)", "byte 0xff" */
    char shown[192]; /* the cell with its strangers spelt out: "0F1<U+00A0>" */
};

/* The first stranger of a cell.  false when there is none. */
bool weir_csv_stranger_find(const struct weir_csv_cell *cell, struct weir_csv_stranger *out);

#endif
