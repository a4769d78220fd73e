/* The public interface of libweir. */
#ifndef WEIR_H
#define WEIR_H

#include "base/status.h"

#endif
