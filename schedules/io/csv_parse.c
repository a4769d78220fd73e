/* PyTorch's schedule CSV, read strictly.
 *
 *     file   = [ "# weir-schedule 1" [ " copies=2" ] [ " slices=" number ] newline ] row { newline row }
 *     row    = cell { "," cell }                      one row per rank
 *     cell   = blank | action | "(" action ";" action ")OVERLAP_F_B"
 *     action = stage TYPE [ micro-batch ]             12F3, 0SEND_F1, 4UNSHARD
 *
 * Blank cells (an idle step) are dropped; blank rows at the end of the file as well.  csv_cells.h reads what spreadsheets
 * make of such a file. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/large.h"
#include "base/text.h"
#include "schedules/check/scan.h"
#include "schedules/io/csv_cells.h"

enum { LONGEST_CELL = 96, LARGEST_NUMBER = 1 << 20, MOST_ROWS = 1 << 16, MOST_SLICES = 1 << 20 };

static const size_t LARGEST_FILE = (size_t)4 << 30;

struct parser {
    struct weir_csv_cells cells_left;
    enum weir_csv_dialect dialect;
    int row, cell;               /* counted from 1 */
    struct weir_action *actions; /* of the row at hand */
    int32_t *cells;              /* where each stands in the row */
    size_t n_actions, actions_capacity, cells_capacity;
    struct row *rows;            /* those before it */
    size_t rows_capacity;
    struct weir_schedule schedule;
    char *given_back; /* text up to here is not needed any more; NULL: the text is the caller's */
};

/* Kept as long as they are, because a file may have tens of millions of actions: cell numbers only of rows
 * with blank ones. */
struct row {
    const struct weir_action *actions;
    const int32_t *cells;
    size_t n_actions;
};

static weir_status fail_cell(const struct parser *parser, const char *cell, const char *reason)
{
    return WEIR_FAIL(WEIR_ERR_INVALID, "row %d, cell %d: '%s' %s", parser->row, parser->cell, cell, reason);
}

/* A number without sign; -1 when there is none or it is too large. */
static int32_t number_take(const char **at)
{
    int32_t value = 0;
    if (**at < '0' || **at > '9')
        return -1;
    for (; **at >= '0' && **at <= '9'; (*at)++) {
        value = value * 10 + (**at - '0');
        if (value >= LARGEST_NUMBER)
            return -1;
    }
    return value;
}

static const struct {
    const char *name;
    enum weir_action_type torch, torch_2024;
} types[] = {
    {"F", WEIR_F, WEIR_F},
    {"I", WEIR_I, WEIR_ACTION_TYPES},
    {"B", WEIR_B, WEIR_I},
    {"W", WEIR_W, WEIR_W},
    {"BW", WEIR_ACTION_TYPES, WEIR_B},
    {"SEND_F", WEIR_SEND_F, WEIR_SEND_F},
    {"RECV_F", WEIR_RECV_F, WEIR_RECV_F},
    {"SEND_B", WEIR_SEND_B, WEIR_SEND_B},
    {"RECV_B", WEIR_RECV_B, WEIR_RECV_B},
    {"REDUCE_GRAD", WEIR_REDUCE_GRAD, WEIR_REDUCE_GRAD},
    {"UNSHARD", WEIR_UNSHARD, WEIR_UNSHARD},
    {"RESHARD", WEIR_RESHARD, WEIR_RESHARD},
    {"WAIT_REDUCE_GRAD", WEIR_WAIT_REDUCE_GRAD, WEIR_WAIT_REDUCE_GRAD},
    {"WAIT_SEND_F", WEIR_WAIT_SEND_F, WEIR_WAIT_SEND_F},
    {"WAIT_SEND_B", WEIR_WAIT_SEND_B, WEIR_WAIT_SEND_B},
};

weir_status weir_csv_dialect_find(const char *name, enum weir_csv_dialect *dialect_out)
{
    static const char *const names[] = {"torch", "torch-2.15", "torch-2024", "torch-2025", NULL};
    static const enum weir_csv_dialect dialects[] = {WEIR_CSV_TORCH, WEIR_CSV_TORCH, WEIR_CSV_TORCH_2024,
                                                     WEIR_CSV_TORCH_2025};
    int index;
    weir_status status = weir_name_find("dialect", name, names, &index);
    if (!status)
        *dialect_out = dialects[index];
    return status;
}

static enum weir_action_type type_take(const char **at, enum weir_csv_dialect dialect)
{
    size_t length = 0;
    while (((*at)[length] >= 'A' && (*at)[length] <= 'Z') || (*at)[length] == '_')
        length++;
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
        if (strlen(types[i].name) == length && !memcmp(types[i].name, *at, length)) {
            *at += length;
            return dialect == WEIR_CSV_TORCH_2024 ? types[i].torch_2024 : types[i].torch;
        }
    return WEIR_ACTION_TYPES;
}

