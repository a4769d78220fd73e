/* Rules for updates: some parameters learn slower, or not at all, or with another weight decay.
 *
 *     const struct weir_update_rule rules[] = {
 *         {sizeof rules[0], "wte.weight", 0, 0},           frozen
 *         {sizeof rules[0], "h.[0-3].*", 0.1, 1},          a tenth of the learning rate
 *         {sizeof rules[0], "*", 1, 0.5},                  half of the weight decay
 *     };
 *     config.update_rules = rules;
 *     config.n_update_rules = 3;
 *
 * The first rule whose pattern matches a parameter's name is its rule; one that no rule matches is updated as without rules.
 * A frozen parameter keeps its bits.  Its gradient is made all the same, and counts in the global norm. */
#ifndef WEIR_ENGINE_PROGRAM_UPDATE_RULES_H
#define WEIR_ENGINE_PROGRAM_UPDATE_RULES_H

#include <stddef.h>

struct weir_update_rule {
    size_t struct_bytes;  /* sizeof(struct weir_update_rule): of every entry */
    const char *pattern;  /* a parameter's name, or a shell pattern as fnmatch(3) takes them */
    double learning_rate; /* factor of the step's learning rate, >= 0 */
    double weight_decay;  /* factor of the configuration's weight decay, >= 0; a parameter that has none stays without */
};

#endif
