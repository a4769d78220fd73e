/* Making a memory report of a build. */
#ifndef WEIR_ENGINE_PROGRAM_MEMORY_REPORT_MAKE_H
#define WEIR_ENGINE_PROGRAM_MEMORY_REPORT_MAKE_H

#include "engine/program/extra_memory.h"
#include "include/weir/report.h"

weir_status weir_memory_report_make(const struct weir_build *build, const struct weir_extras *extras, struct weir_arena *arena,
                                    struct weir_memory_report *report_out);

#endif
