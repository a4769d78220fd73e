#include "schedules/simulate/costs_csv.h"

#include <string.h>

#include "base/text.h"
#include "schedules/io/csv_cells.h"

enum { MOST_COLUMNS = 16, LONGEST = 32 };

struct columns {
    char names[MOST_COLUMNS][LONGEST];
    int n;
};

static weir_status cell_copy(const struct weir_csv_cell *cell, const char *name, int row, char out[LONGEST])
{
    if (cell->unclosed || cell->length >= LONGEST)
        return WEIR_FAIL(WEIR_ERR_INVALID, "'%s', row %d: a cell is too long, or its quote is not closed", name, row);
    memcpy(out, cell->text, cell->length);
    out[cell->length] = 0;
    return WEIR_OK;
}

static weir_status names_read(struct weir_csv_cells *cells, const char *name, struct columns *columns)
{
    struct weir_csv_cell cell;
    weir_status status = WEIR_OK;
    columns->n = 0;
    while (!status && weir_csv_cell_next(cells, &cell)) {
        if (columns->n == MOST_COLUMNS)
            return WEIR_FAIL(WEIR_ERR_INVALID, "'%s': more than %d columns", name, (int)MOST_COLUMNS);
        status = cell_copy(&cell, name, 1, columns->names[columns->n++]);
    }
    if (!status && (!columns->n || strcmp(columns->names[0], "stage") != 0))
        status = WEIR_FAIL(WEIR_ERR_INVALID, "'%s' is neither JSON nor a CSV whose first row is stage,F,B", name);
    return status;
}

/* One stage; cells without text are left out. */
static weir_status row_read(struct weir_csv_cells *cells, const char *name, const struct columns *columns, int row, json_t *stages)
{
    struct weir_csv_cell cell;
    char text[LONGEST];
    bool is_empty = true;
    json_t *stage = json_object();
    weir_status status = stage ? WEIR_OK : WEIR_FAIL(WEIR_ERR_NOMEM, "no memory for the costs of a stage");
    for (int i = 0; !status && weir_csv_cell_next(cells, &cell); i++) {
        double value;
        status = cell_copy(&cell, name, row, text);
        if (status || !*text)
            continue;
        is_empty = false;
        if (i >= columns->n)
            status = WEIR_FAIL(WEIR_ERR_INVALID, "'%s', row %d: more cells than the first row has names", name, row);
        else if (!weir_parse_double(text, &value))
            status = WEIR_FAIL(WEIR_ERR_INVALID, "'%s', row %d: '%s' is no number", name, row, text);
        else if (i == 0 && value != (double)json_array_size(stages))
            status = WEIR_FAIL(WEIR_ERR_INVALID, "'%s', row %d: stage %s, where stage %zu is expected", name, row, text, json_array_size(stages));
        else if (i > 0 && json_object_set_new(stage, columns->names[i], json_real(value)))
            status = WEIR_FAIL(WEIR_ERR_INVALID, "'%s', row %d: a column's name cannot be read", name, row);
    }
    if (status || is_empty) {
        json_decref(stage);
        return status;
    }
    return json_array_append_new(stages, stage) ? WEIR_FAIL(WEIR_ERR_NOMEM, "no memory for the costs of a stage") : WEIR_OK;
}

weir_status weir_costs_csv(const char *text, size_t bytes, const char *name, json_t **root_out)
{
    struct weir_csv_cells cells;
    struct columns columns;
    json_t *root, *stages = json_array();
    weir_status status = weir_csv_cells_open(&cells, text, bytes);
    if (status) {
        json_decref(stages);
        return status;
    }
    if (!weir_csv_row_next(&cells))
        status = WEIR_FAIL(WEIR_ERR_INVALID, "'%s' has no rows", name);
    if (!status)
        status = names_read(&cells, name, &columns);
    for (int row = 2; !status && weir_csv_row_next(&cells); row++)
        status = row_read(&cells, name, &columns, row, stages);
    weir_csv_cells_release(&cells);
    root = status ? NULL : json_pack("{s:O}", "stages", stages);
    if (!status && !root)
        status = WEIR_FAIL(WEIR_ERR_NOMEM, "no memory for costs");
    json_decref(stages);
    if (!status)
        *root_out = root;
    return status;
}
