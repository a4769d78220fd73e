/* The text form: a list of groups, then rates, then latencies.  Words that people write beside numbers are passed over; what is
 * left must be understood to the last character. */
#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "partitioner/topology/topology_maker.h"

enum { MOST_LEVELS = 6, MOST_GROUPS = 64 };

struct group {
    int counts[MOST_LEVELS]; /* from the outermost */
    double memory, speed;
};

struct text {
    const char *at, *name, *start;
    struct group groups[MOST_GROUPS];
    int n_groups, n_levels;
    double rates[MOST_LEVELS], latencies[MOST_LEVELS]; /* from the innermost */
    int n_rates, n_latencies;
};

static weir_status fail(const struct text *t, const char *what)
{
    return WEIR_FAIL(WEIR_ERR_INVALID, "topology '%.40s', at '%.20s': %s, as in '2 nodes x 8, 400GB/s inside, 50GB/s between, 5us'",
                     t->name, t->at, what);
}

/* Comments reach from '#' to the end of the line. */
static void blanks_skip(struct text *t)
{
    while (isspace((unsigned char)*t->at) || *t->at == '#')
        if (*t->at == '#')
            t->at += strcspn(t->at, "\n");
        else
            t->at++;
}

static size_t letters(const char *at)
{
    size_t n = 0;
    while (isalpha((unsigned char)at[n]))
        n++;
    return n;
}

static bool word_is(const struct text *t, const char *word)
{
    return letters(t->at) == strlen(word) && !strncmp(t->at, word, strlen(word));
}

/* Words for people: "nodes", "inside", "between racks". */
static void words_skip(struct text *t)
{
    for (blanks_skip(t); letters(t->at) && !word_is(t, "x") && !word_is(t, "with") && !word_is(t, "speed"); blanks_skip(t))
        t->at += letters(t->at);
}

static weir_status number_read(struct text *t, double *value_out)
{
    char digits[32];
    size_t n = strspn(t->at, "0123456789.");
    if (!n || n >= sizeof digits)
        return fail(t, "a number is missing");
    memcpy(digits, t->at, n);
    digits[n] = 0;
    if (!weir_parse_double(digits, value_out) || *value_out <= 0)
        return fail(t, "a number above 0 is missing");
    t->at += n;
    return WEIR_OK;
}

/* K, M, G, T and their binary kin, in front of what counts. */
static double prefix_read(struct text *t)
{
    static const char prefixes[] = "KMGT";
    const char *found = *t->at ? strchr(prefixes, *t->at == 'k' ? 'K' : *t->at) : NULL;
    if (!found)
        return 1;
    bool binary = t->at[1] == 'i';
    t->at += 1 + binary;
    return pow(binary ? 1024 : 1000, (double)(found - prefixes + 1));
}

/* ---- groups ----------------------------------------------------------------------------------------------------------- */

static weir_status count_read(struct text *t, int *count_out)
{
    double value;
    weir_status status = number_read(t, &value);
    if (!status && (value != floor(value) || value > WEIR_TOPOLOGY_MOST_DEVICES))
        status = fail(t, "a whole number of parts is missing");
    if (!status)
        *count_out = (int)value;
    return status;
}

static weir_status memory_read(struct text *t, double *bytes_out)
{
    weir_status status = number_read(t, bytes_out);
    if (status)
        return status;
    *bytes_out *= prefix_read(t);
    if (*t->at == 'B')
        t->at++;
    return *bytes_out > 0x1p62 ? fail(t, "so much memory there is not") : WEIR_OK;
}

static weir_status group_read(struct text *t)
{
    struct group *g = &t->groups[t->n_groups];
    int n = 0;
    weir_status status = WEIR_OK;
    if (t->n_groups == MOST_GROUPS)
        return fail(t, "too many groups");
    *g = (struct group){.speed = 1};
    do {
        if (n == MOST_LEVELS)
            return fail(t, "too many levels");
        t->at += n > 0;
        blanks_skip(t);
        status = count_read(t, &g->counts[n++]);
        if (!status)
            words_skip(t);
    } while (!status && word_is(t, "x"));
    while (!status && (word_is(t, "with") || word_is(t, "speed"))) {
        bool is_memory = *t->at == 'w';
        t->at += letters(t->at);
        blanks_skip(t);
        status = is_memory ? memory_read(t, &g->memory) : number_read(t, &g->speed);
        if (!status)
            words_skip(t);
    }
    if (!status && t->n_groups > 0 && n != t->n_levels)
        status = fail(t, "every group needs the same number of levels");
    t->n_levels = n;
    t->n_groups++;
    return status;
}

/* ---- rates and latencies ---------------------------------------------------------------------------------------------- */

