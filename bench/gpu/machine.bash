# What check.sh needs of the machine: binaries and packages that came along, CUDA's libraries and NCCL, MPS, and stand-ins for a
# rehearsal.  Sourced.
# shellcheck shell=bash disable=SC2154 # `work` and `built` are check.sh's

# use_folder FOLDER|FOLDER.tar.gz: build and run with what collect.sh fetched.  Libraries that the machine has stay its own, but for Open
# MPI, whose parts belong together; it finds them by these variables.
use_folder() {
    local folder arch file known
    folder=$1
    if [ -f "$1" ]; then
        folder=$work/folder
        mkdir -p "$folder"
        tar -C "$folder" -xzf "$1" || exit 1
    fi
    folder=$(cd "$folder" && pwd) || exit 1
    built_bin=$folder/bin
    folder=$folder/prefix
    arch=$folder/usr/lib/x86_64-linux-gnu
    known=$(PATH=$PATH:/sbin:/usr/sbin ldconfig -p)
    rm -rf "${work:?}/lib"
    mkdir -p "$work/lib"
    for file in "$arch"/*.so.*; do
        case ${file##*/} in
        libmpi* | libopen-* | libmca_* | libpmix*) ln -s "$file" "$work/lib/" ;;
        *) [[ $known == *"${file##*/} ("* ]] || ln -s "$file" "$work/lib/" ;;
        esac
    done
    export PKG_CONFIG_PATH=$arch/pkgconfig:$folder/usr/share/pkgconfig
    export LD_LIBRARY_PATH=$work/lib:${LD_LIBRARY_PATH:-} PATH=$folder/usr/bin:$PATH
    export OPAL_PREFIX=$folder/usr OPAL_SYSCONFDIR=$folder/etc PMIX_PKGLIBDIR=$arch/pmix2/lib/pmix \
        PMIX_PKGDATADIR=$arch/pmix2/share/pmix
    # processes of this machine alone: there may be no ssh, without which mpirun ends, and containers forbid to read each
    # other's memory
    export OMPI_MCA_plm=isolated OMPI_MCA_btl_vader_single_copy_mechanism=none
}

# The binaries that came along, when they start here.
use_built() {
    if [ -z "$built" ] || ! "$built_bin/weir" info >"$work/built.log" 2>&1; then
        built_bin=
        return 1
    fi
    weir=$built_bin/weir
    export weir built_bin
}

# Folders of CUDA's libraries that the loader may not know: the toolkit's, and those of Python's packages.
cuda_folders() {
    local cuda
    cuda=$(command -v nvcc) && echo "$(dirname "$(dirname "$(readlink -f "$cuda")")")/lib64"
    python3 -c '
import importlib, os
for name in ("nvidia.cu13", "nvidia.cublas", "nvidia.cuda_runtime", "nvidia.nccl"):
    try:
        for path in importlib.import_module(name).__path__:
            print(os.path.join(path, "lib"))
    except ImportError:
        pass' 2>/dev/null
}

# CUDA's own libraries, where nobody has told the loader of them.  NCCL beside CUDA, in the system, or in Python's package of
# it, which has no name to link with.  What the loader knows already comes first: the driver's folder is among it.
find_cuda_and_nccl() {
    local home line
    nccl_where="not found"
    command -v nvcc >/dev/null || PATH=$PATH:/usr/local/cuda/bin
    while read -r line; do
        export LD_LIBRARY_PATH=${LD_LIBRARY_PATH:+$LD_LIBRARY_PATH:}$line
    done < <(cuda_folders)
    home=$(command -v nvcc) && home=$(dirname "$(dirname "$(readlink -f "$home")")")
    for home in "$home" /usr /usr/local; do
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
    fi
}

# Processes that share a GPU take turns on it, milliseconds each; through MPS they run side by side.  A client has two queues
# there unless it asks for more, and may not get 32.
mps_start() {
    [ "${WEIR_GPU_MPS:-0}" = 1 ] || return 0
    export CUDA_MPS_PIPE_DIRECTORY=$work/mps CUDA_MPS_LOG_DIRECTORY=$work/mps-log CUDA_DEVICE_MAX_CONNECTIONS=16
    mkdir -p "$CUDA_MPS_PIPE_DIRECTORY" "$CUDA_MPS_LOG_DIRECTORY"
    nvidia-cuda-mps-control -d
}

mps_stop() {
    [ "${WEIR_GPU_MPS:-0}" != 1 ] || echo quit | nvidia-cuda-mps-control
}

# The tools of a machine with a GPU, for a rehearsal: they take what the real ones are given, and run it.
use_stand_ins() {
    local tools=$work/stand-ins
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
    cat >"$tools/ncu" <<'END'
#!/bin/bash
# ncu --clock-control none --section S.. --kernel-name regex:R --launch-skip N --launch-count N PROGRAM..
[ "$1 $2" = "--clock-control none" ] || exit 2
shift 2
while [[ $1 == --* ]]; do
    case $1 in --section | --kernel-name | --launch-skip | --launch-count) shift 2 ;; *) exit 2 ;; esac
done
printf 'stand-in for ncu, no GPU\n'
exec "$@"
END
    chmod +x "$tools"/*
    PATH=$tools:$PATH
    nccl_where="stand-in"
}
