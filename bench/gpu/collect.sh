#!/bin/bash
# Collect what a machine with a GPU and no network may lack to test Weir, in one folder of at most 40 MB: binaries, where there is
# an nvcc to make them, and Debian packages, unpacked.
#
#   bash bench/gpu/collect.sh FOLDER              on a Debian machine with a network
#   bash bench/gpu/check.sh --built FOLDER        on the machine with the GPU, FOLDER or FOLDER.tar.gz copied to it
#   bash bench/gpu/check.sh FOLDER                the same without the binaries
#
#   bin/          the command and the tests of the GPU, with machine code of $WEIR_GPU_ARCHITECTURES (90-real) and CUDA's runtime
#                 in them; of the machine they need the driver, libcublasLt.so.13 and libnccl.so.2, which are ten times as large
#   prefix/       the packages
#
# Open MPI comes along for runs of several processes on one machine.  Its parts for networks that are not in the folder are
# left out, since each would complain that it cannot be loaded.
set -euo pipefail
folder=${1:?usage: collect.sh FOLDER}
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
binaries=(bin/weir bench/bench_products tests/test_device tests/test_device_graphs tests/test_device_kinds
          tests/stand_ins/cuda_on_cpu/test_cuda_{rows,vector,generation,logits}_gpu)
limit_kb=40000
packages=(libcmocka-dev libcmocka0 libjansson-dev libjansson4 libxxhash-dev libxxhash0 zlib1g-dev zlib1g libhwloc-dev
          libhwloc15 libnuma-dev libnuma1 libltdl-dev libltdl7 libudev1 ninja-build
          libopenmpi-dev libopenmpi3 openmpi-bin openmpi-common libpmix2 libmunge2 libevent-core-2.1-7
          libevent-pthreads-2.1-7 libgomp1 pkgconf pkgconf-bin libpkgconf3)

mkdir -p "$folder/debs" "$folder/prefix"
folder=$(cd "$folder" && pwd)
(cd "$folder/debs" && apt-get download "${packages[@]}")
for deb in "$folder"/debs/*.deb; do
    dpkg-deb -x "$deb" "$folder/prefix"
done
rm -r "$folder/debs"
usr=$folder/prefix/usr
arch=$usr/lib/x86_64-linux-gnu

# One folder of libraries and one of headers, which any compiler finds, and links that lead into them instead of the system.
cp -a "$folder/prefix/lib/." "$usr/lib/"
cp -a "$usr/include/x86_64-linux-gnu/." "$usr/include/"
rm -r "$folder/prefix/lib" "$usr/include/x86_64-linux-gnu"
find "$folder/prefix" -type l -lname '/*' | while read -r link; do
    target=$(readlink "$link")
    ln -sfr "$usr/${target#/usr}" "$link"
done

# Package files name /usr: they are made to name the folder they are in.
# shellcheck disable=SC2016 # pkg-config expands these
find "$folder/prefix" -name '*.pc' -exec sed -i 's|^prefix=.*|prefix=${pcfiledir}/../../..|; s|=/usr|=${prefix}|
    s|-L/usr/lib/[^ ]*|-L${pcfiledir}/..|; s|-I/usr/include|-I${pcfiledir}/../../../include|' {} +
# shellcheck disable=SC2016 # and these
find "$arch/pkgconfig" -name '*.pc' ! -name 'o*mpi*' -exec sed -i 's|^\(libdir\)=.*|\1=${pcfiledir}/..|' {} +

# Debian makes this name when it installs the package.
ln -sf orterun "$usr/bin/mpirun"
# other languages, another programming model, static libraries
rm -rf "$usr"/share/{doc,man,bash-completion} "$arch"/fortran "$arch"/openmpi/lib/*.a "$arch"/*.a \
    "$arch"/lib{mpi_cxx,mpi_java,mpi_mpifh,mpi_usempi,oshmem,ompitrace}* "$usr"/bin/osh* "$arch"/openmpi/lib/openmpi3/mca_{s,}memheap_* \
    "$arch"/openmpi/lib/openmpi3/mca_{spml,scoll,sshmem,atomic}_* "$arch"/openmpi/include/oshmem

for plugin in "$arch"/libmca_common_*.so.* "$arch"/openmpi/lib/openmpi3/*.so; do
    for library in $(objdump -p "$plugin" | awk '/NEEDED/ { print $2 }'); do
        case $library in
        libc.so* | libm.so* | libdl.so* | libpthread.so* | librt.so* | ld-linux*) ;;
        *) [ -e "$arch/$library" ] || rm -f "$plugin" ;;
        esac
    done
done
find "$folder/prefix" -xtype l -delete # links to what was left out, or into the system

# binaries_make: for the GPU's machine code alone, without what only makes them larger
binaries_make() {
    local build=$folder.build
    cmake -S "$root" -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=Release -DWEIR_CUDA=ON -DWEIR_CUDA_STATIC=ON -DWEIR_NCCL=ON -DWEIR_MPI=ON \
        -DWEIR_ONEDNN=OFF -DWEIR_CUDNN=OFF "-DCMAKE_CUDA_ARCHITECTURES=${WEIR_GPU_ARCHITECTURES:-90-real}" >"$folder.log" &&
        cmake --build "$build" --target "${binaries[@]##*/}" weir_cuda_plugin >>"$folder.log" || {
        tail -n 30 "$folder.log" >&2
        return 1
    }
    rm -rf "${folder:?}/bin"
    mkdir -p "$folder/bin"
    (cd "$build" && cp "${binaries[@]}" "$folder/bin/")
    find "$build" -name libweir_cuda.so.0 -exec cp -L {} "$folder/bin/" \; # the command looks for it beside itself
    strip "$folder"/bin/*
    git -C "$root" rev-parse --short HEAD >"$folder/bin/commit" 2>/dev/null || echo unknown >"$folder/bin/commit"
}

# Every library that the binaries name comes along, or is one that the other machine has.
binaries_check() {
    local file library missing=0
    for file in "$folder"/bin/*; do
        for library in $(objdump -p "$file" 2>/dev/null | awk '/NEEDED/ { print $2 }'); do
            case $library in
            libc.so* | libm.so* | libgcc_s.so* | ld-linux* | libcublasLt.so.13 | libnccl.so.2) ;;
            *) [ -e "$arch/$library" ] || {
                printf 'collect.sh: %s needs %s, which is not in the folder\n' "${file##*/}" "$library" >&2
                missing=1
            } ;;
            esac
        done
    done
    return "$missing"
}

if command -v nvcc >/dev/null; then
    binaries_make
    binaries_check
else
    printf 'collect.sh: there is no nvcc: the folder has no binaries, and the other machine will build them\n' >&2
fi
parts=(prefix)
[ ! -d "$folder/bin" ] || parts+=(bin)
tar -C "$folder" -czf "$folder.tar.gz" "${parts[@]}"
du -sh "$folder" "$folder.tar.gz"
[ "$(du -sk "$folder" | cut -f 1)" -le "$limit_kb" ] || {
    printf 'collect.sh: %s is larger than %d MB\n' "$folder" $((limit_kb / 1000)) >&2
    exit 1
}