/* Why there is no type at `at`: another dialect has it, or nobody. */
static weir_status type_fail(const struct parser *parser, const char *cell, const char *at)
{
    enum weir_csv_dialect other = parser->dialect == WEIR_CSV_TORCH_2024 ? WEIR_CSV_TORCH : WEIR_CSV_TORCH_2024;
    const char *in_other = at;
    if (type_take(&in_other, other) == WEIR_ACTION_TYPES)
        return fail_cell(parser, cell, "has no action type after the stage: F, I, W, B, SEND_F, RECV_F, SEND_B, RECV_B, REDUCE_GRAD and the "
                                       "like, in capitals");
    return fail_cell(parser, cell, other == WEIR_CSV_TORCH_2024
                                       ? "is of the older dialect, in which B is the input gradient and BW both: use " WEIR_OPTION("dialect=torch-2024")
                                       : "is not of the dialect torch-2024, in which B is the input gradient: use " WEIR_OPTION("dialect=torch"));
}

/* One action from `*at`; `whole` is the cell it stands in, for messages. */
static weir_status action_take(const struct parser *parser, const char **at, const char *whole, struct weir_action *out)
{
    struct weir_action action = {.mb = -1};
    action.stage = number_take(at);
    if (action.stage < 0)
        return fail_cell(parser, whole,
                         **at >= '0' && **at <= '9' ? "has a stage above 1048575"
                                                    : "does not start with a stage number");
    const char *type_at = *at;
    enum weir_action_type type = type_take(at, parser->dialect);
    if (type == WEIR_ACTION_TYPES)
        return type_fail(parser, whole, type_at);
    action.type = (uint8_t)type;
    if (weir_action_has_microbatch(type)) {
        action.mb = number_take(at);
        if (action.mb < 0)
            return fail_cell(parser, whole,
                             **at >= '0' && **at <= '9' ? "has a micro-batch above 1048575"
                                                        : "needs a micro-batch number at its end");
    }
    *out = action;
    return WEIR_OK;
}

static weir_status action_append(struct parser *parser, const struct weir_action *action)
{
    weir_status status =
        weir_grow(&parser->actions, &parser->actions_capacity, parser->n_actions + 1, sizeof *parser->actions);
    if (!status)
        status = weir_grow(&parser->cells, &parser->cells_capacity, parser->n_actions + 1, sizeof *parser->cells);
    if (status)
        return status;
    parser->actions[parser->n_actions] = *action;
    parser->cells[parser->n_actions++] = parser->cell;
    struct weir_schedule *s = &parser->schedule;
    s->n_stages = action->stage >= s->n_stages ? action->stage + 1 : s->n_stages;
    s->n_microbatches = action->mb >= s->n_microbatches ? action->mb + 1 : s->n_microbatches;
    s->has_comms |= action->type >= WEIR_SEND_F && action->type <= WEIR_RECV_B;
    return WEIR_OK;
}

static weir_status overlap_parse(struct parser *parser, const char *cell)
{
    const char *at = cell + 1;
    struct weir_action forward, backward;
    weir_status status = action_take(parser, &at, cell, &forward);
    if (!status && *at++ != ';')
        status = fail_cell(parser, cell, "is not of the form (0F1;7B0)OVERLAP_F_B");
    if (!status)
        status = action_take(parser, &at, cell, &backward);
    if (!status && strcmp(at, ")OVERLAP_F_B") != 0)
        status = fail_cell(parser, cell, "is not of the form (0F1;7B0)OVERLAP_F_B");
    if (!status && (forward.type != WEIR_F || (backward.type != WEIR_B && backward.type != WEIR_I)))
        status = fail_cell(parser, cell, "must overlap a forward with a backward, in this order");
    forward.fused = 1;
    if (!status)
        status = action_append(parser, &forward);
    if (!status)
        status = action_append(parser, &backward);
    return status;
}

static weir_status text_parse(struct parser *parser, const char *text)
{
    if (*text == '(')
        return overlap_parse(parser, text);
    struct weir_action action;
    const char *at = text;
    weir_status status = action_take(parser, &at, text, &action);
    if (!status && *at)
        status = fail_cell(parser, text, "has trailing characters");
    return status ? status : action_append(parser, &action);
}

/* A cell holds visible characters only: others look like nothing in an editor, so they are named. */
static weir_status visible_check(const struct parser *parser, const struct weir_csv_cell *cell)
{
    struct weir_csv_stranger stranger;
    if (!weir_csv_stranger_find(cell, &stranger))
        return WEIR_OK;
    return WEIR_FAIL(WEIR_ERR_INVALID, "row %d, cell %d: character %zu of '%s' is %s", parser->row, parser->cell,
                     stranger.place, stranger.shown, stranger.name);
}

