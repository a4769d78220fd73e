#!/bin/bash
# Fetch what a machine with a GPU and no network may lack to build and test Weir: Debian packages, unpacked into one folder.
#
#   bash bench/gpu/collect.sh FOLDER      on a Debian machine with a network
#   bash bench/gpu/check.sh FOLDER        on the machine with the GPU, FOLDER copied to it
set -euo pipefail
folder=${1:?usage: collect.sh FOLDER}
packages=(libcmocka-dev libcmocka0 libjansson-dev libjansson4 libxxhash-dev libxxhash0 zlib1g-dev zlib1g libhwloc-dev
          libhwloc15 libnuma-dev libnuma1 libltdl-dev libltdl7 libudev1 ninja-build)

mkdir -p "$folder/debs" "$folder/prefix"
folder=$(cd "$folder" && pwd)
(cd "$folder/debs" && apt-get download "${packages[@]}")
for deb in "$folder"/debs/*.deb; do
    dpkg-deb -x "$deb" "$folder/prefix"
done
rm -r "$folder/debs"

# Package files name /usr: they are made to name the folder they are in.
# shellcheck disable=SC2016 # pkg-config expands these
find "$folder/prefix" -name '*.pc' -exec sed -i 's|^prefix=.*|prefix=${pcfiledir}/../../..|; s|=/usr|=${prefix}|' {} +
# shellcheck disable=SC2016 # and these
find "$folder/prefix" -path '*x86_64-linux-gnu/pkgconfig/*.pc' -exec sed -i 's|^\(libdir\)=.*|\1=${pcfiledir}/..|' {} +
rm -rf "$folder"/prefix/usr/share/{doc,man,bash-completion}
du -sh "$folder/prefix"
