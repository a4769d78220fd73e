/* One table of options per subcommand drives everything: getopt_long, --help, the keys of --config, suggestions for
 * typos and the man page.
 *
 *     struct train_options { const char *model; int64_t stages; bool quiet; };
 *
 *     static const struct option_row rows[] = {
 *         {"model", 0, OPTION_TEXT, offsetof(struct train_options, model), "NAME", "model to train, or 'list'"},
 *         {"stages", 0, OPTION_INT, offsetof(struct train_options, stages), "S", "pipeline stages", 1, 65536},
 *         {"quiet", 'q', OPTION_FLAG, offsetof(struct train_options, quiet), NULL, "print nothing but errors"},
 *         {0}};
 *     static const struct option_table table = {
 *         "train", "", "train a model on a pipeline of devices", "weir train --model gpt2-tiny --data text", rows, NULL};
 *
 *     struct train_options o = {.stages = 2};
 *     struct options given;
 *     status = options_parse(&given, &table, argc, argv, &o, ...);
 *     if (options_given(&given, "stages")) ...
 *     options_release(&given);
 *
 * The caller fills its struct with the defaults first; parsing overwrites what was given.  Text values point into argv
 * or into the configuration document, which lives as long as the caller's struct options.  All errors but those of memory
 * and of the configuration file are WEIR_ERR_USAGE (exit status 2). */
#ifndef WEIR_CMD_OPTIONS_H
#define WEIR_CMD_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

enum option_kind {
    OPTION_FLAG,  /* bool */
    OPTION_INT,   /* int64_t within [min, max] */
    OPTION_REAL,  /* double within [min, max] */
    OPTION_BYTES, /* int64_t >= 1, within [min, max]: a number with an optional suffix: K, Ki or KiB is 1024, KB is
                     1000; so for M, G and T */
    OPTION_TIME,  /* double > 0, in seconds: a number with a suffix s, m, h or d */
    OPTION_TEXT,  /* const char * */
    OPTION_WORD,  /* const char *: an option that stands alone, "", or has the word that `argument` shows in brackets */
};

struct option_row {
    const char *name; /* long name without dashes; NULL ends the table */
    char letter;      /* short form, or 0 */
    enum option_kind kind;
    size_t offset;        /* of the field in the caller's struct */
    const char *argument; /* "FILE"; "[full]"; NULL for flags */
    const char *help;     /* one line */
    double min, max;      /* numbers: inclusive bounds, when max > min */
};

/* Rows that --help names and --help NAME describes: from `first` to where the next group begins, or the table ends. */
struct option_group {
    const char *name; /* NULL ends the groups */
    const char *first;
    const char *summary;
};

struct option_table {
    const char *command;   /* "train", or "schedule make" */
    const char *arguments; /* positional ones as shown in help: "FILE" */
    const char *summary;
    const char *example; /* a command line that works */
    const struct option_row *rows;
    const struct option_group *groups; /* (optional) in the order of the rows; those before the first are what most runs need */
};

enum option_outcome { OPTIONS_PARSED, OPTIONS_HELP_SHOWN };

enum { OPTIONS_MOST_ROWS = 96, OPTIONS_MOST_STORED = 2 };

/* What one command line and its configuration gave. */
struct options {
    const struct option_table *table;
    bool given[OPTIONS_MOST_ROWS]; /* by row */
    struct json_t *config;         /* text values may point into it; NULL: none */
    struct json_t *stored[OPTIONS_MOST_STORED]; /* what options_fill() took: likewise */
    int n_stored;
};

/* Parse argv[1..] into `values`.  Options and positional arguments may be mixed; in names '_' may stand for '-', and names of
 * other tools are answered (cmd/synonyms.h).  --help prints to stdout.  When the table has an option "config", its JSON object
 * is applied last, to what the command line did not give (keys are long names).  positional_out gets pointers into argv; at
 * most max_positional, more is an error.  `options` is to be released after a failure too. */
weir_status options_parse(struct options *options, const struct option_table *table, int argc, char **argv, void *values,
                          const char **positional_out, int max_positional, int *n_positional_out,
                          enum option_outcome *outcome_out);

/* "90s", "1.5h": a time with its unit, in seconds. */
bool options_duration(const char *text, double *seconds_out);

/* Take from the JSON object `stored` what neither the command line nor the configuration gave.  `path` names it in messages; keys
 * that are no options of the table are passed over, and so are the names in `left_out` (NULL-terminated).  At most
 * OPTIONS_MOST_STORED times.  Takes the reference. */
weir_status options_fill(struct options *options, struct json_t *stored, const char *path, const char *const *left_out,
                         void *values);

/* What was given, as an object that options_fill() takes, but for the names in `left_out` (NULL-terminated); NULL: out of
 * memory. */
struct json_t *options_json(const struct options *options, const void *values, const char *const *left_out);

/* true when the option was given on the command line or in the configuration. */
bool options_given(const struct options *options, const char *name);

void options_release(struct options *options);

/* `topic`: a group of the table, or "all"; NULL: the table's rows, those of groups by name only.
 *
 * WEIR_ERR_USAGE: there is no such group. */
weir_status options_print_help(const struct option_table *table, const char *topic);

/* troff: the OPTIONS section for one table. */
void options_print_man(const struct option_table *table);

/* Print "weir COMMAND: message" for a failed call and return the exit status of `status`. */
int options_report(const char *command, weir_status status);

/* The thread's last error with its options as flags; returns `text_out`. */
const char *options_error(char text_out[WEIR_ERROR_MAX]);

#endif
