#!/usr/bin/env bats
# quickstart.sh on machines that are not this one: every command it could change a machine with is a stand-in that
# writes down how it was called.  No compiler matters here: once per change is enough.   labels: slow

setup() {
    repo=$BATS_TEST_TMPDIR/repo
    bin=$BATS_TEST_TMPDIR/bin
    calls=$BATS_TEST_TMPDIR/calls
    installed=$BATS_TEST_TMPDIR/installed
    mkdir -p "$repo/docs" "$bin"
    cp "$WEIR_SOURCE_DIR/quickstart.sh" "$repo/"
    printf 'some words\n' >"$repo/docs/page.md"
    : >"$calls"
    local name
    for name in bash dirname mkdir tail tr sort xargs cat find sed awk wc env grep cp chmod; do
        ln -s "$(command -v "$name")" "$bin/$name"
    done
    all="gcc libc6-dev cmake ninja-build pkg-config libjansson-dev libxxhash-dev zlib1g-dev libdnnl-dev libhwloc-dev
         libcmocka-dev bats libopenmpi-dev openmpi-bin g++"
    printf '%s\n' $all >"$installed"
    stand_in dpkg-query 'for name; do :; done; grep -qx -- "$name" "'"$installed"'" && printf installed'
    stand_in apt-get 'exit ${APT_STATUS:-0}'
    stand_in id 'echo ${FAKE_UID:-0}'
    stand_in nproc 'echo 1'
    stand_in ctest 'echo "100% tests passed"'
    stand_in cmake 'exit ${CMAKE_STATUS:-0}'
    export WEIR_CUDA=OFF
}

# stand_in NAME SCRIPT: a command that notes its call (questions to dpkg, id and nproc are not worth a note)
stand_in() {
    printf '#!/bin/bash\ncase %s in dpkg-query | id | nproc) ;; *) echo "%s $*" >>"%s" ;; esac\n%s\n' \
        "$1" "$1" "$calls" "$2" >"$bin/$1"
    chmod +x "$bin/$1"
}

forget() {
    grep -vx -- "$1" "$installed" >"$installed.new"
    cp "$installed.new" "$installed"
}

quickstart() {
    run env PATH="$bin" "$repo/quickstart.sh" "$@"
    echo "status $status: $output"
    echo "calls: $(cat "$calls")"
}

called() { # exactly these calls, in this order
    [ "$(cat "$calls")" = "$(printf '%s\n' "$@")" ]
}

@test "nothing is missing: apt-get is not called, so no network is needed" {
    APT_STATUS=1 quickstart deps
    [ "$status" -eq 0 ]
    [[ $output == *"nothing is missing"* ]]
    called
}

@test "root installs what is missing, and only that, without recommends" {
    forget ninja-build
    forget bats
    quickstart deps
    [ "$status" -eq 0 ]
    called "apt-get update" "apt-get install -y --no-install-recommends ninja-build bats"
}

@test "a user with sudo installs through it" {
    stand_in sudo '[ "$1" = -v ] || "$@"'
    forget zlib1g-dev
    FAKE_UID=1000 quickstart deps
    [ "$status" -eq 0 ]
    called "sudo -v" "sudo apt-get update" "apt-get update" \
        "sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends zlib1g-dev" \
        "apt-get install -y --no-install-recommends zlib1g-dev"
}

@test "a user without sudo gets the one line to run and status 1" {
    forget gcc
    FAKE_UID=1000 quickstart deps
    [ "$status" -eq 1 ]
    [[ $output == *"apt-get update && apt-get install -y --no-install-recommends gcc"* ]]
    called
}

@test "a user whom sudo refuses gets the one line to run and status 1" {
    stand_in sudo 'exit 1'
    forget gcc
    FAKE_UID=1000 quickstart deps
    [ "$status" -eq 1 ]
    [[ $output == *"apt-get update && apt-get install -y --no-install-recommends gcc"* ]]
    called "sudo -v"
}

@test "without network and with a missing package it fails and shows why" {
    stand_in apt-get 'echo "Temporary failure resolving"; exit 100'
    forget gcc
    quickstart deps
    [ "$status" -eq 1 ]
    [[ $output == *"Temporary failure resolving"* && $output == *"out/quickstart/logs/update.log"* ]]
    called "apt-get update"
}