static weir_status rate_take(struct text *t, double value)
{
    bool bits = *t->at == 'b';
    if ((*t->at != 'B' && !bits) || strncmp(t->at + 1, "/s", 2) != 0)
        return fail(t, "a rate in B/s or b/s, or a time in us, is missing");
    if (t->n_rates == t->n_levels)
        return fail(t, "more rates than levels");
    t->at += 3;
    t->rates[t->n_rates++] = bits ? value / 8 : value;
    return WEIR_OK;
}

static weir_status latency_take(struct text *t, double value)
{
    if (t->n_latencies == t->n_levels)
        return fail(t, "more latencies than levels");
    t->at += letters(t->at);
    t->latencies[t->n_latencies++] = value;
    return WEIR_OK;
}

static weir_status figure_read(struct text *t)
{
    double value;
    weir_status status = number_read(t, &value);
    if (status)
        return status;
    blanks_skip(t);
    if (word_is(t, "s") || word_is(t, "ms") || word_is(t, "us") || word_is(t, "ns"))
        status = latency_take(t, value * (*t->at == 's' ? 1 : *t->at == 'm' ? 1e-3 : *t->at == 'u' ? 1e-6 : 1e-9));
    else {
        value *= prefix_read(t);
        status = rate_take(t, value);
    }
    if (!status)
        words_skip(t);
    return status;
}

static weir_status text_read(struct text *t)
{
    weir_status status;
    blanks_skip(t);
    do {
        t->at += t->n_groups > 0;
        blanks_skip(t);
        status = group_read(t);
    } while (!status && *t->at == '+');
    while (!status && *t->at == ',') {
        t->at++;
        blanks_skip(t);
        status = figure_read(t);
    }
    if (!status && *t->at)
        status = fail(t, "this is not understood");
    if (!status && t->n_rates != t->n_levels)
        status = fail(t, "each level needs a rate, the innermost first");
    if (!status && t->n_latencies > 1 && t->n_latencies != t->n_levels)
        status = fail(t, "give one latency, or one for each level");
    return status;
}

/* ---- the tree --------------------------------------------------------------------------------------------------------- */

/* A link up is paid at both ends of a way, so each has half of the level's latency. */
static struct weir_topology_part part_of(const struct text *t, int depth, int above)
{
    int level = t->n_levels - 1 - depth; /* 0: devices */
    bool is_device = level == 0;
    double latency = t->n_latencies > 1 ? t->latencies[level] : t->n_latencies ? t->latencies[0] : 0;
    double below = is_device || t->n_latencies <= 1 ? 0 : t->latencies[level - 1];
    struct weir_topology_part part = {.kind = is_device ? WEIR_TOPOLOGY_DEVICE : level == 1 ? WEIR_TOPOLOGY_NODE : WEIR_TOPOLOGY_GROUP,
                                      .above = above, .bandwidth = t->rates[level]};
    /* what is left of the level's latency when those of the levels inside are taken off; one latency is that of the whole way */
    part.latency = t->n_latencies > 1 ? fmax(0, latency - below) / 2 : is_device ? latency / 2 : 0;
    return part;
}

static weir_status parts_add(struct weir_topology_maker *m, const struct text *t, const struct group *g, int depth, int above)
{
    weir_status status = WEIR_OK;
    for (int i = 0; i < g->counts[depth] && !status; i++) {
        struct weir_topology_part part = part_of(t, depth, above);
        int index, number = part.kind == WEIR_TOPOLOGY_DEVICE ? m->topology.n_devices
                                                              : part.kind == WEIR_TOPOLOGY_NODE ? m->topology.n_nodes : i;
        status = weir_arena_printf(m->arena, &part.name, "%s %d", weir_topology_kind_names[part.kind], number);
        if (!status)
            status = weir_topology_add(m, &part, g->memory, &index);
        if (!status && part.kind == WEIR_TOPOLOGY_DEVICE)
            m->topology.devices[m->topology.n_devices - 1].speed = g->speed;
        else if (!status)
            status = parts_add(m, t, g, depth + 1, index);
    }
    return status;
}

weir_status weir_topology_text_parse(const char *text, const char *name, struct weir_arena *arena, struct weir_topology *out)
{
    struct weir_topology_maker m = {.arena = arena, .topology = {.has_gpus = true}};
    struct text t = {.at = text, .name = name, .start = text};
    int above;
    weir_status status = text_read(&t);
    if (status)
        return status;
    if (t.n_levels == 1) { /* devices of one node */
        status = weir_topology_begin_node(&m, &above);
    } else {
        const struct weir_topology_part root = {.kind = WEIR_TOPOLOGY_NETWORK, .name = "network", .above = -1, .bandwidth = INFINITY};
        status = weir_topology_add(&m, &root, 0, &above);
    }
    for (int i = 0; i < t.n_groups && !status; i++)
        status = parts_add(&m, &t, &t.groups[i], 0, above);
    return status ? status : weir_topology_finish(&m, name, "text", out);
}
