/* Fuzz target: any text is what a checkpoint says of the options of its run, or refused.  The first byte says whether the command
 * line gave one of them already: it keeps what it has. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "cmd/command.h"
#include "cmd/train.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

static const char *const left_out[] = {"resume", "metrics", NULL};

static void fill(const uint8_t *bytes, size_t n, struct options *given, struct train_options *o)
{
    json_t *root;
    if (!weir_json_parse((const char *)bytes, n, "fuzz", &root))
        (void)options_fill(given, root, "fuzz", left_out, o);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    if (!n)
        return 0;
    char words[][8] = {"train", "--model", "mlp", "--steps", "3"};
    char *line[] = {words[0], words[1], words[2], words[3], words[4], NULL};
    struct train_options o = {0};
    struct options given = {0};
    enum option_outcome outcome;
    const char *none[1];
    int n_none, n_words = bytes[0] % 2 ? 5 : 1;
    line[n_words] = NULL;
    if (options_parse(&given, command_train.tables[0], n_words, line, &o, none, 0, &n_none, &outcome))
        abort();
    fill(bytes + 1, n - 1, &given, &o);
    if (bytes[0] % 2 && (o.steps != 3 || strcmp(o.model, "mlp") != 0))
        abort();
    if (o.metrics || o.resume)
        abort();
    json_t *root = options_json(&given, &o, left_out);
    if (!root)
        abort();
    json_decref(root);
    options_release(&given);
    return 0;
}
