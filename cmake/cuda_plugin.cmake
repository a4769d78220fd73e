# libweir_cuda.so: the cuda device with its kernels, and the transport nccl.  libweir loads it when device cuda is asked for
# (engine/device/plugin/plugin.h), so that programs on CPUs need neither CUDA nor NCCL.
file(GLOB device_sources CONFIGURE_DEPENDS kernels/cuda/*.c engine/device/cuda/*.c)
list(FILTER device_sources EXCLUDE REGEX "/cuda_planned\\.c$") # the library's own
file(GLOB kernel_sources CONFIGURE_DEPENDS kernels/cuda/*.cu)
set(plugin_sources engine/plugin/plugin_entry.c engine/plugin/plugin_host.c)
if(WEIR_HAVE_NCCL)
  file(GLOB nccl_sources CONFIGURE_DEPENDS engine/transport/nccl/*.c)
  list(APPEND plugin_sources engine/plugin/plugin_carriers.c ${nccl_sources})
endif()

# tests of the device link these objects in place of the plugin
add_library(weir_cuda_device OBJECT ${device_sources})
add_library(weir_cuda_kernels OBJECT ${kernel_sources})
target_link_libraries(weir_cuda_device PUBLIC weir_flags weir_cuda)
target_link_libraries(weir_cuda_kernels PUBLIC weir_flags weir_cuda)
target_compile_options(weir_cuda_kernels PRIVATE
  $<$<COMPILE_LANGUAGE:CUDA>:-Xcompiler=-fno-exceptions,-fno-rtti,-fno-threadsafe-statics,-Wall,-fPIC,-fvisibility=hidden>
  $<$<AND:$<COMPILE_LANGUAGE:CUDA>,$<BOOL:${WEIR_WERROR}>>:-Werror=all-warnings -Xptxas=--warn-on-spills>) # an error then

set(names ${PROJECT_SOURCE_DIR}/cmake/weir_cuda.map)
add_library(weir_cuda_plugin SHARED ${plugin_sources} $<TARGET_OBJECTS:weir_cuda_device> $<TARGET_OBJECTS:weir_cuda_kernels>)
target_link_libraries(weir_cuda_plugin PRIVATE weir_flags weir_cuda weir_nccl Threads::Threads m)
set_target_properties(weir_cuda_device weir_cuda_plugin PROPERTIES WEIR_HIDDEN ON)
set_target_properties(weir_cuda_plugin PROPERTIES OUTPUT_NAME weir_cuda LINKER_LANGUAGE C VERSION ${PROJECT_VERSION}
  SOVERSION ${PROJECT_VERSION_MAJOR} LIBRARY_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/${CMAKE_INSTALL_LIBDIR} LINK_DEPENDS ${names})
target_link_options(weir_cuda_plugin PRIVATE LINKER:--version-script=${names} LINKER:--no-undefined)

# Programs that call the device's own functions: they have it linked, in place of the plugin.
function(weir_cuda_linked target)
  target_sources(${target} PRIVATE ${PROJECT_SOURCE_DIR}/engine/device/device.c $<TARGET_OBJECTS:weir_cuda_device>
    $<TARGET_OBJECTS:weir_cuda_kernels>)
  target_compile_definitions(${target} PRIVATE WEIR_CUDA_LINKED)
  target_link_libraries(${target} PRIVATE weir_cuda)
endfunction()