@test "what only the tests need is not installed for training" {
    forget bats
    forget libcmocka-dev
    forget g++
    quickstart
    ! grep -q '^apt-get' "$calls"
}

@test "a CUDA build wants g++ and no toolkit" {
    forget g++
    WEIR_CUDA=ON quickstart deps
    [ "$status" -eq 0 ]
    called "apt-get update" "apt-get install -y --no-install-recommends g++"
}

@test "a CUDA build without nvcc says how to do without" {
    [ -x /usr/local/cuda/bin/nvcc ] && skip "there is an nvcc where quickstart.sh looks for one"
    WEIR_CUDA=ON quickstart test
    [ "$status" -eq 1 ]
    [[ $output == *"nvcc is not in PATH"* && $output == *"WEIR_CUDA=OFF"* ]]
}

@test "further packages can be named" {
    quickstart deps clang
    [ "$status" -eq 0 ]
    called "apt-get update" "apt-get install -y --no-install-recommends clang"
}

@test "another distribution: the packages are named, nothing is called" {
    rm "$bin/apt-get" "$bin/dpkg-query"
    quickstart deps
    [ "$status" -eq 1 ]
    [[ $output == *"libjansson-dev"* && $output == *"missing here: cc ninja pkg-config bats"* ]]
    called
}

@test "another distribution with everything there: it goes on" {
    rm "$bin/apt-get" "$bin/dpkg-query"
    for name in cc ninja bats pkg-config; do
        stand_in "$name" 'exit 0'
    done
    quickstart test
    [ "$status" -eq 0 ]
    grep -q -- '-DWEIR_WERROR=OFF' "$calls"
}

@test "test: configures with tests, builds and lets ctest speak" {
    quickstart test
    [ "$status" -eq 0 ]
    called "cmake --preset release -DWEIR_CUDA=OFF -DBUILD_TESTING=ON" "cmake --build --preset release" \
        "ctest --test-dir build/release --output-on-failure -j 2"
    [[ $output == *"100% tests passed"* ]]
}

@test "test: the status is that of ctest" {
    stand_in ctest 'exit 8'
    quickstart test
    [ "$status" -eq 8 ]
}

@test "a failing step shows the end of its log" {
    stand_in cmake 'echo "no such compiler"; exit 3'
    quickstart test
    [ "$status" -eq 1 ]
    [[ $output == *"configure"*"failed"*"no such compiler"*"out/quickstart/logs/configure.log"* ]]
}

weir_stand_in() {
    mkdir -p "$repo/build/release/bin"
    cat >"$repo/build/release/bin/weir" <<'END'
#!/bin/bash
echo "weir $*" >>CALLS
while [ $# -gt 0 ]; do
    case $1 in
    --metrics) printf '{"run": {"lr": 0.1}}\n{"step": 1, "loss": 5.5, "step_ms": 500.0}\n{"step": 2, "loss": 2.25, "step_ms": 250.0}\n' >"$2" ;;
    esac
    shift
done
END
    sed -i "s|CALLS|$calls|" "$repo/build/release/bin/weir"
    chmod +x "$repo/build/release/bin/weir"
}

@test "train: about a minute of steps, then the losses and where the files lie" {
    weir_stand_in
    quickstart
    [ "$status" -eq 0 ]
    [[ $output == *"loss at start 5.5000, at the end 2.2500"* ]]
    [[ $output == *"metrics: out/quickstart/metrics.jsonl"* && $output == *"out/quickstart/trace.json"* ]]
    grep -q -- '^weir train --model gpt2-tiny --data out/quickstart/text.txt --stages 2 .*--steps 240 ' "$calls"
    grep -q 'some words' "$repo/out/quickstart/text.txt"
}

@test "train: a failed training is a failure of the script" {
    weir_stand_in
    sed -i '2i case "$*" in *--trace*) exit 6 ;; esac' "$repo/build/release/bin/weir"
    quickstart
    [ "$status" -eq 1 ]
    [[ $output == *"training failed with status 6"* ]]
}

@test "an unknown word is refused" {
    quickstart tset
    [ "$status" -eq 1 ]
    [[ $output == *"'tset' is not known"* ]]
    called
}
