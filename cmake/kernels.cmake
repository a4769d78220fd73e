# Flags of kernels/ and of single files in it.

# Nobody reads floating-point exception flags; without this gcc leaves loops with a comparison scalar where there are no
# mask registers.  It changes no value.
target_compile_options(weir_kernels PRIVATE -fno-trapping-math)

# Files whose inner loops are matrix products or exponentials of rows: a*b+c may become a fused multiply-add, in bodies and
# tails alike.
set_source_files_properties(kernels/cpu/gemm_ref.c kernels/cpu/cpu_attention.c
  kernels/cpu/cpu_attention_cached.c kernels/cpu/cpu_loss.c PROPERTIES
  COMPILE_OPTIONS -ffp-contract=fast)

# WEIR_LOOP is a promise, not an order: clang need not report the loops that it leaves scalar.
if(CMAKE_C_COMPILER_ID MATCHES "Clang")
  target_compile_options(weir_kernels PRIVATE -Wno-pass-failed)
endif()

# Threads inside a rank come from gcc's OpenMP runtime, which oneDNN uses too.  Built with another compiler or with a
# sanitizer (which cannot see into libgomp) Weir's own loops stay on the rank's thread.
add_library(weir_openmp INTERFACE)
set(WEIR_HAVE_OPENMP 0)
if(CMAKE_C_COMPILER_ID STREQUAL "GNU" AND NOT WEIR_SANITIZE)
  find_package(OpenMP QUIET COMPONENTS C)
  if(OpenMP_C_FOUND)
    set(WEIR_HAVE_OPENMP 1)
    set_source_files_properties(kernels/cpu/parallel.c PROPERTIES COMPILE_OPTIONS "${OpenMP_C_FLAGS}")
    target_link_libraries(weir_openmp INTERFACE ${OpenMP_gomp_LIBRARY})
  endif()
endif()
