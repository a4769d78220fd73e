#!/usr/bin/env bash
# More devices, memory or bandwidth never give a worse plan: 1,000 random pairs, or as many as asked for.
#
#     tests/soak/planner_pairs.sh build/release [PAIRS]
set -eu
PLANNER_PAIRS=${2:-1000} exec "${1:?usage: planner_pairs.sh BUILD [PAIRS]}"/tests/test_planner
