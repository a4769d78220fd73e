#!/bin/bash
# Installs what is built in $WEIR_BINARY_DIR into a fresh prefix and uses it from there as another program would: headers on
# their own, both libraries through pkg-config and find_package, and the command with its man pages.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
prefix=$work/prefix
export PKG_CONFIG_PATH=

die() {
    printf 'install test: %s\n' "$*" >&2
    exit 1
}

quiet() {
    "$@" >"$work/log" 2>&1 </dev/null || {
        tail -n 40 "$work/log" >&2
        die "'$*' failed"
    }
}

uses_mpi() { # <source>
    grep -q '<weir/mpi.h>' "$1"
}

# Weir was built with MPI, and there is what programs that use MPI are compiled with.
installed_mpi() {
    [ -e "$prefix/include/weir/mpi.h" ] && command -v mpicc >/dev/null
}

install_tree() {
    local library
    quiet cmake --install "$WEIR_BINARY_DIR" --prefix "$work/first"
    mv "$work/first" "$prefix" # what was installed can be moved
    library=$(find "$prefix" -name libweir.so)
    [ -n "$library" ] || die "there is no libweir.so below $prefix"
    libdir=$(dirname "$library")
    [ -e "$libdir/libweir.a" ] || die "there is no libweir.a beside libweir.so"
    export PKG_CONFIG_PATH=$libdir/pkgconfig
}

check_paths() {
    local found before='(?<![\w.}/-])' # a longer path may end like one of these
    found=$(grep -rIlP "$before(\\Q$WEIR_SOURCE_DIR\\E|\\Q$WEIR_BINARY_DIR\\E|\\Q$work\\E)/" "$prefix" || true)
    [ -z "$found" ] || die "these installed files name a folder of the build: $found"
}

# Every header stands on its own, in C and, where there is a compiler, in C++; one wants MPI's beside it.
check_headers() {
    local header cflags mpi_cflags=()
    read -ra cflags < <(pkg-config --cflags weir)
    if installed_mpi; then
        read -ra mpi_cflags < <(mpicc --showme:compile 2>/dev/null || mpicc -compile_info)
        cflags+=("${mpi_cflags[@]/#-I/-isystem}") # what is in MPI's headers is not ours
    fi
    while read -r header; do
        printf '#include <weir/%s>\n' "$header" | quiet_stdin "${CC:-cc}" -x c -std=c11 -Wall -Wextra -pedantic -Werror \
            -fsyntax-only "${cflags[@]}" - || die "installed header '$header' does not stand on its own in C"
        if command -v g++ >/dev/null; then
            printf '#include <weir/%s>\n' "$header" | quiet_stdin g++ -x c++ -std=c++17 -Wall -Wextra -Werror -fsyntax-only \
                "${cflags[@]}" - || die "installed header '$header' does not stand on its own in C++"
        fi
    done < <(cd "$prefix/include/weir" && find . -name '*.h' | sed 's|^\./||' | LC_ALL=C sort)
}

quiet_stdin() {
    "$@" >"$work/log" 2>&1 || {
        cat "$work/log" >&2
        return 1
    }
}

# The programs to build: the examples, or the smallest one when there are none.
make_programs() {
    local source
    mkdir "$work/programs"
    for source in "$WEIR_SOURCE_DIR"/examples/*.c; do
        [ -e "$source" ] || break
        ! uses_mpi "$source" || installed_mpi || continue
        cp "$source" "$work/programs/"
    done
    ! compgen -G "$work/programs/*.c" >/dev/null || return 0
    cat >"$work/programs/smallest.c" <<'END'
#include <stdio.h>
#include <weir/weir.h>

int main(void)
{
    return printf("%s\n", weir_status_str(WEIR_OK)) < 0;
}
END
}

run_program() {
    (cd "$work" && quiet env LD_LIBRARY_PATH="$libdir" timeout 120 "$1")
}

needs_library() { # <program> shared|static
    local kind=static
    readelf -d "$1" >"$work/needed"
    grep -q 'NEEDED.*libweir\.so' "$work/needed" && kind=shared
    [ "$kind" = "$2" ] || die "'$(basename "$1")' uses the $kind library, not the $2 one"
}

use_pkg_config() { # shared|static
    local kind=$1 module=weir source name compiler flags libs
    [ "$kind" = shared ] || module=weir-static
    read -ra flags < <(pkg-config --cflags $module)
    read -ra libs < <(pkg-config --libs $module)
    for source in "$work"/programs/*.c; do
        name=$(basename "$source" .c)
        compiler=${CC:-cc}
        ! uses_mpi "$source" || compiler=mpicc
        quiet env OMPI_CC="${CC:-cc}" MPICH_CC="${CC:-cc}" "$compiler" -std=c11 -Wall -Wextra -Werror -D_GNU_SOURCE "${flags[@]}" -o "$work/$name-pc" "$source" \
            "${libs[@]}" -lm
        needs_library "$work/$name-pc" "$kind"
        run_program "$work/$name-pc"
        printf 'pkg-config, %s: built and ran %s\n' "$kind" "$name"
    done
}

use_find_package() { # shared|static
    local kind=$1 name shared=OFF
    [ "$kind" = static ] || shared=ON
    cat >"$work/programs/CMakeLists.txt" <<'END'
cmake_minimum_required(VERSION 3.25)
project(user C)
find_package(weir 0.1 REQUIRED)
file(GLOB sources *.c)
foreach(source IN LISTS sources)
  get_filename_component(name ${source} NAME_WE)
  add_executable(${name} ${source})
  target_compile_definitions(${name} PRIVATE _GNU_SOURCE)
  target_link_libraries(${name} PRIVATE weir::weir m)
  file(STRINGS ${source} uses_mpi REGEX "<weir/mpi.h>")
  if(uses_mpi)
    find_package(MPI REQUIRED COMPONENTS C)
    target_link_libraries(${name} PRIVATE MPI::MPI_C)
  endif()
endforeach()
END
    quiet cmake -S "$work/programs" -B "$work/$kind" -G Ninja -DCMAKE_PREFIX_PATH="$prefix" -DBUILD_SHARED_LIBS=$shared
    quiet cmake --build "$work/$kind"
    for name in "$work"/programs/*.c; do
        name=$(basename "$name" .c)
        needs_library "$work/$kind/$name" "$kind"
        run_program "$work/$kind/$name"
        printf 'find_package, %s: built and ran %s\n' "$kind" "$name"
    done
}

use_command() {
    local command
    "$prefix/bin/weir" --version
    while read -r command; do
        [ -s "$prefix/share/man/man1/weir-$command.1" ] || die "command '$command' has no installed man page"
    done < <("$prefix/bin/weir" --help | sed -n 's/^  \([a-z]*\)  .*/\1/p')
}

install_tree
check_paths
check_headers
make_programs
for kind in shared static; do
    use_pkg_config $kind
    use_find_package $kind
done
use_command
