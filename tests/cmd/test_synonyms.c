/* synonyms: the words of other tools are answered, and docs/other-tools.md has them all.   labels: pure */
#include "tests/support/testing.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/text.h"
#include "cmd/command.h"
#include "cmd/synonyms.h"
#include "include/weir/schedule.h"

static const struct option_table *table_find(const char *command)
{
    for (const struct command *const *c = commands; *c; c++)
        for (const struct option_table *const *table = (*c)->tables; *table; table++)
            if (!strcmp((*table)->command, command))
                return *table;
    fail_msg("there is no table '%s'", command);
    return NULL;
}

static bool has_option(const struct option_table *table, const char *name)
{
    for (const struct option_row *row = table->rows; row->name; row++)
        if (!strcmp(row->name, name))
            return true;
    return false;
}

/* The message for --word of a command. */
static void answer_check(const struct option_table *table, const char *word, const char *words)
{
    char text[256], name[] = "weir", *argv[] = {name, text, NULL};
    static char values[8192];
    struct options options;
    int n;
    enum option_outcome outcome;
    snprintf(text, sizeof text, "--%s=1", word);
    assert_fails(options_parse(&options, table, 2, argv, values, NULL, 0, &n, &outcome), WEIR_ERR_USAGE, words);
    options_release(&options);
}

static void rows_check(const char *command, const struct synonym *rows, int least)
{
    const struct option_table *table = table_find(command);
    int n = 0;
    for (const struct synonym *row = rows; row->tool; row++, n++) {
        char words[512];
        if (has_option(table, row->word))
            fail_msg("%s has an option --%s: it needs no answer", command, row->word);
        if (row->option && !has_option(table, row->option))
            fail_msg("%s has no --%s, which stands for --%s", command, row->option, row->word);
        assert_true(!row->option != !row->answer);
        for (const struct synonym *other = rows; other < row; other++)
            assert_string_not_equal(other->word, row->word);
        if (row->option)
            snprintf(words, sizeof words, "unknown option '--%s': in weir it is --%s", row->word, row->option);
        else
            snprintf(words, sizeof words, "unknown option '--%s': %s", row->word, row->answer);
        answer_check(table, row->word, words);
    }
    assert_true(n >= least);
}

static void every_word_has_one_answer_that_is_there(void **state)
{
    (void)state;
    rows_check("train", synonyms_train, 100);
    rows_check("generate", synonyms_generate, 10);
    rows_check("tokenize", synonyms_tokenize, 10);
    rows_check("launch", synonyms_launch, 10);
}

static void answers_check(const char *command, const struct synonym *rows)
{
    const struct option_table *table = table_find(command);
    for (const struct synonym *row = rows; row->tool; row++)
        for (const char *at = row->answer ? strstr(row->answer, "--") : NULL; at; at = strstr(at + 2, "--")) {
            char name[64];
            snprintf(name, sizeof name, "%.*s", (int)strspn(at + 2, "abcdefghijklmnopqrstuvwxyz0123456789-"), at + 2);
            if (!has_option(table, name))
                fail_msg("the answer to --%s names --%s", row->word, name);
        }
}

/* Options that an answer names must be there too. */
static void answers_name_options_that_exist(void **state)
{
    (void)state;
    answers_check("train", synonyms_train);
    answers_check("generate", synonyms_generate);
    answers_check("tokenize", synonyms_tokenize);
    answers_check("launch", synonyms_launch);
}

static void spelling_does_not_matter(void **state)
{
    (void)state;
    const struct option_table *table = table_find("train");
    answer_check(table, "CLIP_GRAD", "in weir it is --grad-clip");
    answer_check(table, "training.max_norm", "in weir it is --grad-clip");
    answer_check(table, "a.b.max-norm", "in weir it is --grad-clip");
    answer_check(table, "max-norn", "unknown option '--max-norn'");
    answer_check(table, ".", "unknown option '--.'");
    answer_check(table_find("plan"), "max-norm", "'weir plan --help' lists the options");
}

