#!/bin/bash
# The engine on many more random schedules than the tests have time for; the bits of one stage every time.
#
#     tests/soak/random_schedules.sh [SEEDS] [BUILD]      default 5000 build/release
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
WEIR_TEST_SEEDS=${1:-5000} "${2:-build/release}/tests/test_engine_random"
