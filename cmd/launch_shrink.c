#include "cmd/launch_shrink.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- hosts ----------------------------------------------------------------------------------------------------------- */

/* mpirun fills the hosts in their order. */
static bool is_gone(const struct launch_run *run, int first, int n)
{
    bool lost = false;
    for (int r = first; r < first + n && r < run->n_ranks; r++)
        lost |= run->ranks[r].is_lost;
    return lost;
}

weir_status launch_hosts_left(const struct launch_run *run, struct weir_text *left, int *n_out)
{
    int first = 0, n_left = 0, n_gone = 0;
    for (const char *at = run->hosts.list; at && *at;) {
        size_t bytes = strcspn(at, ","), name = strcspn(at, ":,");
        int slots = at[name] == ':' ? (int)strtol(at + name + 1, NULL, 10) : 1;
        if (is_gone(run, first, slots)) {
            n_gone++;
        } else {
            weir_text_append(left, "%s%.*s", n_left ? "," : "", (int)bytes, at);
            n_left += slots;
        }
        first += slots;
        at += bytes + (at[bytes] == ',');
    }
    *n_out = n_gone ? n_left < run->n_ranks ? n_left : run->n_ranks : 0;
    return left->status;
}

/* ---- words ----------------------------------------------------------------------------------------------------------- */

/* Where option `name` stands, as --name=3 or --name 3; NULL: nowhere. */
static char **word_find(char **words, const char *name, long *value_out)
{
    size_t n = strlen(name);
    char **found = NULL;
    for (char **w = words; *w; w++)
        if (!strncmp(*w, name, n) && ((*w)[n] == '=' || (!(*w)[n] && w[1]))) {
            found = w;
            *value_out = strtol((*w)[n] ? *w + n + 1 : w[1], NULL, 10);
        }
    return found;
}

static void word_replace(char **word, const char *name, long value, char text[32])
{
    bool apart = !strchr(*word, '=');
    snprintf(text, 32, "%s=%ld", name, value);
    *word = text;
    for (char **w = word + 1; apart && *w; w++)
        w[0] = w[1];
}

weir_status launch_words_shrink(char **words, int n_before, struct launch_smaller *smaller)
{
    long replicas = 1, stages = 0, ranks = 0;
    char **found = word_find(words, "--replicas", &replicas);
    if (replicas < 1 || n_before % replicas != 0)
        return WEIR_FAIL(WEIR_ERR_USAGE, "%d processes are not %ld replicas", n_before, replicas);
    long before = n_before / replicas, kept = smaller->n_ranks / before, after = kept ? before : smaller->n_ranks;
    if (found)
        word_replace(found, "--replicas", kept ? kept : 1, smaller->words[0]);
    bool has_layout = after == before;
    if (after != before && (found = word_find(words, "--stages", &stages))) {
        word_replace(found, "--stages", stages * after / before, smaller->words[1]);
        has_layout = stages * after % before == 0;
    }
    if (after != before && (found = word_find(words, "--ranks", &ranks))) {
        word_replace(found, "--ranks", after, smaller->words[2]);
        has_layout |= !stages;
    }
    if (!has_layout)
        return WEIR_FAIL(WEIR_ERR_UNSUPPORTED, "%d ranks are left, and neither --stages nor --ranks of the command says how %ld "
                                               "stages would become fewer", smaller->n_ranks, before);
    smaller->n_ranks = (int)((kept ? kept : 1) * after);
    return WEIR_OK;
}
