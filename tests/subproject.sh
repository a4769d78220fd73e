#!/bin/bash
# The sources as a part of another program: with FetchContent and the shared library, with add_subdirectory and the static one.
# What is compiled is neither optimised nor does it use optional libraries, so that it is soon done.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

quiet() {
    "$@" >"$work/log" 2>&1 </dev/null || {
        tail -n 40 "$work/log" >&2
        printf "subproject test: '%s' failed\n" "$*" >&2
        exit 1
    }
}

program_write() { # <folder> <the lines that bring Weir>
    mkdir "$work/$1"
    cat >"$work/$1/CMakeLists.txt" <<END
cmake_minimum_required(VERSION 3.25)
project(user C)
set(WEIR_ONEDNN OFF)
set(WEIR_CUDA OFF)
set(WEIR_MPI OFF)
set(WEIR_HWLOC OFF)
$2
add_executable(user $WEIR_SOURCE_DIR/examples/embed.c)
target_link_libraries(user PRIVATE weir::weir)
add_custom_target(man) # names of the program's own
add_executable(weir $WEIR_SOURCE_DIR/examples/embed.c)
target_link_libraries(weir PRIVATE weir::weir_static)
END
    quiet cmake -S "$work/$1" -B "$work/$1/build" -G Ninja -DCMAKE_BUILD_TYPE= -DCMAKE_C_FLAGS=-O0
}

program_write fetched "set(BUILD_SHARED_LIBS ON)
include(FetchContent)
FetchContent_Declare(weir SOURCE_DIR $WEIR_SOURCE_DIR)
FetchContent_MakeAvailable(weir)"
quiet cmake --build "$work/fetched/build"
for program in user weir; do
    quiet timeout 300 "$work/fetched/build/$program"
done
readelf -d "$work/fetched/build/user" >"$work/needed"
grep -q 'NEEDED.*libweir\.so\.0' "$work/needed" || { echo "the program does not use the shared library" >&2; exit 1; }

program_write added "add_subdirectory($WEIR_SOURCE_DIR weir)"
quiet ninja -C "$work/added/build" -t commands user
grep -q 'libweir\.a' "$work/log" || { echo "the program does not use the static library" >&2; exit 1; }
if grep -q 'libweir\.so' "$work/log"; then
    echo "the program uses the shared library" >&2
    exit 1
fi
