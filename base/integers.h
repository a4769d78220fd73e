/* Smallest and largest of two, which formulas are full of. */
#ifndef WEIR_BASE_INTEGERS_H
#define WEIR_BASE_INTEGERS_H

static inline int weir_int_min(int a, int b)
{
    return a < b ? a : b;
}

static inline int weir_int_max(int a, int b)
{
    return a > b ? a : b;
}

#endif
