/* A configuration of a program that may have been compiled with another header. */
#ifndef WEIR_ENGINE_PROGRAM_CONFIG_TAKE_H
#define WEIR_ENGINE_PROGRAM_CONFIG_TAKE_H

#include "include/weir/weir.h"

/* Copy it into this library's struct (base/grown.h).  WEIR_ERR_INVALID. */
weir_status weir_engine_config_take(const struct weir_engine_config *given, struct weir_engine_config *own);

/* WEIR_ERR_USAGE: seconds that make no limit. */
weir_status weir_engine_config_check_timeout(const struct weir_engine_config *config);

#endif
