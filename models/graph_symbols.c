/* The inline functions of include/weir/graph.h that have no function named .._sized behind them as symbols, in the way of
 * kernels/op_symbols.c. */
#define weir_input_value inline_input_value
#define weir_value_is_input inline_value_is_input
#define weir_value_input inline_value_input
#include "include/weir/graph.h"
#undef weir_input_value
#undef weir_value_is_input
#undef weir_value_input

#pragma GCC visibility push(default)
int weir_input_value(int input);
bool weir_value_is_input(int value);
int weir_value_input(int value);
#pragma GCC visibility pop

int weir_input_value(int input)
{
    return inline_input_value(input);
}

bool weir_value_is_input(int value)
{
    return inline_value_is_input(value);
}

int weir_value_input(int value)
{
    return inline_value_input(value);
}