static weir_status cell_parse(struct parser *parser, const struct weir_csv_cell *cell)
{
    char text[LONGEST_CELL];
    if (cell->unclosed)
        return WEIR_FAIL(WEIR_ERR_INVALID, "row %d, cell %d: the quote is not closed", parser->row, parser->cell);
    weir_status status = visible_check(parser, cell);
    if (status || !cell->length)
        return status;
    if (cell->length >= sizeof text)
        return WEIR_FAIL(WEIR_ERR_INVALID, "row %d, cell %d: %zu bytes that are no action", parser->row, parser->cell,
                         cell->length);
    memcpy(text, cell->text, cell->length);
    text[cell->length] = 0;
    return text_parse(parser, text);
}

static weir_status row_parse(struct parser *parser)
{
    struct weir_csv_cell cell;
    weir_status status = WEIR_OK;
    for (parser->cell = 1; !status && weir_csv_cell_next(&parser->cells_left, &cell); parser->cell++)
        status = cell_parse(parser, &cell);
    return status;
}

/* The text of a cell with one space where it has several. */
static void cell_squeeze(const struct weir_csv_cell *cell, char *line, size_t room)
{
    size_t n = 0;
    for (size_t i = 0; i < cell->length && n + 1 < room; i++)
        if (cell->text[i] != ' ' || line[n - 1] != ' ') /* a cell does not start with a space */
            line[n++] = cell->text[i];
    line[n] = 0;
}

/* " copies=2" or " slices=4", once each. */
static bool header_key(struct parser *parser, const char *at, char **end_out)
{
    static const char keys[2][10] = {" copies=", " slices="};
    struct weir_schedule *s = &parser->schedule;
    int which = !strncmp(at, keys[1], 8);
    if (strncmp(at, keys[which], 8) != 0 || at[8] < '1' || at[8] > '9')
        return false;
    long n = strtol(at + 8, end_out, 10);
    bool repeated = which ? s->n_slices > 0 : s->n_copies > 1;
    if (repeated || n > (which ? MOST_SLICES : 2))
        return false;
    *(which ? &s->n_slices : &s->n_copies) = (int)n;
    return true;
}

static weir_status header_check(struct parser *parser, const struct weir_csv_cell *cell)
{
    char line[64];
    weir_status status = visible_check(parser, cell);
    if (status)
        return status;
    cell_squeeze(cell, line, sizeof line);
    static const char start[] = "# weir-schedule 1";
    bool fine = !strncmp(line, start, sizeof start - 1);
    for (char *at = line + sizeof start - 1, *end; fine && *at; at = end)
        fine = header_key(parser, at, &end);
    return fine ? WEIR_OK
                : WEIR_FAIL(WEIR_ERR_INVALID, "the first line must be '# weir-schedule 1', perhaps with ' copies=2' or ' slices=2', "
                            "when it starts with #");
}

/* The header is the first cell of a row with blank ones, which spreadsheets add. */
static weir_status header_parse(struct parser *parser)
{
    struct weir_csv_cells ahead = parser->cells_left;
    struct weir_csv_cell cell;
    if (!weir_csv_row_next(&ahead) || !weir_csv_cell_next(&ahead, &cell) || !cell.length || *cell.text != '#')
        return WEIR_OK;
    parser->row = parser->cell = 1;
    weir_status status = header_check(parser, &cell);
    while (!status && weir_csv_cell_next(&ahead, &cell)) {
        parser->cell++;
        if (cell.length)
            status = WEIR_FAIL(WEIR_ERR_INVALID, "cell %d of the first line must be blank, behind '# weir-schedule 1'",
                               parser->cell);
    }
    parser->row = 0;
    parser->cells_left = ahead;
    return status;
}

/* Without blank cells the actions say where they stand; both parts of an OVERLAP_F_B are one cell. */
static bool has_blanks(const struct parser *parser)
{
    int32_t cell = 1;
    for (size_t i = 0; i < parser->n_actions; i++) {
        if (parser->cells[i] != cell)
            return true;
        cell += !parser->actions[i].fused;
    }
    return false;
}

static weir_status copy(const void *from, size_t count, size_t size, struct weir_arena *arena, void *to_out)
{
    void *to;
    weir_status status = weir_arena_alloc(arena, count, size, &to);
    if (status)
        return status;
    if (count)
        memcpy(to, from, count * size);
    memcpy(to_out, &to, sizeof to);
    return WEIR_OK;
}

