/* weir info: which process of which launcher this is, and which variables say so. */
#include <stdio.h>
#include <unistd.h>

#include "base/printable.h"
#include "cmd/info_shared.h"
#include "engine/transport/bootstrap/launcher.h"

static weir_status detect(struct weir_launcher *launcher)
{
    return weir_launcher_detect((const char *const *)environ, launcher);
}

/* " (SLURM_LOCALID)", or nothing. */
static void source_print(const char *variable)
{
    if (variable)
        printf(" (%s)", variable);
}

static void host_print(const struct weir_launcher *launcher)
{
    char host[256];
    if (launcher->local_rank >= 0) {
        printf(", %s%d", launcher->n_local >= 0 ? "" : "number ", launcher->local_rank);
        if (launcher->n_local >= 0)
            printf(" of %d", launcher->n_local);
        printf(" on its host");
        source_print(launcher->local_rank_variable ? launcher->local_rank_variable : launcher->local_size_variable);
    }
    if (launcher->node >= 0)
        printf(", host %d", launcher->node);
    if (launcher->node >= 0 && launcher->n_nodes >= 0)
        printf(" of %d", launcher->n_nodes);
    source_print(launcher->node_variable);
    if (*launcher->first_host)
        printf(", rank 0 on %s", weir_printable(launcher->first_host, host, sizeof host));
}

void info_launcher_print(void)
{
    struct weir_launcher launcher;
    if (detect(&launcher)) {
        printf("launcher    cannot be told: %s\n", weir_last_error());
        return;
    }
    printf("launcher    %s: ", launcher.name);
    if (!launcher.rank_variable) {
        printf("one process\n");
        return;
    }
    printf("%s %d", launcher.hosts_only ? "one process per host, first rank" : "rank", launcher.rank);
    source_print(launcher.rank_variable);
    printf(" of %d", launcher.n_ranks);
    source_print(launcher.size_variable);
    host_print(&launcher);
    printf("\n");
}

static json_t *text_or_null(const char *text)
{
    return text && *text ? json_string(text) : json_null();
}

static json_t *number_or_null(int number)
{
    return number >= 0 ? json_integer(number) : json_null();
}

json_t *info_launcher_json(void)
{
    struct weir_launcher l;
    if (detect(&l))
        return json_pack("{s:s}", "error", weir_last_error());
    return json_pack("{s:s, s:i, s:i, s:o, s:o, s:o, s:o, s:b, s:o, s:{s:o, s:o, s:o, s:o, s:o}}", "name", l.name, "rank",
                     l.rank, "ranks", l.n_ranks, "local_rank", number_or_null(l.local_rank), "local_ranks",
                     number_or_null(l.n_local), "host", number_or_null(l.node), "hosts", number_or_null(l.n_nodes),
                     "hosts_only", l.hosts_only, "first_host", text_or_null(l.first_host), "variables", "rank",
                     text_or_null(l.rank_variable), "ranks", text_or_null(l.size_variable), "local_rank",
                     text_or_null(l.local_rank_variable), "local_ranks", text_or_null(l.local_size_variable), "host",
                     text_or_null(l.node_variable));
}
