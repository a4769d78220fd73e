# What check.sh needs of the machine: the folder of packages, NCCL, MPS, and stand-ins for a rehearsal.  Sourced.
# shellcheck shell=bash disable=SC2154 # `out` is check.sh's

# use_folder FOLDER|FOLDER.tar.gz: build and run with what collect.sh fetched.  Libraries that the machine has stay its own, but for Open
# MPI, whose parts belong together; it finds them by these variables.
use_folder() {
    local folder arch file known
    folder=$1
    if [ -f "$1" ]; then
        folder=$out/folder
        mkdir -p "$folder"
        tar -C "$folder" -xzf "$1" || exit 1
    fi
    folder=$(cd "$folder" && pwd)/prefix || exit 1
    arch=$folder/usr/lib/x86_64-linux-gnu
    known=$(PATH=$PATH:/sbin:/usr/sbin ldconfig -p)
    rm -rf "${out:?}/lib"
    mkdir -p "$out/lib"
    for file in "$arch"/*.so.*; do
        case ${file##*/} in
        libmpi* | libopen-* | libmca_* | libpmix*) ln -s "$file" "$out/lib/" ;;
        *) [[ $known == *"${file##*/} ("* ]] || ln -s "$file" "$out/lib/" ;;
        esac
    done
    export PKG_CONFIG_PATH=$arch/pkgconfig:$folder/usr/share/pkgconfig
    export LD_LIBRARY_PATH=$out/lib:${LD_LIBRARY_PATH:-} PATH=$folder/usr/bin:$PATH
    export OPAL_PREFIX=$folder/usr OPAL_SYSCONFDIR=$folder/etc PMIX_PKGLIBDIR=$arch/pmix2/lib/pmix \
        PMIX_PKGDATADIR=$arch/pmix2/share/pmix
    # processes of this machine alone: there may be no ssh, without which mpirun ends, and containers forbid to read each
    # other's memory
    export OMPI_MCA_plm=isolated OMPI_MCA_btl_vader_single_copy_mechanism=none
}

# CUDA's own libraries, where nobody has told the loader of them.  NCCL beside CUDA, in the system, or in Python's package of
# it, which has no name to link with.
find_cuda_and_nccl() {
    local cuda home
    nccl_where="not found"
    command -v nvcc >/dev/null || PATH=$PATH:/usr/local/cuda/bin
    cuda=$(command -v nvcc) && cuda=$(dirname "$(dirname "$(readlink -f "$cuda")")")
    export LD_LIBRARY_PATH=${LD_LIBRARY_PATH:+$LD_LIBRARY_PATH:}$cuda/lib64
    for home in "$cuda" /usr /usr/local; do
        if [ "$nccl_where" = "not found" ] && [ -e "$home/include/nccl.h" ]; then
            nccl_where=$home
            nccl_options=-DWEIR_NCCL=ON
        fi
    done
    home=$(python3 -c 'import nvidia.nccl; print(list(nvidia.nccl.__path__)[0])' 2>/dev/null) || home=
    if [ "$nccl_where" = "not found" ] && [ -e "$home/include/nccl.h" ]; then
        nccl_where=$home
        # shellcheck disable=SC2034 # a list split at blanks, which check.sh hands to the build
        nccl_options="-DWEIR_NCCL=ON -DNCCL_LIBRARY=$home/lib/libnccl.so.2 -DNCCL_INCLUDE=$home/include"
        export LD_LIBRARY_PATH=$home/lib:${LD_LIBRARY_PATH:-}
    fi
}

# Processes that share a GPU take turns on it, milliseconds each; through MPS they run side by side.
mps_start() {
    [ "${WEIR_GPU_MPS:-0}" = 1 ] || return 0
    export CUDA_MPS_PIPE_DIRECTORY=$out/mps CUDA_MPS_LOG_DIRECTORY=$out/mps-log
    mkdir -p "$CUDA_MPS_PIPE_DIRECTORY" "$CUDA_MPS_LOG_DIRECTORY"
    nvidia-cuda-mps-control -d
}

mps_stop() {
    [ "${WEIR_GPU_MPS:-0}" != 1 ] || echo quit | nvidia-cuda-mps-control
}

# The tools of a machine with a GPU, for a rehearsal: they take what the real ones are given, and run it.
use_stand_ins() {
    local tools=$out/stand-ins
    mkdir -p "$tools"
    printf '#!/bin/bash\necho "stand-in, no GPU"\n' >"$tools/nvidia-smi"
    cat >"$tools/compute-sanitizer" <<'END'
#!/bin/bash
# compute-sanitizer --tool TOOL --error-exitcode 1 [--report-api-errors no] PROGRAM..
[ "$1 $3 $4" = "--tool --error-exitcode 1" ] || exit 2
case $2 in memcheck | racecheck | synccheck) ;; *) exit 2 ;; esac
shift 4
[ "$1 $2" != "--report-api-errors no" ] || shift 2
printf '========= stand-in for compute-sanitizer, no GPU\n'
exec "$@"
END
    chmod +x "$tools"/*
    PATH=$tools:$PATH
    nccl_where="stand-in"
}