static void a_section_is_passed_over_and_counts_where_its_word_says_nothing(void **state)
{
    (void)state;
    const struct option_table *table = table_find("train");
    answer_check(table, "training.steps", "in weir it is --steps");
    answer_check(table, "optimizer.lr", "in weir it is --lr");
    answer_check(table, "optimizer.name", "in weir it is --optimizer");
    answer_check(table, "model.flavor", "in weir it is --model");
    answer_check(table, "parallelism.pipeline_parallel_degree", "in weir it is --ranks");
    answer_check(table, "activation_checkpoint.mode", "--recompute full");
    answer_check(table, "fp16.enabled", "weir has no fp16");
    answer_check(table, "zero_optimization.stage", "use --zero 1");
    answer_check(table, "Training.Seq_Len", "in weir it is --seq-len");
    answer_check(table, "LR", "in weir it is --lr");
    answer_check(table, "no.such.word", "unknown option '--no.such.word'");
    answer_check(table, "steps.", "in weir it is --steps");
    answer_check(table, "..", "unknown option '--..'");
}

static void other_commands_answer_with_their_own_options(void **state)
{
    (void)state;
    answer_check(table_find("schedule make"), "pp-size", "in weir it is --ranks");
    answer_check(table_find("schedule make"), "num-microbatches", "in weir it is --microbatches");
    answer_check(table_find("schedule make"), "tp-size", "'weir schedule make --help' lists the options");
}

static void names_are_understood_in_any_case(void **state)
{
    (void)state;
    static const struct {
        const char *word, *name;
    } rows[] = {
        {"1f1b", "1f1b"}, {"1F1B", "1f1b"}, {"Schedule1F1B", "1f1b"}, {"GPipe", "gpipe"}, {"ScheduleGPipe", "gpipe"},
        {"Interleaved1F1B", "interleaved"}, {"ScheduleInterleaved1F1B", "interleaved"}, {"ScheduleLoopedBFS", "bfs"},
        {"ScheduleInterleavedZeroBubble", "interleaved-zb"}, {"INTERLEAVED_ZB", "interleaved-zb"},
        {"ScheduleZBVZeroBubble", "zbv"}, {"ScheduleDualPipeV", "dualpipev"}, {"ZB_H1", "zb-h1"}, {"V-Half", "v-half"},
        {"1f1", "1f1"}, {"./Schedule1F1B", "./Schedule1F1B"}, {"GPIPE.csv", "GPIPE.csv"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        assert_string_equal(schedule_understood(rows[i].word), rows[i].name);
    const struct weir_schedule_kind *kind;
    for (const struct name_synonym *s = schedule_synonyms; s->word; s++) {
        assert_ok(weir_schedule_kind_find(s->name, &kind));
        assert_string_equal(schedule_understood(s->word), s->name);
    }
}

static void the_page_has_every_row(void **state)
{
    (void)state;
    char path[4096], line[1024], *page;
    size_t bytes;
    const struct synonym *const tables[] = {synonyms_train, synonyms_generate, synonyms_tokenize, synonyms_launch};
    const struct name_synonym *const names[] = {schedule_synonyms, dtype_synonyms, optimizer_synonyms, rate_synonyms};
    snprintf(path, sizeof path, "%s/docs/other-tools.md", getenv("WEIR_SOURCE_DIR"));
    assert_ok(weir_file_read(path, 1 << 20, &page, &bytes));
    for (int t = 0; t < 4; t++)
        for (const struct synonym *row = tables[t]; row->tool; row++) {
            snprintf(line, sizeof line, "| %s | `%s` | %s%s%s |\n", row->tool, row->word, row->option ? "`--" : "",
                     row->option ? row->option : row->answer, row->option ? "`" : "");
            if (!strstr(page, line))
                fail_msg("docs/other-tools.md lacks: %s", line);
        }
    for (int t = 0; t < 4; t++)
        for (const struct name_synonym *row = names[t]; row->word; row++) {
            snprintf(line, sizeof line, "| `%s` | `%s` |\n", row->word, row->name);
            if (!strstr(page, line))
                fail_msg("docs/other-tools.md lacks: %s", line);
        }
    weir_free(page);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_word_has_one_answer_that_is_there),
        cmocka_unit_test(answers_name_options_that_exist),
        cmocka_unit_test(spelling_does_not_matter),
        cmocka_unit_test(a_section_is_passed_over_and_counts_where_its_word_says_nothing),
        cmocka_unit_test(other_commands_answer_with_their_own_options),
        cmocka_unit_test(names_are_understood_in_any_case),
        cmocka_unit_test(the_page_has_every_row),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
