/* The compact lists of Slurm: tasks per node, and node names with ranges. */
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "engine/transport/bootstrap/launcher.h"

enum { DIGITS_MAX = 9, WORD_MAX = 64, NODES_MAX = 1 << 20 };

static weir_status bad_list(const char *variable, const char *text, const char *form)
{
    return WEIR_FAIL(WEIR_ERR_USAGE, "%s='%s' is not a list of the form %s", variable, text, form);
}

/* Decimal digits at *at, which moves behind them; false when there are none or too many. */
static bool digits_read(const char **at, int *value_out, int *width_out)
{
    int width = 0, value = 0;
    for (; **at >= '0' && **at <= '9'; (*at)++) {
        if (++width > DIGITS_MAX)
            return false;
        value = 10 * value + (**at - '0');
    }
    *value_out = value;
    *width_out = width;
    return width > 0;
}

/* ---- 2(x3),1 ----------------------------------------------------------------------------------------------------- */

/* One entry: so many tasks on each of so many nodes. */
static bool tasks_entry(const char **at, int *tasks_out, int *times_out)
{
    int width;
    *times_out = 1;
    if (!digits_read(at, tasks_out, &width))
        return false;
    if (strncmp(*at, "(x", 2) != 0)
        return true;
    *at += 2;
    if (!digits_read(at, times_out, &width) || *times_out < 1 || **at != ')')
        return false;
    (*at)++;
    return true;
}

weir_status weir_slurm_tasks_parse(const char *variable, const char *text, int node, int *tasks_out, int *n_tasks_out)
{
    static const char form[] = "2(x3),1";
    const char *at = text;
    int64_t first = 0, n_tasks = 0;
    int mine = -1;
    for (;;) {
        int tasks, times;
        if (!tasks_entry(&at, &tasks, &times) || (*at && *at != ','))
            return bad_list(variable, text, form);
        if (node >= first && node < first + times)
            mine = tasks;
        first += times;
        n_tasks += (int64_t)tasks * times;
        if (first > NODES_MAX || n_tasks > INT32_MAX)
            return bad_list(variable, text, form);
        if (!*at)
            break;
        at++;
    }
    if (mine < 0)
        return WEIR_FAIL(WEIR_ERR_USAGE, "%s='%s' has %d nodes, this is node %d", variable, text, (int)first, node);
    *tasks_out = mine;
    *n_tasks_out = (int)n_tasks;
    return WEIR_OK;
}

/* ---- n[1-2,07-09],m5 --------------------------------------------------------------------------------------------- */

/* One range "7" or "07-09"; false when it is none. */
static bool range_read(const char **at, int *first_out, int *last_out, int *width_out)
{
    int width;
    if (!digits_read(at, first_out, width_out))
        return false;
    *last_out = *first_out;
    if (**at == '-') {
        (*at)++;
        if (!digits_read(at, last_out, &width) || *last_out < *first_out)
            return false;
    }
    return true;
}

/* A group "[1-2,07-09]" at *at: how many numbers it has, and number `index` of them as text (index < 0: none wanted). */
static bool group_read(const char **at, int index, int *n_out, char word[WORD_MAX])
{
    int64_t n = 0;
    do {
        int first, last, width;
        (*at)++; /* the bracket or the comma */
        if (!range_read(at, &first, &last, &width))
            return false;
        if (index >= n && index <= n + last - first)
            snprintf(word, WORD_MAX, "%0*d", width, first + (int)(index - n));
        n += last - first + 1;
        if (n > NODES_MAX)
            return false;
    } while (**at == ',');
    *n_out = (int)n;
    return *(*at)++ == ']';
}

static bool is_name_character(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_';
}

/* The number of names in one entry "rack[0-1]n[1-4]"; *at moves behind it. */
static bool entry_count(const char **at, int *n_out)
{
    int64_t n = 1;
    const char *start = *at;
    char word[WORD_MAX];
    while (**at && **at != ',') {
        int in_group = 1;
        if (**at == '[' ? !group_read(at, -1, &in_group, word) : !is_name_character(*(*at)++))
            return false;
        n *= in_group;
        if (n > NODES_MAX)
            return false;
    }
    *n_out = (int)n;
    return *at > start;
}

/* Name `index` of an entry that entry_count() has passed and that has `n` of them; the right-most group goes fastest. */
static bool entry_name(const char *at, int index, int n, char name_out[WEIR_HOST_NAME_MAX])
{
    size_t length = 0;
    while (*at && *at != ',') {
        char word[WORD_MAX] = {*at, 0};
        if (*at != '[') {
            at++;
        } else {
            int in_group;
            const char *group = at;
            group_read(&group, -1, &in_group, word);
            n /= in_group;
            group_read(&at, index / n, &in_group, word);
            index %= n;
        }
        size_t more = strlen(word);
        if (length + more >= WEIR_HOST_NAME_MAX)
            return false;
        memcpy(name_out + length, word, more + 1);
        length += more;
    }
    return true;
}

weir_status weir_slurm_nodes_parse(const char *variable, const char *text, int node, char name_out[WEIR_HOST_NAME_MAX],
                                   int *n_nodes_out)
{
    static const char form[] = "n[1-2,07-09],m5";
    const char *at = text;
    char name[WEIR_HOST_NAME_MAX] = "";
    int first = 0;
    for (;;) {
        int n;
        const char *entry = at;
        if (!entry_count(&at, &n))
            return bad_list(variable, text, form);
        if (node >= first && node < first + n && !entry_name(entry, node - first, n, name))
            return bad_list(variable, text, form);
        first += n;
        if (first > NODES_MAX)
            return bad_list(variable, text, form);
        if (!*at)
            break;
        at++;
    }
    if (node < 0 || node >= first)
        return WEIR_FAIL(WEIR_ERR_USAGE, "%s='%s' has %d nodes, this is node %d", variable, text, first, node);
    memcpy(name_out, name, sizeof name);
    *n_nodes_out = first;
    return WEIR_OK;
}
