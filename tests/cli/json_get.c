/* json_get PATH..: values of the JSON document on standard input, one per line, for the command-line tests.
 *
 *     json_get objective stages.0.nodes curve.#          members and indices joined by points; # is the length
 *
 * A document that is not JSON, or has no such value, is exit status 1 with the reason. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const json_t *step_into(const json_t *value, const char *word)
{
    return json_is_array(value) ? json_array_get(value, (size_t)strtoul(word, NULL, 10)) : json_object_get(value, word);
}

/* 0, or 1 when the path leads nowhere. */
static int value_print(const json_t *value, const char *path)
{
    char words[1024];
    snprintf(words, sizeof words, "%s", path);
    for (char *word = strtok(words, "."); word && value; word = strtok(NULL, ".")) {
        if (!strcmp(word, "#")) {
            printf("%zu\n", json_is_array(value) ? json_array_size(value) : json_object_size(value));
            return 0;
        }
        value = step_into(value, word);
    }
    if (!value) {
        fprintf(stderr, "json_get: nothing at '%s'\n", path);
        return 1;
    }
    json_dumpf(value, stdout, JSON_ENCODE_ANY);
    printf("\n");
    return 0;
}

int main(int argc, char **argv)
{
    json_error_t error;
    json_t *root = json_loadf(stdin, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, &error);
    if (!root) {
        fprintf(stderr, "json_get: line %d: %s\n", error.line, error.text);
        return 1;
    }
    int code = 0;
    for (int i = 1; i < argc && !code; i++)
        code = value_print(root, argv[i]);
    json_decref(root);
    return code;
}