static weir_status row_keep(struct parser *parser, struct weir_arena *arena)
{
    struct row row = {.n_actions = parser->n_actions};
    weir_status status = weir_grow(&parser->rows, &parser->rows_capacity, (size_t)parser->row, sizeof *parser->rows);
    if (!status)
        status = copy(parser->actions, row.n_actions, sizeof *row.actions, arena, &row.actions);
    if (!status && has_blanks(parser))
        status = copy(parser->cells, row.n_actions, sizeof *row.cells, arena, &row.cells);
    if (!status)
        parser->rows[parser->row - 1] = row;
    parser->n_actions = 0;
    return status;
}

static weir_status rows_parse(struct parser *parser, struct weir_arena *arena)
{
    int n_rows = 0; /* up to the last one with an action */
    while (weir_csv_row_next(&parser->cells_left)) {
        if (++parser->row > MOST_ROWS)
            return WEIR_FAIL(WEIR_ERR_INVALID, "more than %d rows", MOST_ROWS);
        weir_status status = row_parse(parser);
        if (parser->n_actions)
            n_rows = parser->row;
        if (!status)
            status = row_keep(parser, arena);
        if (status)
            return status;
        if (parser->given_back && !parser->cells_left.decoded)
            parser->given_back = weir_pages_give_back(parser->given_back, parser->cells_left.at);
    }
    parser->schedule.n_ranks = n_rows;
    return n_rows ? WEIR_OK : WEIR_FAIL(WEIR_ERR_INVALID, "the schedule is empty: no row has an action");
}

static void stage_ranks_fill(const struct weir_scan *scan, int *stage_rank)
{
    int n_copies = scan->schedule->n_copies;
    for (int stage = 0; stage < scan->schedule->n_stages; stage++) {
        int a = scan->units[stage * n_copies].rank, b = scan->units[(stage + 1) * n_copies - 1].rank;
        stage_rank[stage] = b >= 0 && b < a ? b : a;
    }
}

/* Make the rows a schedule, and check what makes them one. */
static weir_status lists_build(const struct parser *parser, struct weir_arena *work, struct weir_arena *arena,
                               struct weir_schedule *out)
{
    struct weir_schedule s = parser->schedule;
    struct weir_schedule_rank *ranks;
    int *stage_rank;
    struct weir_scan scan;
    weir_status status = weir_arena_alloc(arena, (size_t)s.n_ranks, sizeof *ranks, &ranks);
    if (!status)
        status = weir_arena_alloc(arena, (size_t)s.n_stages, sizeof *stage_rank, &stage_rank);
    if (status)
        return status;
    for (int r = 0; r < s.n_ranks; r++)
        ranks[r] = (struct weir_schedule_rank){parser->rows[r].actions, parser->rows[r].n_actions, parser->rows[r].cells};
    s.ranks = ranks;
    s.stage_rank = stage_rank;
    status = weir_scan_placement_build(&s, work, &scan);
    if (status)
        return status;
    stage_ranks_fill(&scan, stage_rank);
    *out = s;
    return WEIR_OK;
}

static weir_status text_read(struct parser *parser, const char *text, size_t bytes, const char *name,
                             struct weir_arena *arena, struct weir_schedule *out)
{
    struct weir_arena work = {0};
    struct weir_schedule schedule;
    parser->schedule.n_copies = 1;
    weir_status status = weir_csv_cells_open(&parser->cells_left, text, bytes);
    if (!status)
        status = header_parse(parser);
    if (!status)
        status = rows_parse(parser, arena);
    if (!status)
        status = lists_build(parser, &work, arena, &schedule);
    weir_csv_cells_release(&parser->cells_left);
    weir_free(parser->actions);
    weir_free(parser->cells);
    weir_free(parser->rows);
    weir_arena_release(&work);
    if (!status)
        status = weir_arena_strdup(arena, name, &schedule.name);
    if (!status)
        *out = schedule;
    return status == WEIR_ERR_INVALID ? weir_error_prefix(status, "'%s': ", name) : status;
}

weir_status weir_schedule_csv_parse(const char *text, size_t bytes, const char *name, enum weir_csv_dialect dialect,
                                    struct weir_arena *arena, struct weir_schedule *out)
{
    struct parser parser = {.dialect = dialect};
    return text_read(&parser, text, bytes, name, arena, out);
}

weir_status weir_schedule_csv_take(char *text, size_t bytes, const char *name, enum weir_csv_dialect dialect,
                                   struct weir_arena *arena, struct weir_schedule *out)
{
    struct parser parser = {.dialect = dialect, .given_back = text};
    weir_status status = text_read(&parser, text, bytes, name, arena, out);
    weir_free(text);
    return status;
}

weir_status weir_schedule_csv_load(const char *path, enum weir_csv_dialect dialect, struct weir_arena *arena,
                                   struct weir_schedule *out)
{
    char *text;
    size_t bytes;
    weir_status status = weir_file_read(path, LARGEST_FILE, &text, &bytes);
    return status ? status : weir_schedule_csv_take(text, bytes, path, dialect, arena, out);
}
